"""Things on tops, in shelves and under tables: rays find where a thing stands level, with room above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.tabletop_objects import Thing

LEVEL = 0.012  # metres by which the ground under a thing may differ
TRIES = 6  # places tried for each thing, all in one cast


@dataclass(frozen=True)
class Support:
    """A piece of furniture that can carry things: its place, its size, and what belongs on it."""

    x: float
    y: float
    yaw: float
    size: tuple[float, float, float]
    things: Sequence[Thing]
    levels: bool = False  # a shelf: things stand at any height in it, not only on top


@dataclass(frozen=True)
class Standing:
    """A thing and where it stands."""

    thing: Thing
    x: float
    y: float
    z: float
    yaw: float


def stand(world: Composition, supports: Sequence[Support], rng: np.random.Generator) -> list[Standing]:
    """Where the supports' things can stand in the world built so far; those that find no place are left away."""
    wanted = [(support, item) for support in supports for item in support.things]
    if not wanted:
        return []
    tries = [_attempt(support, item, rng) for support, item in wanted for _ in range(TRIES)]
    spots = np.array([t[:4] for t in tries])  # x, y, yaw, height from which to look down
    feet = np.stack([_feet(spot, item) for spot, (_, item) in zip(spots, np.repeat(_pairs(wanted), TRIES, axis=0))])
    ground = spots[:, 3, None] - _cast(world, feet, spots[:, 3, None] + np.zeros(5), -1.0)
    level = np.where(np.isfinite(ground).all(1), ground.max(1), -1.0)
    good = (np.ptp(np.where(np.isfinite(ground), ground, 9.0), axis=1) < LEVEL) & (level > 0.04)
    above = _cast(world, feet, np.repeat(level[:, None] + 0.02, 5, 1), 1.0).min(1)
    heights = np.repeat([item.height for _, item in wanted], TRIES)
    return _apart(wanted, spots, level, good & (above > heights), rng)


def _pairs(wanted: Sequence[tuple[Support, Thing]]) -> NDArray[np.object_]:
    out = np.empty((len(wanted), 2), object)
    for k, pair in enumerate(wanted):
        out[k, 0], out[k, 1] = pair
    return out


def _attempt(support: Support, item: Thing, rng: np.random.Generator) -> tuple[float, float, float, float]:
    room = np.maximum(np.array(support.size[:2]) - 2 * np.array(item.half), 0.02)
    u, v = rng.uniform(-0.5, 0.5, 2) * room
    turn = rng.normal(0, 0.15) if support.levels or item.front else rng.uniform(0, 2 * np.pi)
    if item.front:  # a screen stands at the back and looks to the front
        v = room[1] * rng.uniform(0.1, 0.5)
    top = support.size[2] + 0.3
    start = rng.uniform(0.2, top) if support.levels and rng.random() < 0.85 else top
    c, s = np.cos(support.yaw), np.sin(support.yaw)
    return support.x + c * u - s * v, support.y + s * u + c * v, support.yaw + turn, start


def _feet(spot: NDArray[np.float64], item: Thing) -> NDArray[np.float64]:
    corners = np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.array(item.half) * 0.85
    c, s = np.cos(spot[2]), np.sin(spot[2])
    return spot[:2] + corners @ np.array([[c, s], [-s, c]])


def _cast(world: Composition, feet: NDArray[np.float64], start: NDArray[np.float64], way: float) -> NDArray[np.float64]:
    rays = np.zeros((feet.shape[0], 5, 6), np.float32)
    rays[..., :2], rays[..., 2], rays[..., 5] = feet, start, way
    return world.distance(rays.reshape(-1, 6)).reshape(-1, 5).astype(np.float64)


def _apart(wanted: Sequence[tuple[Support, Thing]], spots: NDArray[np.float64], level: NDArray[np.float64],
           good: NDArray[np.bool_], rng: np.random.Generator) -> list[Standing]:
    """The first good place of each thing that keeps clear of the things before it."""
    placed: list[Standing] = []
    for k, (_, item) in enumerate(wanted):
        for t in range(k * TRIES, (k + 1) * TRIES):
            x, y, z = spots[t, 0], spots[t, 1], level[t]
            if good[t] and all(abs(p.z - z) > 0.02 and not p.z < z < p.z + p.thing.height
                               or np.hypot(p.x - x, p.y - y) > 0.8 * (p.thing.radius + item.radius) for p in placed):
                placed.append(Standing(item, float(x), float(y), float(z) + 1e-3, float(spots[t, 2])))
                break
    return placed
