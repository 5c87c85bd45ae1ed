"""Houses whose facades have depth: piers, recessed or open windows, doors, balconies, awnings and roofs."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.scenes.shapes import Shape
from iseg3d_ros.scenes.vehicles import GLASS


def building(rng: np.random.Generator) -> Shape:
    """A house, shop or shed with its street front on y = 0, from x = 0 on, its depth along y."""
    length, depth, height = rng.uniform(7, 26), rng.uniform(8, 15), rng.uniform(3, 16)
    shape, plaster = Shape(), np.clip(rng.uniform(0.25, 0.85) * rng.uniform(0.85, 1.15, 3), 0, 1)
    thick = 0.3
    shape.box((0, thick, -2), (thick, depth, height), plaster).box(
        (length - thick, thick, -2), (length, depth, height), plaster
    )
    shape.box((0, depth - thick, -2), (length, depth, height), plaster)
    _front(shape, rng, length, height, thick, plaster)
    _rooms(shape, rng, length, depth, height)
    _roof(shape, rng, length, depth, height, plaster)
    return shape


def _front(
    shape: Shape, rng: np.random.Generator, length: float, height: float, thick: float, plaster: np.ndarray
) -> None:
    storey, bay = rng.uniform(2.8, 3.6), rng.uniform(1.8, 4.0)
    shop = rng.random() < 0.35  # a ground floor that is mostly glass
    sill, lintel = rng.uniform(0.7, 1.1), rng.uniform(0.4, 0.7)
    edges = np.linspace(0, length, max(int(length / bay), 1) + 1)
    pier = (edges[1] - edges[0]) * rng.uniform(0.15, 0.4)
    for k, z in enumerate(np.arange(0, height, storey)):
        low, top = (0.25 if shop and k == 0 else sill), min(storey, height - z)
        shape.box((0, 0, z - 2 * (k == 0)), (length, thick, z + min(low, top)), plaster)
        if top <= low + lintel:
            continue
        shape.box((0, 0, z + top - lintel), (length, thick, z + top), plaster)
        half = pier * (0.3 if shop and k == 0 else 0.5)
        for x in edges:
            shape.box((max(x - half, 0), 0, z + low), (min(x + half, length), thick, z + top - lintel), plaster)
        if rng.random() < 0.7:  # panes stand back; the others are open to the laser, as clean glass is
            inset = rng.uniform(0.05, 0.25)
            shape.box(
                (0.1, inset, z + low),
                (length - 0.1, inset + 0.02, z + top - lintel),
                GLASS if rng.random() < 0.7 else plaster * 0.4,
            )
    _ornaments(shape, rng, length, height, storey, edges, plaster)


def _ornaments(shape: Shape, rng: np.random.Generator, length: float, height: float, storey: float, edges: np.ndarray,
               plaster: np.ndarray) -> None:  # fmt: skip
    door = rng.choice(edges[:-1]) + 0.3
    shape.box((door, -0.03, -0.5), (door + 1.0, 0.05, 2.1), rng.uniform(0.05, 0.5, 3))
    if rng.random() < 0.5:
        shape.box((door - 0.3, -rng.uniform(0.4, 1.2), -1), (door + 1.3, 0, rng.uniform(0.15, 0.4)), plaster * 0.8)
    if rng.random() < 0.25:  # awning
        shape.box((0.5, -rng.uniform(0.8, 1.6), 2.6), (length - 0.5, 0, 2.7), rng.uniform(0.2, 0.7, 3))
    if height > 2 * storey and rng.random() < 0.35:  # balconies
        reach = rng.uniform(0.8, 1.5)
        for x in edges[:-1:2]:
            shape.box((x + 0.3, -reach, storey), (x + 2.0, 0, storey + 0.15), plaster)
            shape.box((x + 0.3, -reach, storey + 0.15), (x + 2.0, -reach + 0.05, storey + 1.1), plaster * 0.7)
    for _ in range(rng.integers(0, 3)):  # boxes, pipes and plates on the wall
        x, z = rng.uniform(0, length - 0.6), rng.uniform(0.5, 3)
        shape.box(
            (x, -rng.uniform(0.05, 0.3), z),
            (x + rng.uniform(0.1, 0.6), 0, z + rng.uniform(0.2, 1.5)),
            rng.uniform(0.1, 0.8, 3),
        )


def _rooms(shape: Shape, rng: np.random.Generator, length: float, depth: float, height: float) -> None:
    """What shows through open windows: a wall behind, cross walls and things in the rooms."""
    back = min(depth - 0.4, rng.uniform(2.5, 8))
    shape.box((0.3, back, 0), (length - 0.3, back + 0.1, height - 0.3), (0.6, 0.6, 0.55))
    for x in np.arange(rng.uniform(2, 4), length - 1, rng.uniform(3.5, 7)):
        shape.box((x, 0.3, 0), (x + 0.12, back, height - 0.3), (0.6, 0.6, 0.55))
    for _ in range(int(length / 3)):
        x, y = rng.uniform(0.5, max(length - 2, 0.6)), rng.uniform(0.8, max(back - 1, 0.9))
        shape.box((x, y, 0), (x + rng.uniform(0.4, 1.5), y + 0.5, rng.uniform(0.5, 2)), rng.uniform(0.1, 0.6, 3))


def _roof(
    shape: Shape, rng: np.random.Generator, length: float, depth: float, height: float, plaster: np.ndarray
) -> None:
    over, tiles = rng.uniform(0, 0.5), rng.uniform(0.1, 0.4, 3)
    if rng.random() < 0.5:
        shape.box((-over, -over, height), (length + over, depth + over, height + rng.uniform(0.2, 0.6)), plaster * 0.8)
        return
    rise = depth / 2 * rng.uniform(0.4, 1.0)
    profile = np.array([[-over, height - 0.1], [depth / 2, height + rise], [depth + over, height - 0.1]])
    rings = np.stack([np.stack([np.full(3, x), profile[:, 0], profile[:, 1]], 1) for x in (-over, length + over)])
    shape.loft(rings, tiles)
