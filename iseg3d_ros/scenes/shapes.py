"""A small solid modeller for outdoor things: boxes, tubes, balls, lofts and leaves gathered into one mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iseg3d_ros.scenes.mesh import Material, Mesh

Array = NDArray[np.float32]

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
_SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
_QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def quads(corners: NDArray[np.int_]) -> NDArray[np.int_]:
    """Two triangles for each quad (Q, 4), side by side."""
    return corners[:, _QUAD].reshape(-1, 3)


_BOX = quads(_SIDES)


class Shape:
    """Parts added one after another; every part has one colour (RGB in 0..1), or one a face."""

    def __init__(self) -> None:
        self._vertices: list[Array] = []
        self._faces: list[NDArray[np.int32]] = []
        self._colours: list[Array] = []
        self._count = 0

    def add(self, vertices: ArrayLike, faces: ArrayLike, colour: ArrayLike) -> Shape:
        """Add triangles as they are."""
        v, f = np.asarray(vertices, np.float32), np.asarray(faces, np.int32)
        self._vertices.append(v)
        self._faces.append(f + self._count)
        self._colours.append(np.broadcast_to(np.asarray(colour, np.float32), (len(f), 3)))
        self._count += len(v)
        return self

    def box(self, low: ArrayLike, high: ArrayLike, colour: ArrayLike, yaw: float = 0.0) -> Shape:
        """A box between two corners, turned by `yaw` about its own vertical axis."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        corners = _CORNERS * (high - low) + low
        if yaw:
            corners = (corners - (low + high) / 2) @ turn(yaw).T + (low + high) / 2
        return self.add(corners, _BOX, colour)

    def tube(self, start: ArrayLike, end: ArrayLike, radius: float, colour: ArrayLike, last: float = -1.0,
             sides: int = 8) -> Shape:  # fmt: skip
        """A closed cylinder or cone from `start` (radius) to `end` (radius `last`; the same where not given)."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        circle, faces = _tube(sides)
        ring = circle @ _frame(end - start)
        last = radius if last < 0 else last
        return self.add(np.concatenate([start + radius * ring, end + last * ring, [start, end]]), faces, colour)

    def ball(self, centre: ArrayLike, radii: ArrayLike, colour: ArrayLike, sides: int = 8) -> Shape:
        """An ellipsoid."""
        u, v = np.meshgrid(np.linspace(0, 2 * np.pi, sides + 1), np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1))
        unit = np.stack([np.cos(v) * np.cos(u), np.cos(v) * np.sin(u), np.sin(v)], -1).reshape(-1, 3)
        return self.add(unit * np.asarray(radii) + np.asarray(centre), grid_faces(*u.shape), colour)

    def loft(self, rings: ArrayLike, colour: ArrayLike, closed: bool = True) -> Shape:
        """Skin over rings (S, P, 3); ends are closed; `colour` may be one a quad: (S - 1, P, 3)."""
        rings = np.asarray(rings, np.float32)
        stations, points = rings.shape[:2]
        index = np.arange(stations * points).reshape(stations, points)
        beside = np.roll(index, -1, axis=1)
        skin = quads(np.stack([index[:-1], beside[:-1], beside[1:], index[1:]], -1).reshape(-1, 4))
        paint = np.broadcast_to(np.asarray(colour, np.float32), (stations - 1, points, 3)).reshape(-1, 3)
        self.add(rings.reshape(-1, 3), skin, np.repeat(paint, 2, axis=0))
        if closed:
            fan = np.array([[0, k, k + 1] for k in range(1, points - 1)])
            self.add(rings[0], fan, paint[0]).add(rings[-1], fan[:, ::-1], paint[-1])
        return self

    def leaves(self, rng: np.random.Generator, centre: ArrayLike, radii: ArrayLike, count: int, size: float,
               colour: ArrayLike) -> Shape:  # fmt: skip
        """Triangles strewn through an ellipsoid, denser towards its skin: foliage that lets some rays through."""
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        middle = np.asarray(centre) + way * np.asarray(radii) * rng.uniform(0.2, 1, (count, 1)) ** 0.5
        corners = middle[:, None] + rng.normal(0, size / 2, (count, 3, 3))
        shade = np.asarray(colour) * rng.uniform(0.6, 1.3, (count, 1))
        return self.add(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), np.clip(shade, 0, 1))

    def include(self, other: Shape, shift: Sequence[float] = (0, 0, 0), yaw: float = 0.0, scale: float = 1.0) -> Shape:
        """Add all parts of another shape, scaled, turned and moved."""
        v, f, c = other.arrays()
        return self.add((v * scale) @ turn(yaw).T + np.asarray(shift, np.float32), f, c)

    def arrays(self) -> tuple[Array, NDArray[np.int32], Array]:
        """Vertices (n, 3), faces (m, 3) and colours a face (m, 3)."""
        return np.concatenate(self._vertices), np.concatenate(self._faces), np.concatenate(self._colours)

    def mesh(self, without: ArrayLike | None = None) -> Mesh:
        """Everything as one mesh whose faces look their colour up in one row of texels; `without` omits a colour."""
        vertices, faces, colours = self.arrays()
        if without is not None:
            kept = ~np.isclose(colours, np.asarray(without, np.float32)).all(axis=1)
            faces, colours = faces[kept], colours[kept]
        texels = np.full((1, len(faces), 4), 255, np.uint8)
        texels[0, :, :3] = np.clip(colours * 255, 0, 255)
        uv = np.full((len(faces), 3, 2), 0.5, np.float32)
        uv[..., 0] = ((np.arange(len(faces)) + 0.5) / len(faces))[:, None]
        return Mesh(vertices, faces, np.zeros(len(faces), np.int16), uv, (Material(texture=texels),))


def turn(yaw: float) -> Array:
    """Rotation about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)


def grid_faces(rows: int, columns: int) -> NDArray[np.int_]:
    """Triangles of a height field of rows x columns vertices."""
    i = np.arange(rows * columns).reshape(rows, columns)
    return quads(np.stack([i[:-1, :-1], i[1:, :-1], i[1:, 1:], i[:-1, 1:]], -1).reshape(-1, 4))


def _frame(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two unit vectors at right angles to an axis (2, 3)."""
    # Written out, since numpy's cross product is slow on single vectors.
    x, y, z = axis.tolist()
    length = math.sqrt(x * x + y * y + z * z) or 1e-9
    x, y, z = x / length, y / length, z / length
    a, b, c = (y, -x, 0.0) if abs(z) < 0.9 else (0.0, z, -y)
    flat = math.sqrt(a * a + b * b + c * c)
    a, b, c = a / flat, b / flat, c / flat
    return np.array([[a, b, c], [y * c - z * b, z * a - x * c, x * b - y * a]])


@lru_cache(maxsize=32)
def _tube(sides: int) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """A unit circle (sides, 2) and the faces of a tube over two rings and the middles of its ends."""
    a = np.arange(sides) * 2 * np.pi / sides
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    low, high = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    walls = quads(np.stack([i, j, j + sides, i + sides], 1))
    caps = np.concatenate([np.stack([j, i, low], 1), np.stack([i + sides, j + sides, high], 1)])
    return np.stack([np.cos(a), np.sin(a)], 1), np.concatenate([walls, caps])
