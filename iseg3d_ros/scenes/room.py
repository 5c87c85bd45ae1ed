"""Whole rooms as a hand-held RGB-D camera scans them: many fused views, holes, thick walls, blurred colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.furnish import Furnisher
from iseg3d_ros.scenes.render import Composition, pinhole
from iseg3d_ros.scenes.rgbd import Camera, View, exposed, light, look
from iseg3d_ros.scenes.room_shell import THICK, Shell, build_shell, hang, shell

WIDTH = 160  # pixels of a view: 20 of them give what fusion at this cell keeps


def room(rng: np.random.Generator, models: Sequence[Model] = ()) -> LabelledCloud:
    """One furnished room, in one of five scenes two with an opening between them; walls and floors are objects."""
    world = Composition()
    furnishers = [_furnished(world, part, rng, models, wall) for part, wall in _parts(rng)]
    world.build()
    for furnisher in furnishers:
        furnisher.load()
    world.build()
    views, eyes = [], []
    sensor, lit = Camera(WIDTH, WIDTH * 3 // 4, noise=float(rng.uniform(0.2, 0.6)), reach=5.5), light(rng)
    for furnisher in furnishers:
        for eye, target in _stations(world, furnisher, rng):
            eyes.append(eye)
            views.append(look(world, eye, target, sensor, lit, rng))
    views = [view for view in views if len(view.xyz)]
    if not views:  # a room so full that no camera saw anything: another one
        return room(rng, models)
    parts = [furnisher.room for furnisher in furnishers]
    area = sum(part.width * part.depth for part in parts)
    cell = rng.uniform(0.015, 0.022) * max(1.0, np.sqrt(area / 25))  # some 250,000 points at most
    view = _inside(fused(views, float(cell), rng), parts)
    return _cloud(view, world, eyes[0], rng)


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
    part, wanted = furnisher.room, int(rng.integers(15, 26))
    spots = part.corner + rng.uniform(0.2, [part.width - 0.2, part.depth - 0.2], (wanted * 4, 2))
    spots = np.array([spot for spot in spots if furnisher.plan.free(*spot)]).reshape(-1, 2)
    eyes = np.column_stack([spots, rng.uniform(1.0, 1.9, len(spots))])
    targets = [_target(furnisher, rng) for _ in eyes]
    if len(eyes):
        rays = np.concatenate([pinhole(eye, target, 8, 6, 6.0) for eye, target in zip(eyes, targets)])
        near = world.distance(rays).reshape(len(eyes), -1)
        good = (np.sort(near, axis=1)[:, near.shape[1] * 3 // 10] > 0.7) & (near.min(axis=1) > 0.3)
        if good.any():
            return [(eyes[k], targets[k]) for k in np.flatnonzero(good)[:wanted]]
    middle = np.array([part.corner[0] + part.width / 2, part.corner[1] + part.depth / 2, 1.6])
    return [(middle, middle + [1, turn, -0.5]) for turn in (-1.0, 0.0, 1.0)]


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
    first, inverse, count = _cells(xyz, cell)
    # A surface seen once is noise to most fusions: part of it is lost.
    kept = (count > 1) | (rng.random(len(count)) < rng.choice([0.2, 0.6, 0.95]))
    kept &= _in_company(xyz[first], cell)
    middle, colour, label = _means(xyz, inverse, count)[kept], _means(rgb, inverse, count)[kept], label[first][kept]
    if rng.random() < 0.7 and len(middle):  # fused colours are blurred: mix with those of larger cells
        _, wide, many = _cells(middle, cell * rng.uniform(2, 4))
        share = rng.uniform(0.3, 0.8)
        colour = (1 - share) * colour + share * _means(colour, wide, many)[wide]
    return View(middle, exposed(colour, rng), label)


def _inside(view: View, parts: Sequence[Shell], margin: float = 0.3) -> View:
    """Without the few points that float far outside the rooms."""
    low = np.array([*np.min([part.corner for part in parts], axis=0), 0.0]) - margin
    ends = [(part.corner[0] + part.width, part.corner[1] + part.depth, part.height) for part in parts]
    kept = ((view.xyz > low) & (view.xyz < np.max(ends, axis=0) + margin)).all(axis=1)
    return View(view.xyz[kept], view.rgb[kept], view.label[kept])


def _cells(xyz: NDArray[np.float64], cell: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of a grid's occupied cells: a point of each, the cell of every point, points in each."""
    place = np.floor((xyz - xyz.min(0)) / cell).astype(np.int64)
    key = (place[:, 0] << 42) | (place[:, 1] << 21) | place[:, 2]
    _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return first, inverse.ravel(), count


def _in_company(xyz: NDArray[np.float64], cell: float) -> NDArray[np.bool_]:
    """Which points have others near: no fusion makes a surface of one that floats alone."""
    _, wide, many = _cells(xyz, 4 * cell)
    company: NDArray[np.bool_] = many[wide] >= 4
    return company


def _drifted(xyz: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A view after a pose error of a few millimetres and milliradians."""
    x, y, z = rng.normal(0, 0.0025, 3)
    turned = np.eye(3) + [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    middle = xyz.mean(0)
    return (xyz - middle) @ turned.T + middle + rng.normal(0, 0.004, 3)


def _means(values: NDArray[np.float64], inverse: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    flat = inverse.ravel()
    return np.stack([np.bincount(flat, column, len(count)) / count for column in values.T], 1)


def _cloud(view: View, world: Composition, eye: NDArray[np.float64], rng: np.random.Generator) -> LabelledCloud:
    rgb = None if rng.random() < 0.05 else (view.rgb * 255).astype(np.uint8)
    return LabelledCloud(
        "", view.xyz.astype(np.float32), rgb, None, view.label.astype(np.int32), tuple(world.classes), "room",
        eye.astype(np.float32),
    )  # fmt: skip
