"""Furniture and fittings made from plain bodies: they stand in where no catalogue is, and add sizes it does not hold.

All stand on z = 0, centred in x and y, with their back at +y, as the catalogue's models do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.mesh import Mesh, box, cylinder, ground, merge, mesh, pose, sphere, stretch, transform
from iseg3d_ros.scenes.tabletop_objects import paint, printed

Maker = Callable[[np.random.Generator], Mesh]
WOOD = np.array([[0.45, 0.3, 0.18], [0.65, 0.48, 0.3], [0.3, 0.19, 0.12], [0.8, 0.68, 0.5], [0.92, 0.92, 0.9]])


def wood(rng: np.random.Generator) -> NDArray[np.float64]:
    """Wood or white lacquer; now and then any paint."""
    if rng.random() < 0.2:
        return paint(rng)
    return np.clip(WOOD[rng.integers(len(WOOD))] * rng.uniform(0.7, 1.15) + rng.normal(0, 0.02, 3), 0.02, 1)


def _at(body: Mesh, x: float, y: float, z: float) -> Mesh:
    return transform(body, pose(x, y, z))


def _legs(width: float, depth: float, height: float, thick: float, colour: Sequence[float] | np.ndarray) -> list[Mesh]:
    x, y = width / 2 - thick, depth / 2 - thick
    return [_at(box([thick, thick, height], colour), sx * x, sy * y, 0) for sx in (-1, 1) for sy in (-1, 1)]


def table(rng: np.random.Generator, width: float = 0, height: float = 0) -> Mesh:
    """A board on four legs or on one foot, square or round."""
    width = width or rng.uniform(0.7, 2.2)
    depth, height = min(width, rng.uniform(0.6, 1.1)), height or rng.uniform(0.68, 0.78)
    colour, under, thick = wood(rng), wood(rng), rng.uniform(0.02, 0.05)
    if rng.random() < 0.25:
        top = _at(cylinder(depth / 2, thick, colour, 24), 0, 0, height - thick)
        return merge([top, cylinder(0.05, height, under, 10), cylinder(depth / 4, 0.03, under, 16)])
    top = _at(box([width, depth, thick], colour), 0, 0, height - thick)
    return merge([top, *_legs(width, depth, height - thick, rng.uniform(0.03, 0.08), under)])


def coffee_table(rng: np.random.Generator) -> Mesh:
    """A low table."""
    return table(rng, rng.uniform(0.5, 1.2), rng.uniform(0.35, 0.5))


def desk(rng: np.random.Generator) -> Mesh:
    """A table with drawers under one side, or a back board."""
    width = rng.uniform(1.0, 1.8)
    body = merge([_at(box([width, 0.7, 0.03], wood(rng)), 0, 0, 0.71), *_legs(width, 0.7, 0.71, 0.04, paint(rng))])
    if rng.random() < 0.5:
        body = merge([body, _at(box([0.4, 0.55, 0.6], wood(rng)), width / 2 - 0.25, 0.02, 0.05)])
    return body


def chair(rng: np.random.Generator) -> Mesh:
    """Seat, back and four legs, or a foot with wheels and arm rests."""
    side, seat, colour = rng.uniform(0.4, 0.52), rng.uniform(0.4, 0.5), paint(rng)
    thick = rng.uniform(0.02, 0.09)
    parts = [_at(box([side, side, thick], colour), 0, 0, seat - thick)]
    back = box([side * rng.uniform(0.8, 1), 0.04, rng.uniform(0.35, 0.6)], colour)
    parts.append(transform(back, pose(0, side / 2 - 0.02, seat + rng.choice([0.0, 0.1]), roll=-rng.uniform(0, 0.2))))
    if rng.random() < 0.6:
        return merge([*parts, *_legs(side, side, seat - thick, 0.035, wood(rng))])
    parts.append(_at(cylinder(0.03, seat - 0.05, (0.1, 0.1, 0.1), 8), 0, 0, 0.04))
    for turn in np.arange(5) * 2 * np.pi / 5:
        parts.append(transform(box([0.32, 0.05, 0.05], (0.1, 0.1, 0.1)),
                               pose(0.15 * np.cos(turn), 0.15 * np.sin(turn), 0.04, turn)))
    for x in (-side / 2, side / 2) if rng.random() < 0.6 else ():
        parts.append(_at(box([0.05, side * 0.7, 0.22], (0.12, 0.12, 0.12)), x, 0, seat))
    return merge(parts)


def sofa(rng: np.random.Generator, width: float = 0) -> Mesh:
    """Seat, back and arms; one to three seats."""
    width, depth, colour = width or rng.uniform(1.4, 2.3), rng.uniform(0.75, 1.0), paint(rng)
    seat, arm = rng.uniform(0.36, 0.46), rng.uniform(0.1, 0.25)
    parts = [box([width, depth, seat], colour),
             _at(box([width, 0.2, rng.uniform(0.7, 0.95)], colour), 0, depth / 2 - 0.1, 0)]
    parts += [_at(box([arm, depth, rng.uniform(0.52, 0.65)], colour), s * (width - arm) / 2, 0, 0) for s in (-1, 1)]
    return merge(parts)


def armchair(rng: np.random.Generator) -> Mesh:
    """A sofa for one."""
    return sofa(rng, rng.uniform(0.7, 1.0))


def bed(rng: np.random.Generator) -> Mesh:
    """A frame, a mattress with a cover, pillows, a head board."""
    width, length = rng.uniform(0.9, 1.9), rng.uniform(1.95, 2.15)
    cover, frame = paint(rng), wood(rng)
    parts = [box([width, length, 0.28], frame), _at(box([width - 0.04, length - 0.05, 0.2], cover), 0, 0, 0.28),
             _at(box([width, 0.05, rng.uniform(0.6, 1.2)], frame), 0, length / 2, 0)]
    for x in ((-width / 4, width / 4) if width > 1.3 else (0.0,)):
        pillow = stretch(sphere(0.5, np.clip(cover + rng.normal(0, 0.3, 3), 0.1, 0.95), 12), [0.6, 0.4, 0.16])
        parts.append(_at(pillow, x, length / 2 - 0.3, 0.46))
    return merge(parts)


def shelf(rng: np.random.Generator) -> Mesh:
    """Sides and boards, with or without a back."""
    width, depth, height = rng.uniform(0.5, 1.2), rng.uniform(0.25, 0.45), rng.uniform(0.8, 2.2)
    colour, thick, levels = wood(rng), 0.02, int(rng.integers(3, 7))
    parts = [_at(box([thick, depth, height], colour), s * width / 2, 0, 0) for s in (-1, 1)]
    parts += [_at(box([width, depth, thick], colour), 0, 0, z) for z in np.linspace(0.05, height - thick, levels)]
    if rng.random() < 0.6:
        parts.append(_at(box([width, 0.01, height], colour), 0, depth / 2, 0))
    return merge(parts)


def cabinet(rng: np.random.Generator) -> Mesh:
    """A cupboard or chest with doors that stand out a little."""
    width, depth = rng.uniform(0.4, 1.6), rng.uniform(0.35, 0.65)
    height = float(rng.choice([rng.uniform(0.5, 1.1), rng.uniform(1.6, 2.1)]))
    return _fronted(width, depth, height, wood(rng), wood(rng), int(rng.integers(1, 4)))


def _fronted(width: float, depth: float, height: float, colour: NDArray[np.float64], front: NDArray[np.float64],
             doors: int) -> Mesh:
    parts = [box([width, depth, height], colour)]
    for k in range(doors):
        x = (k + 0.5) / doors * width - width / 2
        parts.append(_at(box([width / doors - 0.015, 0.02, height - 0.06], front), x, -depth / 2 - 0.008, 0.04))
        handle = box([0.015, 0.03, 0.12], (0.3, 0.3, 0.3))
        parts.append(_at(handle, x + width / doors * 0.35, -depth / 2 - 0.03, height / 2))
    return merge(parts)


def counter(rng: np.random.Generator) -> Mesh:
    """A kitchen base unit with its worktop."""
    width = rng.uniform(0.4, 1.0)
    base = _fronted(width, 0.58, 0.86, paint(rng), paint(rng), 1 + (width > 0.7))
    return merge([base, _at(box([width, 0.62, 0.03], wood(rng)), 0, 0, 0.86)])


def upper(rng: np.random.Generator) -> Mesh:
    """A kitchen wall unit."""
    return _fronted(rng.uniform(0.4, 1.0), 0.35, rng.uniform(0.5, 0.8), paint(rng), paint(rng), int(rng.integers(1, 3)))


def fridge(rng: np.random.Generator) -> Mesh:
    """A tall kitchen unit."""
    colour = np.full(3, rng.uniform(0.6, 0.95))
    return _fronted(rng.uniform(0.55, 0.9), rng.uniform(0.55, 0.7), rng.uniform(1.2, 1.95), colour, colour, 1)


def stool(rng: np.random.Generator) -> Mesh:
    """A round stool or an ottoman."""
    radius, height, colour = rng.uniform(0.15, 0.3), rng.uniform(0.35, 0.75), paint(rng)
    if rng.random() < 0.4:
        return cylinder(radius, height * 0.7, colour, 18)
    legs = _legs(radius * 1.4, radius * 1.4, height - 0.04, 0.03, wood(rng))
    return merge([_at(cylinder(radius, 0.04, colour, 18), 0, 0, height - 0.04), *legs])


def screen(rng: np.random.Generator) -> Mesh:
    """A monitor or television on a foot."""
    width, dark = rng.uniform(0.4, 0.75), (0.06, 0.06, 0.07)
    panel = _at(box([width, 0.03, width * 0.6], dark, [_glow(rng), *[_plain(rng.uniform(0.03, 0.2))] * 5]), 0, 0, 0.1)
    return merge([panel, box([width * 0.4, 0.18, 0.015], dark), _at(box([0.05, 0.03, 0.15], dark), 0, 0.03, 0)])


def _glow(rng: np.random.Generator) -> NDArray[np.uint8]:
    return printed(rng, paint(rng)) if rng.random() < 0.4 else _plain(rng.uniform(0.02, 0.15))


def _plain(value: float) -> NDArray[np.uint8]:
    return np.full((1, 1, 4), [value * 255] * 3 + [255], dtype=np.uint8)


def lamp(rng: np.random.Generator) -> Mesh:
    """A floor lamp."""
    height, radius = rng.uniform(1.3, 1.8), rng.uniform(0.12, 0.25)
    shade = _at(cylinder(radius, 0.3, paint(rng), 16, top_radius=radius * 0.7), 0, 0, height - 0.3)
    return merge([cylinder(0.15, 0.03, (0.2, 0.2, 0.2), 14), cylinder(0.015, height, (0.3, 0.3, 0.3), 6), shade])


def bin_(rng: np.random.Generator) -> Mesh:
    """A waste bin."""
    radius = rng.uniform(0.12, 0.22)
    return cylinder(radius * 0.8, rng.uniform(0.28, 0.65), paint(rng), 16, top_radius=radius)


def plant(rng: np.random.Generator) -> Mesh:
    """A pot with leaves, each one triangle."""
    pot, height, count = rng.uniform(0.1, 0.2), rng.uniform(0.4, 1.4), int(rng.integers(60, 200))
    centre = rng.normal(0, 1, (count, 3)) * [0.35 * height, 0.35 * height, 0.3 * height] * 0.5 + [0, 0, height * 0.75]
    corners = centre[:, None] + rng.normal(0, 0.06, (count, 3, 3))
    corners[..., 2] = np.maximum(corners[..., 2], 0.02)
    green = np.array([0.2, 0.4, 0.15]) * rng.uniform(0.6, 1.4)
    leaves = mesh(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), green)
    stem = cylinder(0.015, height * 0.8, (0.3, 0.22, 0.12), 6)
    return merge([cylinder(pot * 0.8, pot * 1.6, paint(rng), 16, top_radius=pot), stem, leaves])


def bag(rng: np.random.Generator) -> Mesh:
    """A bag, cushion or heap of clothes: a squashed ball with dents."""
    body = stretch(sphere(0.5, paint(rng), 14, printed(rng, paint(rng)) if rng.random() < 0.3 else None),
                   rng.uniform([0.25, 0.2, 0.12], [0.6, 0.45, 0.45]))
    dents = 1 + 0.15 * np.sin(body.vertices @ rng.normal(0, 12, 3))[:, None]
    vertices = body.vertices * dents
    return replace(body, vertices=(vertices - [0, 0, vertices[:, 2].min()]).astype(np.float32))


def soft(rng: np.random.Generator) -> Mesh:
    """A cushion, a blanket thrown down, or a heap of clothes: round, dented, wider than high, at times leaning."""
    kind = rng.random()
    least, most = ([0.3, 0.25, 0.1], [0.6, 0.5, 0.2]) if kind < 0.5 else ([0.3, 0.3, 0.06], [1.1, 0.9, 0.25])
    body = sphere(0.5, paint(rng), 22, printed(rng, paint(rng)) if rng.random() < 0.4 else None)
    square = np.sign(body.vertices - [0, 0, 0.5]) * np.abs(2 * body.vertices - [0, 0, 1.0]) ** rng.uniform(0.4, 1.0) / 2
    vertices = square * rng.uniform(least, most)
    for wave in rng.normal(0, 1, (4, 3)) * rng.uniform(6, 22, (4, 1)):
        vertices = vertices * (1 + rng.uniform(0, 0.1) * np.sin(vertices @ wave + rng.uniform(0, 6))[:, None])
    turn = rng.uniform(0.2, 1.3) if kind < 0.3 else rng.normal(0, 0.08)
    vertices = vertices @ pose(roll=float(turn))[:3, :3].T
    return replace(body, vertices=(vertices - [0, 0, vertices[:, 2].min()]).astype(np.float32))


def books(rng: np.random.Generator) -> Mesh:
    """A row of books standing close together: one object at a room's scale."""
    parts, along = [], 0.0
    for _ in range(int(rng.integers(4, 14))):
        thick = rng.uniform(0.015, 0.05)
        size = [thick, rng.uniform(0.14, 0.2), rng.uniform(0.18, 0.29)]
        parts.append(_at(box(size, paint(rng)), along + thick / 2, 0, 0))
        along += thick
    return _at(merge(parts), -along / 2, 0, 0)


def picture(rng: np.random.Generator) -> Mesh:
    """A framed picture, poster, board or clock on a wall, its lower edge at z = 0."""
    width, height = rng.uniform(0.25, 1.6), rng.uniform(0.25, 1.1)
    body = box([width, 0.03, height], paint(rng), [printed(rng, paint(rng)), *[_plain(rng.uniform(0.05, 0.9))] * 5])
    if rng.random() < 0.8:
        return body
    return transform(cylinder(width / 3, 0.04, paint(rng), 20), pose(0, 0, width / 3, roll=np.pi / 2))


def door(rng: np.random.Generator) -> Mesh:
    """A leaf in its frame."""
    width, height = rng.uniform(0.75, 1.1), rng.uniform(1.95, 2.15)
    leaf, frame = paint(rng) if rng.random() < 0.4 else wood(rng), wood(rng)
    handle = _at(box([0.12, 0.06, 0.03], (0.5, 0.5, 0.5)), width * 0.4, -0.05, 1.0)
    parts = [box([width, 0.05, height], leaf), handle]
    parts += [_at(box([0.07, 0.09, height + 0.07], frame), s * (width / 2 + 0.035), 0, 0) for s in (-1, 1)]
    return merge([*parts, _at(box([width, 0.09, 0.07], frame), 0, 0, height)])


def window(rng: np.random.Generator) -> Mesh:
    """A frame with bars round panes; the panes return something only now and then, as real ones do."""
    width, height = rng.uniform(0.6, 2.2), rng.uniform(0.8, 1.5)
    frame = wood(rng) if rng.random() < 0.4 else np.full(3, rng.uniform(0.75, 0.95))
    across = np.linspace(-width / 2, width / 2, int(rng.integers(2, 5)))
    bars = [_at(box([0.06, 0.1, height], frame), x, 0, 0) for x in across]
    bars += [_at(box([width, 0.1, 0.06], frame), 0, 0, z) for z in (0, height - 0.06)]
    bars.append(_at(box([width + 0.1, 0.25, 0.03], frame), 0, -0.1, -0.03))
    if rng.random() < 0.5:
        pane = np.full((8, 8, 4), 255, np.uint8)
        pane[..., :3] = rng.integers(90, 255, 3)
        pane[..., 3] = np.where(rng.random((8, 8)) < rng.uniform(0.2, 0.9), 255, 0)
        bars.append(_at(box([width, 0.02, height], textures=[pane] * 6), 0, 0.02, 0))
    return merge(bars)


def curtain(rng: np.random.Generator) -> Mesh:
    """A sheet in folds, hanging; its lower edge at z = 0."""
    width, height = rng.uniform(0.5, 1.6), rng.uniform(1.2, 2.2)
    folds = 0.04 * np.sin(np.arange(24) / 24 * rng.uniform(12, 50))
    sheet = ground(np.repeat(folds[:, None], 3, 1), width / 23, paint(rng))
    upright = stretch(sheet, [1, height / (2 * width / 23), 1])
    return transform(upright, pose(0, 0, height / 2, roll=np.pi / 2))


def ceiling_lamp(rng: np.random.Generator) -> Mesh:
    """A ceiling lamp: a disc, a box or a ball; its lower edge at z = 0."""
    kind, bright = rng.integers(3), np.full(3, rng.uniform(0.7, 1.0))
    if kind == 0:
        return cylinder(rng.uniform(0.12, 0.3), 0.1, bright, 18)
    return box([rng.uniform(0.2, 1.3), rng.uniform(0.15, 0.6), 0.08], bright) if kind == 1 else sphere(0.15, bright, 14)


MAKERS: dict[str, Maker] = {
    "table": table, "coffee table": coffee_table, "desk": desk, "chair": chair, "office chair": chair, "sofa": sofa,
    "armchair": armchair, "bed": bed, "shelf": shelf, "storage": cabinet, "counter": counter, "upper kitchen": upper,
    "tall kitchen": fridge, "stool": stool, "screen": screen, "floor lamp": lamp, "bin": bin_, "plant": plant,
    "bedside table": lambda rng: _fronted(0.45, 0.4, rng.uniform(0.4, 0.6), wood(rng), wood(rng), 1),
    "tv stand": lambda rng: _fronted(rng.uniform(0.9, 1.8), 0.42, rng.uniform(0.35, 0.55), wood(rng), wood(rng), 2),
    "floor thing": bag, "bag": bag, "soft thing": soft,
    "books": books, "picture": picture, "wall": picture, "door": door, "window": window,
    "bathroom": counter, "curtain": curtain, "ceiling": ceiling_lamp,
}
