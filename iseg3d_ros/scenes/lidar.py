"""Rotating LiDARs: beam patterns, range noise, lost and mixed returns, intensity, sweeps accumulated on the move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.render import Composition, Hits

Array = NDArray[np.float32]

# Degrees, from the makers' data sheets: dense around the horizon.
VLP32C = (-25, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4, -3.667, -3.333, -3, -2.667, -2.333, -2,
          -1.667, -1.333, -1, -0.667, -0.333, 0, 0.333, 0.667, 1, 1.333, 1.667, 2.333, 3.333, 4.667, 7, 10.333,
          15)  # fmt: skip


@dataclass(frozen=True)
class Mount:
    """Where one scanner sits above the ground; upside down where `flipped`."""

    x: float = 0.0
    z: float = 1.9
    flipped: bool = False
    above: float = 0.6  # metres above the roof that hides what is below


@dataclass(frozen=True)
class Lidar:
    """A scanner: beam elevations (degrees), steps a turn, and what its returns suffer from."""

    elevations: tuple[float, ...]
    steps: int
    mounts: tuple[Mount, ...] = (Mount(),)
    noise: float = 0.015  # metres, one sigma
    reach: float = 100.0  # metres at which a tenth of a surface facing the beam still returns half of the time
    mixed: float = 0.25  # share of returns at edges that lie between the two surfaces
    nearest: float = 1.0

    def directions(self, mount: Mount, rng: np.random.Generator) -> Array:
        """Unit vectors (beams, steps, 3), a random start angle, small angular jitter."""
        sign = -1 if mount.flipped else 1
        elevation = np.radians(sign * np.array(self.elevations))[:, None]
        azimuth = np.linspace(0, 2 * np.pi, self.steps, endpoint=False)[None] + rng.uniform(0, 2 * np.pi)
        elevation = elevation + rng.normal(0, 1.5e-4, (len(self.elevations), self.steps))
        azimuth = azimuth + rng.normal(0, 2e-4, elevation.shape) + rng.normal(0, 2e-3, (len(elevation), 1))
        flat = np.cos(elevation)
        return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], -1).astype(np.float32)


@dataclass(frozen=True)
class Mover:
    """Something with a caster of its own that moves at `velocity` (x, y), metres a second, within a ball at 0 s."""

    body: Composition
    label: int
    velocity: Array
    centre: Array
    radius: float


@dataclass(frozen=True)
class World:
    """What stands and what moves; `cast` sees it at a time in seconds."""

    still: Composition
    movers: tuple[Mover, ...] = ()

    def cast(self, rays: Array, time: float) -> Hits:
        """The nearest hit of each ray."""
        hits = self.still.cast(rays)
        for mover in self.movers:
            moved = np.append(mover.velocity, 0).astype(np.float32) * np.float32(time)
            near = _towards(rays, mover.centre + moved, mover.radius)
            query = rays[near]
            query[:, :3] -= moved
            _overlay(hits, near, mover.body.cast(query))
        return hits


class Drive(Protocol):
    """Where the sensor's vehicle is at a time."""

    def __call__(self, time: float) -> tuple[Array, Array]:
        """Rotation (3, 3) and position (3,) of the vehicle's ground point."""


@dataclass(frozen=True)
class Returns:
    """Points of one or several sweeps in world coordinates."""

    xyz: Array
    label: NDArray[np.int32]
    intensity: Array
    time: Array


def sensor(rng: np.random.Generator) -> Lidar:
    """One of the scanners in use, at a height between a delivery robot's and a lorry's."""
    height = float(
        rng.choice([rng.uniform(1.65, 2.1), rng.uniform(0.6, 1.6), rng.uniform(2.1, 3.0)], p=[0.7, 0.15, 0.15])
    )
    kind = int(rng.choice(8, p=[0.24, 0.07, 0.08, 0.06, 0.2, 0.13, 0.12, 0.1]))
    found = _PATTERNS[kind]
    above = float(rng.uniform(0.35, 1.0))
    mounts = tuple(replace(mount, z=mount.z - 1.9 + height, above=above) for mount in found.mounts)
    return replace(found, mounts=mounts, noise=float(rng.uniform(0.005, 0.03)), reach=float(rng.uniform(70, 140)),
                   mixed=float(rng.uniform(0.05, 0.4)))  # fmt: skip


def _even(low: float, high: float, beams: int) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, beams).round(3).tolist())


def _dense_middle(low: float, high: float, beams: int) -> tuple[float, ...]:
    """Elevations crowded around the horizon, as the 128-beam scanners have them."""
    u = np.linspace(-1, 1, beams)
    bent = 0.25 * u + 0.75 * np.sign(u) * np.abs(u) ** 3
    return tuple(np.where(bent < 0, -low * bent, high * bent).round(3).tolist())


_PATTERNS = (
    Lidar(VLP32C, 1800, (Mount(0.0, 1.95), Mount(0.0, 1.86, flipped=True))),  # two scanners, one on its head
    Lidar(_even(-15, 15, 16), 1800),
    Lidar(VLP32C, 1800),
    Lidar(_even(-30.67, 10.67, 32), 2170),
    Lidar(_even(-24.33, -8.83, 32) + _even(-8.33, 2, 32), 1900),  # 64 beams in two blocks
    Lidar(_even(-22.5, 22.5, 64), 1024),
    Lidar(_even(-16.6, 16.6, 64), 1024),
    Lidar(_dense_middle(-25, 15, 128), 1024),
)


def sweep(world: World, lidar: Lidar, turn: Array, place: Array, time: float, rng: np.random.Generator) -> Returns:
    """One turn of all scanners of a vehicle at `place`, oriented by `turn` (3, 3)."""
    parts = [_scan(world, lidar, mount, turn, place, time, rng) for mount in lidar.mounts]
    return join(parts)


def accumulate(world: World, lidar: Lidar, drive: Drive, times: Sequence[float], rng: np.random.Generator,
               compensated: bool) -> Returns:  # fmt: skip
    """Several sweeps in one cloud; movers leave a smear unless `compensated` brings them to where they are at 0 s."""
    returns = join([sweep(world, lidar, *drive(time), time, rng) for time in times])
    if compensated:
        for mover in world.movers:
            own = returns.label == mover.label
            returns.xyz[own, :2] -= mover.velocity * returns.time[own, None]
    return returns


def join(parts: Sequence[Returns]) -> Returns:
    """Several clouds one after another."""
    return Returns(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("xyz", "label", "intensity", "time"))
    )


def _scan(world: World, lidar: Lidar, mount: Mount, turn: Array, place: Array, time: float,
          rng: np.random.Generator) -> Returns:  # fmt: skip
    directions = lidar.directions(mount, rng)
    grid = directions.shape[:2]
    flat = directions.reshape(-1, 3)
    seen = ~_own_vehicle(flat, mount)
    rays = np.empty((len(flat), 6), np.float32)
    rays[:, :3], rays[:, 3:] = place + turn @ np.array([mount.x, 0, mount.z], np.float32), flat @ turn.T
    hits = world.cast(rays, time)
    distance, label = _mixed(hits.t.reshape(grid), hits.label.reshape(grid), lidar, rng)
    facing = np.abs(np.einsum("ij,ij->i", rays[:, 3:], hits.normal))
    albedo = hits.rgb.mean(axis=1, dtype=np.float32)
    kept = seen & (distance > lidar.nearest) & _returned(distance, albedo, facing, lidar, rng)
    noisy = distance + rng.normal(0, lidar.noise, len(distance)).astype(np.float32)
    xyz = rays[kept, :3] + rays[kept, 3:] * noisy[kept, None]
    shine = np.clip(albedo[kept] * (0.3 + 0.7 * facing[kept]) * rng.normal(1, 0.08, kept.sum()), 0, 1)
    return Returns(xyz, label[kept], shine.astype(np.float32), np.full(kept.sum(), time, np.float32))


def _returned(
    distance: Array, albedo: Array, facing: Array, lidar: Lidar, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The radar equation: what comes back falls with darkness, grazing incidence and the square of range."""
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = albedo / 0.1 * (0.15 + 0.85 * facing) * np.sqrt(facing) * (lidar.reach / distance) ** 2
    chance = 0.995 * (1 - np.exp(-0.7 * np.nan_to_num(strength, posinf=0.0)))
    chance[albedo < 0.02] *= 0.3  # glass lets most of the light through, wherever it stands
    return np.isfinite(distance) & (rng.random(len(distance)) < chance)


def _mixed(
    distance: Array, label: NDArray[np.int32], lidar: Lidar, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int32]]:
    """At an edge a beam lights two surfaces: close ones give one echo between them, far ones two separate echoes."""
    beside, other = np.roll(distance, 1, axis=1), np.roll(label, 1, axis=1)
    with np.errstate(invalid="ignore"):
        gap = np.abs(beside - distance)
    edge = np.isfinite(gap) & (gap > 0.2) & (gap < 1.5) & (rng.random(gap.shape) < lidar.mixed)
    share = np.where(edge, rng.random(gap.shape), 0).astype(np.float32)
    between = distance.copy()
    between[edge] += share[edge] * (beside[edge] - distance[edge])
    return between.reshape(-1).astype(np.float32), np.where(share > 0.5, other, label).reshape(-1)


def _own_vehicle(directions: Array, mount: Mount) -> NDArray[np.bool_]:
    """Beams that end on the roof or bonnet of the vehicle that carries the scanner."""
    size = min(mount.z / 1.9, 1.0) ** 2  # a low scanner rides on a small robot
    with np.errstate(divide="ignore"):
        t = -mount.above * size / directions[:, 2]
    at = directions * t[:, None]
    ahead = (at[:, 0] > -2.6 * size) & (at[:, 0] < 1.4 * size)
    hidden: NDArray[np.bool_] = (directions[:, 2] < 0) & ahead & (np.abs(at[:, 1]) < 0.85 * size)
    return hidden


def _towards(rays: Array, centre: Array, radius: float) -> NDArray[np.int64]:
    """Rays that pass a ball."""
    away = centre - rays[:, :3]
    along = np.einsum("ij,ij->i", away, rays[:, 3:])
    square = np.einsum("ij,ij->i", away, away) - along**2
    return np.flatnonzero((along > 0) & (square < radius**2))


def _overlay(hits: Hits, index: NDArray[np.int64], front: Hits) -> None:
    nearer = front.t < hits.t[index]
    at = index[nearer]
    hits.t[at], hits.label[at] = front.t[nearer], front.label[nearer]
    hits.rgb[at], hits.normal[at] = front.rgb[nearer], front.normal[nearer]
