"""Household clutter: heaps that lie as they fell, bins full of things, shelves seen from the front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.mesh import Mesh, box, merge, pose, transform
from iseg3d_ros.scenes.procedural_furniture import shelf
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.surfaces import Support, stand
from iseg3d_ros.scenes.tabletop_objects import Thing, paint, thing

CELL = 0.01  # metres of the height map on which things fall
_SAMPLES = 500  # points that stand for a thing's surface when it falls


class HeightMap:
    """What is highest where, over a square on a table."""

    def __init__(self, middle: NDArray[np.float64], side: float, level: float) -> None:
        self.corner, self.side = middle - side / 2, side
        count = int(side / CELL) + 1
        self.height = np.full((count, count), level)

    def drop(self, points: NDArray[np.float64], spots: NDArray[np.float64]) -> tuple[float, float, float]:
        """Lets a thing (points on its surface) fall at the lowest of some spots; gives where it comes to rest."""
        rests = [self._rest(points, spot) for spot in spots]
        best = int(np.argmin(rests))
        i, j = self._cells(points, spots[best])
        np.maximum.at(self.height, (i, j), rests[best] + points[:, 2])
        return float(spots[best, 0]), float(spots[best, 1]), float(rests[best])

    def _rest(self, points: NDArray[np.float64], spot: NDArray[np.float64]) -> float:
        i, j = self._cells(points, spot)
        return float((self.height[i, j] - points[:, 2]).max())

    def _cells(self, points: NDArray[np.float64], spot: NDArray[np.float64]) -> tuple[NDArray[np.int64], ...]:
        last = len(self.height) - 1
        cells = np.clip(((points[:, :2] + spot - self.corner) / CELL).astype(np.int64), 0, last)
        return cells[:, 0], cells[:, 1]


def heap(world: Composition, middle: NDArray[np.float64], level: float, count: int, rng: np.random.Generator,
         models: Sequence[Model]) -> None:
    """Things fallen on and beside each other; every third heap lies in a bin."""
    side = rng.uniform(0.15, 0.2) + 0.1 * np.sqrt(count)
    field = HeightMap(middle, side + 0.6, level)
    if rng.random() < 0.35:
        walls = _bin(rng, side)
        world.add(transform(walls, pose(middle[0], middle[1], level)), class_name="bin")
        field.drop(_surface(walls, rng, 20_000) + [0, 0, 1e-3], middle[None])
    for _ in range(count):
        item = thing(rng, models)
        turned = _turned(item, rng)
        reach = max(side / 2 - item.radius * 0.7, 0.02)
        spots = middle + rng.uniform(-reach, reach, (int(rng.integers(1, 6)), 2))
        x, y, z = field.drop(_surface(turned, rng, _SAMPLES), spots)
        if z < level + 0.45:
            world.add(transform(turned, pose(x, y, z + 5e-4)), class_name=item.name)


def _bin(rng: np.random.Generator, side: float) -> Mesh:
    """An open box or tray."""
    width, depth, height, wall = side * 1.1, side * rng.uniform(0.7, 1.1), rng.uniform(0.05, 0.25), 0.008
    colour = paint(rng)
    parts = [box([width, depth, wall], colour)]
    for sign in (-1, 1):
        parts.append(transform(box([width, wall, height], colour), pose(0, sign * depth / 2)))
        parts.append(transform(box([wall, depth, height], colour), pose(sign * width / 2, 0)))
    return merge(parts)


def _turned(item: Thing, rng: np.random.Generator) -> Mesh:
    """As it stands, or lying on a side, or tilted as things in a heap are."""
    kind = rng.random()
    pitch, roll = 0.0, 0.0
    if kind < 0.35:
        roll = float(rng.choice([-1, 1])) * np.pi / 2
    if kind > 0.6:
        pitch, roll = rng.normal(0, 0.3), rng.normal(0, 0.3)
    body = transform(transform(item.mesh, pose(roll=roll)), pose(yaw=rng.uniform(0, 2 * np.pi), pitch=pitch))
    low, high = body.bounds
    centre = (low + high) / 2
    return transform(body, pose(-centre[0], -centre[1], -low[2]))


def _surface(body: Mesh, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Points spread evenly over the faces, and all corners."""
    corner = body.vertices[body.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    u = np.sqrt(rng.random((count, 1)))
    v = rng.random((count, 1))
    a, b, c = corner[face, 0], corner[face, 1], corner[face, 2]
    return np.concatenate([(1 - u) * a + u * (1 - v) * b + u * v * c, body.vertices])


def filled_shelf(world: Composition, rng: np.random.Generator, models: Sequence[Model]) -> NDArray[np.float64]:
    """A shelf with its back at +y, things on all its boards; gives a point in it to look at."""
    body = shelf(rng)
    world.add(body, label=0)
    low, high = body.bounds
    size = (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2]))
    things = [thing(rng, models) for _ in range(int(rng.integers(8, 30)))]
    world.build()
    for spot in stand(world, [Support(0.0, 0.0, 0.0, size, things, levels=True)], rng):
        world.add(transform(spot.thing.mesh, pose(spot.x, spot.y, spot.z, spot.yaw)), class_name=spot.thing.name)
    return np.array([0.0, 0.0, float(rng.uniform(0.3, 0.8)) * size[2]])
