"""The shell of a room: floor, ceiling, four walls, each an object; doors, windows, curtains and pictures on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.mesh import Mesh, box, pose
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.tabletop_objects import paint, printed

THICK = 0.1  # metres of wall


@dataclass(frozen=True)
class Shell:
    """Inner measures of one room whose corner is at `corner`."""

    corner: tuple[float, float]
    width: float  # along x
    depth: float  # along y
    height: float
    paint: NDArray[np.float64]  # of its walls

    def on_wall(self, wall: int, along: float, off: float) -> tuple[float, float, float]:
        """x, y and yaw of something `off` metres before a wall (0: y high, 1: x low, 2: y low, 3: x high)."""
        x, y = [
            (along, self.depth - off), (off, along), (along, off), (self.width - off, along),
        ][wall]  # fmt: skip
        return self.corner[0] + x, self.corner[1] + y, wall * np.pi / 2

    def length(self, wall: int) -> float:
        """Metres of one wall."""
        return self.width if wall % 2 == 0 else self.depth


def shell(rng: np.random.Generator, corner: tuple[float, float]) -> Shell:
    """From a bathroom's size to a large office's."""
    width, depth = np.exp(rng.uniform(np.log(2.2), np.log(7.5), 2))
    wall_paint = np.clip(rng.uniform(0.5, 0.97) + rng.normal(0, 0.06, 3), 0, 1)
    return Shell(corner, float(width), float(depth), float(rng.uniform(2.3, 3.2)), wall_paint)


def build_shell(world: Composition, room: Shell, rng: np.random.Generator, open_wall: int | None = None) -> None:
    """Floor, ceiling and walls of thin boxes; through `open_wall` one sees into the next room."""
    (x, y), w, d, h = room.corner, room.width, room.depth, room.height
    floor = [_boards(rng)]
    world.add(box([w, d, THICK], textures=floor), pose(x + w / 2, y + d / 2, -THICK), class_name="floor")
    if rng.random() < 0.4:
        ceiling = np.clip(rng.uniform(0.8, 0.98) + rng.normal(0, 0.02, 3), 0, 1)
        world.add(box([w, d, THICK], ceiling), pose(x + w / 2, y + d / 2, h), class_name="ceiling")
    for wall in range(4):
        accent = paint(rng) if rng.random() < 0.15 else room.paint
        label = world.new_label("wall")
        gap = (0.25, 0.25 + min(0.45, 1.2 / room.length(wall))) if wall == open_wall else None
        for low, high in [(0.0, 1.0)] if gap is None else [(0.0, gap[0]), (gap[1], 1.0)]:
            length = (high - low) * (room.length(wall) + 2 * THICK)
            centre = (low + high) / 2 * (room.length(wall) + 2 * THICK) - THICK
            place = room.on_wall(wall, centre, -THICK / 2)
            world.add(box([length, THICK, h], accent), pose(place[0], place[1], 0, place[2]), label=label)


def jut(room: Shell, rng: np.random.Generator) -> Iterator[tuple[Mesh, tuple[float, float, float], float, float]]:
    """Pillars, chimneys and short walls that stand out of a wall: body, place, width, depth."""
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        wall, width, depth = int(rng.integers(4)), float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.08, 0.6))
        if width > room.length(wall) - 1.0:
            continue
        along = rng.uniform(0, room.length(wall)) if rng.random() < 0.6 else rng.choice([0.0, room.length(wall)])
        along = float(np.clip(along, width / 2, room.length(wall) - width / 2))
        colour = np.clip(room.paint * rng.uniform(0.9, 1.05), 0, 1)
        yield box([width, depth, room.height], colour), room.on_wall(wall, along, depth / 2), width, depth


def hang(world: Composition, room: Shell, rng: np.random.Generator) -> None:
    """Pictures, boards, curtains, panels, switches: flat things on the walls, many in the wall's own colour."""
    for _ in range(rng.integers(0, 10)):
        wall = int(rng.integers(4))
        curtain = rng.random() < 0.25
        width = rng.uniform(0.5, 1.6) if curtain else np.exp(rng.uniform(-2.2, 0.6))
        height = rng.uniform(1.6, room.height - 0.1) if curtain else width * rng.uniform(0.5, 1.4)
        bottom = 0.05 if curtain else rng.uniform(0.3, max(1.05, room.height - 0.1 - height))
        thick = rng.uniform(0.06, 0.12) if curtain else rng.uniform(0.002, 0.04)
        if width > room.length(wall) - 0.4 or bottom + height > room.height:
            continue
        along = rng.uniform(width / 2 + 0.1, room.length(wall) - width / 2 - 0.1)
        x, y, yaw = room.on_wall(wall, along, thick / 2)
        colour = paint(rng) if rng.random() < 0.6 else np.clip(room.paint * rng.uniform(0.8, 1.1), 0, 1)
        body = box([width, thick, height], colour, None if curtain else [printed(rng, colour)])
        world.add(body, pose(x, y, bottom, yaw), class_name="curtain" if curtain else "picture")


def _boards(rng: np.random.Generator, side: int = 48) -> NDArray[np.uint8]:
    """Wooden boards, tiles, or plain carpet."""
    base = rng.uniform(0.2, 0.75) * np.array([1, rng.uniform(0.75, 1), rng.uniform(0.5, 1)])
    image = np.tile(base, (side, side, 1))
    if rng.random() < 0.6:
        image *= rng.uniform(0.85, 1.15, (side, 1, 1)).repeat(4, 0)[:side]
    image = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1) * 255
    return np.concatenate([image, np.full((side, side, 1), 255.0)], 2).astype(np.uint8)
