"""Table tops as a manipulation robot sees them: things single, stacked, leaning, touching; one view, or a few fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.clutter import filled_shelf, heap
from iseg3d_ros.scenes.mesh import box, plane, pose, transform
from iseg3d_ros.scenes.procedural_furniture import wood
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.rgbd import View, camera, exposed, fuse, light, look
from iseg3d_ros.scenes.tabletop_objects import Thing, paint, printed, thing

COUNTS = (2, 3, 4, 5, 6, 8, 10, 13, 17, 20)
CELL = 0.003  # metres between the points of fused views
SEEN = 100  # points that the best seen thing must have
SMALL = 0.35  # catalogue models up to this size stand on tables


HEAPS = (0.1, 0.4)  # of the draws from 0 to 1: below are shelves, above are things put down


def heap_of_things(rng: np.random.Generator, models: Sequence[Model] = ()) -> LabelledCloud:
    """A table top with a heap, or a bin full of things."""
    return tabletop(rng, models, HEAPS)


def tabletop(
    rng: np.random.Generator, models: Sequence[Model] = (), styles: tuple[float, float] = (0.0, 1.0)
) -> LabelledCloud:
    """A table with things on it, z up; the table and what is behind it are background. Sometimes a shelf instead."""
    small = [m for m in models if 0.04 < max(m.size) < SMALL and m.elevation == 0]
    world, style, count = Composition(), rng.uniform(*styles), int(rng.choice(COUNTS))
    board = None
    if style < HEAPS[0]:
        world.add(plane(6, 6, paint(rng)), label=0)
        middle = filled_shelf(world, rng, small)
    else:
        board = _table(world, rng)
        middle = np.array([*rng.uniform(-0.15, 0.15, 2), board[2] + 0.03])
        if style < HEAPS[1]:
            heap(world, middle[:2], board[2], count + 3, rng, small)
        else:
            _Arrangement(world, board, middle[:2], rng, small).fill(count)
    view, eye = _scan(world.build(), middle, rng)
    view = _cropped(view, board, rng)
    if np.bincount(view.label, minlength=2)[1:].max() < SEEN:  # nothing to click on: another one
        return tabletop(rng, models, styles)
    return _cloud(view, world, eye, rng)


def _cloud(view: View, world: Composition, eye: NDArray[np.float64], rng: np.random.Generator) -> LabelledCloud:
    rgb = None if rng.random() < 0.1 else (exposed(view.rgb, rng, 0.25, 0.65) * 255).astype(np.uint8)
    return LabelledCloud(
        "", view.xyz.astype(np.float32), rgb, None, view.label.astype(np.int32), tuple(world.classes), "tabletop",
        eye.astype(np.float32),
    )  # fmt: skip


def _cropped(view: View, board: tuple[float, float, float] | None, rng: np.random.Generator) -> View:
    """Half of the time what is not on the table is cut away, as a robot's pass-through filter does."""
    if board is None or rng.random() < 0.5:
        return view
    kept = (np.abs(view.xyz[:, :2]) < np.array(board[:2]) / 2 + 0.02).all(axis=1) & (view.xyz[:, 2] > board[2] - 0.05)
    return View(view.xyz[kept], view.rgb[kept], view.label[kept])


def _table(world: Composition, rng: np.random.Generator) -> tuple[float, float, float]:
    """A board, most often over a floor and sometimes before a wall; its width, depth and height."""
    width, depth, height = rng.uniform(0.7, 2.2), rng.uniform(0.6, 1.4), rng.uniform(0.5, 0.9)
    colour = wood(rng) if rng.random() < 0.6 else paint(rng)
    colour = colour + rng.uniform(0, 0.8) * (colour.mean() - colour)  # few tables are of strong colours
    pattern = [printed(rng, colour)] if rng.random() < 0.15 else None
    world.add(box([width, depth, 0.03], colour, pattern), pose(0, 0, height - 0.03), label=0)
    if rng.random() < 0.8:
        world.add(plane(6, 6, paint(rng)), label=0)
    if rng.random() < 0.4:
        world.add(box([5, 0.1, 3], paint(rng)), pose(0, depth / 2 + rng.uniform(0.05, 0.8)), label=0)
    return width, depth, height


class _Arrangement:
    """Puts things on a table, one after the other, without pushing them into each other."""

    def __init__(
        self, world: Composition, table: tuple[float, float, float], middle: NDArray[np.float64],
        rng: np.random.Generator, models: Sequence[Model],
    ) -> None:  # fmt: skip
        self.world, self.rng, self.models = world, rng, models
        self.width, self.depth, self.height = table
        self.middle = middle
        self.spread = rng.uniform(0.1, 0.45)
        self.crowded = rng.random() < 0.6
        self.placed: list[tuple[float, float, float]] = []  # x, y, radius
        self.tops: list[tuple[float, float, float, float]] = []  # x, y, z, half width of free tops

    def fill(self, count: int) -> None:
        """Place up to `count` things."""
        for _ in range(count * 12):
            if len(self.placed) >= count:
                break
            item = thing(self.rng, self.models)
            if not self._stack(item):
                self._stand(item)

    def _stack(self, item: Thing) -> bool:
        """On a free top, now and then even on one that is smaller."""
        if not self.tops or self.rng.random() > 0.3:
            return False
        index = int(self.rng.integers(len(self.tops)))
        x, y, z, half = self.tops[index]
        if item.radius > 1.5 * half and self.rng.random() > 0.2:
            return False
        self.tops.pop(index)
        x, y = np.array([x, y]) + self.rng.normal(0, 0.2 * half, 2)
        self._put(item, float(x), float(y), z + 5e-4, 0.0)
        return True

    def _stand(self, item: Thing) -> None:
        """On the table, beside another thing where it is crowded; a few lean."""
        x, y = self._beside(item) if self.crowded and self.placed else self._anywhere()
        outside = abs(x) > self.width / 2 - 0.02 or abs(y) > self.depth / 2 - 0.02
        if outside or any(np.hypot(x - a, y - b) < 0.72 * (item.radius + r) for a, b, r in self.placed):
            return
        lean = float(self.rng.uniform(0.1, 0.35)) if self.rng.random() < 0.06 else 0.0
        self._put(item, x, y, self.height + (0.02 if lean else 0.0), lean)

    def _put(self, item: Thing, x: float, y: float, z: float, lean: float) -> None:
        place = pose(x, y, z, self.rng.uniform(0, 2 * np.pi), pitch=lean)
        self.world.add(transform(item.mesh, place), class_name=item.name)
        self.placed.append((x, y, item.radius))
        if item.top > 0.02 and not lean:
            self.tops.append((x, y, z + item.height, item.top))

    def _beside(self, item: Thing) -> tuple[float, float]:
        x, y, radius = self.placed[self.rng.integers(len(self.placed))]
        angle, apart = self.rng.uniform(0, 2 * np.pi), (radius + item.radius) * self.rng.uniform(0.75, 1.0)
        return float(x + apart * np.cos(angle)), float(y + apart * np.sin(angle))

    def _anywhere(self) -> tuple[float, float]:
        x, y = self.middle + self.rng.normal(0, [self.spread, 0.7 * self.spread])
        return float(x), float(y)


def _scan(
    world: Composition, middle: NDArray[np.float64], rng: np.random.Generator
) -> tuple[View, NDArray[np.float64]]:
    """One view from the table's front in four of five scenes, otherwise two to five fused."""
    sensor, lit = camera(rng), light(rng)
    count = 1 if rng.random() < 0.8 else int(rng.integers(2, 6))
    yaw, pitch, away = rng.uniform(-0.8, 0.8) - np.pi / 2, rng.uniform(0.35, 1.15), rng.uniform(0.6, 1.4)
    views, eyes = [], []
    for index in range(count):
        angle = yaw + index * rng.uniform(0.5, 1.5)
        target = middle + rng.normal(0, 0.05, 3)
        level = np.array([np.cos(angle) * np.cos(pitch), np.sin(angle) * np.cos(pitch), np.sin(pitch)])
        eyes.append(target + away * level)
        views.append(look(world, eyes[-1], target, sensor, lit, rng))
    return (views[0] if count == 1 else fuse(views, CELL, rng)), eyes[0]
