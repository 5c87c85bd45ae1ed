"""Whole rooms as a hand-held RGB-D camera scans them: many fused views, holes, thick walls, blurred colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.furnish import Furnisher
from iseg3d_ros.scenes.render import Composition, pinhole
from iseg3d_ros.scenes.rgbd import Camera, View, light, look
from iseg3d_ros.scenes.shell import THICK, Shell, build_shell, hang, shell

WIDTH = 176  # pixels of a view: 20 of them give what fusion at this cell keeps


def room(rng: np.random.Generator, models: Sequence[Model] = ()) -> LabelledCloud:
    """One furnished room, in one of five scenes two with an opening between them; walls and floors are objects."""
    world = Composition()
    furnishers = [_furnished(world, part, rng, models, wall) for part, wall in _parts(rng)]
    world.build()
    views, eyes = [], []
    sensor, lit = Camera(WIDTH, WIDTH * 3 // 4, noise=float(rng.uniform(0.2, 0.6)), reach=5.5), light(rng)
    for furnisher in furnishers:
        for eye, target in _stations(world, furnisher, rng):
            eyes.append(eye)
            views.append(look(world, eye, target, sensor, lit, rng))
    return _cloud(fused(views, float(rng.uniform(0.015, 0.022)), rng), world, eyes[0], rng)


def _parts(rng: np.random.Generator) -> list[tuple[Shell, int | None]]:
    """One room, or two side by side along x with the wall between them open."""
    first = shell(rng, (0.0, 0.0))
    if rng.random() > 0.2:
        return [(first, None)]
    second = shell(rng, (first.width + THICK, 0.0))
    return [(first, 3), (second, 1)]


def _furnished(
    world: Composition, part: Shell, rng: np.random.Generator, models: Sequence[Model], open_wall: int | None
) -> Furnisher:
    build_shell(world, part, rng, open_wall)
    furnisher = Furnisher(world, part, rng, models)
    furnisher.fill()
    hang(world, part, rng)
    return furnisher


def _stations(
    world: Composition, furnisher: Furnisher, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Where the camera stands and looks: from free floor at things and at the shell, never into a close surface."""
    part, wanted = furnisher.room, int(rng.integers(14, 28))
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for _ in range(wanted * 8):
        x, y = part.corner + rng.uniform(0.25, [part.width - 0.25, part.depth - 0.25])
        if len(found) == wanted or not furnisher.plan.free(x, y):
            continue
        eye = np.array([x, y, rng.uniform(0.9, 1.8)])
        near = world.distance(pinhole(eye, target := _target(furnisher, rng), 8, 6, 6.0))
        if np.sort(near)[len(near) * 3 // 10] > 0.9 and near.min() > 0.3:
            found.append((eye, target))
    middle = np.array([part.corner[0] + part.width / 2, part.corner[1] + part.depth / 2, 1.6])
    return found or [(middle, middle + [1, turn, -0.5]) for turn in (-1.0, 0.0, 1.0)]


def _target(furnisher: Furnisher, rng: np.random.Generator) -> NDArray[np.float64]:
    part = furnisher.room
    if furnisher.seen and rng.random() < 0.6:
        return furnisher.seen[rng.integers(len(furnisher.seen))] + rng.normal(0, 0.2, 3)
    low = np.array([*part.corner, 0.0])
    return low + rng.uniform(0, 1, 3) * [part.width, part.depth, part.height]


def fused(views: Sequence[View], cell: float, rng: np.random.Generator) -> View:
    """What fusion makes of the views: each a little off, means of points and colours in every cell of a grid."""
    moved = [_drifted(view.xyz, rng) for view in views]
    xyz, rgb = np.concatenate(moved), np.concatenate([view.rgb for view in views])
    label = np.concatenate([view.label for view in views])
    place = np.floor((xyz - xyz.min(0)) / cell).astype(np.int64)
    key = (place[:, 0] << 42) | (place[:, 1] << 21) | place[:, 2]
    _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    kept = count >= (2 if rng.random() < 0.7 else 1)  # a surface seen once is noise to most fusions
    return View(_means(xyz, inverse, count)[kept], _means(rgb, inverse, count)[kept], label[first][kept])


def _drifted(xyz: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A view after a pose error of a few millimetres and milliradians."""
    turn = rng.normal(0, 0.0025, 3)
    return xyz + np.cross(turn, xyz - xyz.mean(0)) + rng.normal(0, 0.004, 3)


def _means(values: NDArray[np.float64], inverse: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    flat = inverse.ravel()
    return np.stack([np.bincount(flat, column, len(count)) / count for column in values.T], 1)


def _cloud(view: View, world: Composition, eye: NDArray[np.float64], rng: np.random.Generator) -> LabelledCloud:
    rgb = None if rng.random() < 0.05 else (view.rgb * 255).astype(np.uint8)
    return LabelledCloud(
        "", view.xyz.astype(np.float32), rgb, None, view.label.astype(np.int32), tuple(world.classes), "room",
        eye.astype(np.float32),
    )  # fmt: skip
