"""Which points a brush or an outline on the screen means: the page sends what was drawn, the points are found here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MOST_PLACES = 500  # of a stroke or an outline
CELL = 4  # pixels of the grid in which it is found what stands before what
BEHIND = 0.03  # of the distance: what lies so much behind the nearest point is hidden by it
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stroke:
    """A ball that was drawn along places on a surface, in the cloud's frame."""

    places: Floats
    radius: float

    def points(self, xyz: np.ndarray, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The indices of the shown points that it touched."""
        low, high = self.places.min(axis=0) - self.radius, self.places.max(axis=0) + self.radius
        within = shown.copy()
        for axis in range(3):
            within &= (xyz[:, axis] >= low[axis]) & (xyz[:, axis] <= high[axis])
        near = np.flatnonzero(within)
        distance = cKDTree(self.places).query(xyz[near], distance_upper_bound=self.radius)[0]
        return near[np.isfinite(distance)]


@dataclass(frozen=True, eq=False)
class Cut:
    """What of the cloud is shown, as the page cuts it: see web/cut.js."""

    centre: Floats
    axes: Floats
    low: Floats
    high: Floats
    faces: Floats

    def shows(self, local: Floats) -> NDArray[np.bool_]:
        """Which points stand before none of the cuts."""
        q = (local - self.centre) @ self.axes.T
        sides = np.column_stack([q[:, 0], -q[:, 0], q[:, 1], -q[:, 1], q[:, 2]])
        return ((q >= self.low) & (q <= self.high)).all(axis=1) & (sides <= self.faces).all(axis=1)


@dataclass(frozen=True, eq=False)
class Outline:
    """A polygon on the screen (pixels), with the camera (column by column), the window and what was cut away.

    `origin` is what the page's coordinates are less than the cloud's.
    """

    polygon: Floats
    matrix: Floats
    window: tuple[float, float]
    cut: Cut
    origin: Floats

    def points(self, xyz: np.ndarray, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The indices of the points inside that are seen: what stands before them hides them."""
        low, high = self.polygon.min(axis=0) - 2 * CELL, self.polygon.max(axis=0) + 2 * CELL
        chosen, pixels, depths = [], [], []
        for start in range(0, len(xyz), 1 << 20):
            part = np.flatnonzero(shown[start : start + (1 << 20)]) + start
            pixel, depth = self._project(xyz[part] - self.origin)
            near = (depth > 0) & (pixel >= low).all(axis=1) & (pixel <= high).all(axis=1)
            part, pixel, depth = part[near], pixel[near], depth[near]
            uncut = self.cut.shows(xyz[part] - self.origin)
            chosen.append(part[uncut])
            pixels.append(pixel[uncut])
            depths.append(depth[uncut])
        index, pixel, depth = np.concatenate(chosen), np.concatenate(pixels), np.concatenate(depths)
        seen: NDArray[np.int64] = index[inside(pixel, self.polygon) & in_front(pixel - low, depth)]
        return seen

    def _project(self, local: Floats) -> tuple[Floats, Floats]:
        clip = local @ self.matrix[:, :3].T + self.matrix[:, 3]
        depth = clip[:, 3]
        ahead = np.where(depth > 1e-9, depth, np.inf)
        x, y = clip[:, 0] / ahead, clip[:, 1] / ahead
        return np.column_stack([(x + 1) / 2 * self.window[0], (1 - y) / 2 * self.window[1]]), depth


def inside(points: Floats, polygon: Floats) -> NDArray[np.bool_]:
    """Whether points lie in a polygon: a ray to the right crosses its sides an odd number of times."""
    odd = np.zeros(len(points), bool)
    x, y = points[:, 0], points[:, 1]
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return odd


def in_front(pixels: Floats, depth: Floats) -> NDArray[np.bool_]:
    """Whether nothing stands before a point in its cell of the screen, or in those around it."""
    if len(pixels) == 0:
        return np.zeros(0, bool)
    cell = (np.maximum(pixels, 0) / CELL).astype(np.int64) + 1
    nearest = np.full(tuple(cell.max(axis=0) + 2), np.inf)
    np.minimum.at(nearest, (cell[:, 0], cell[:, 1]), depth)
    around = np.minimum.reduce([nearest[cell[:, 0] + i, cell[:, 1] + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    return depth <= around * (1 + BEHIND)


def region_of(told: Any, origin: np.ndarray) -> Stroke | Outline:
    """What a page drew; ValueError where it is none."""
    match told:
        case {"places": list(places), "radius": int() | float() as radius}:
            if 0 < radius < 1e6:
                return Stroke(_table(places, 3) + origin, float(radius))
        case {"polygon": list(polygon), "matrix": list(matrix), "window": [int() | float(), int() | float()] as window,
              "cut": {"centre": centre, "axes": axes, "low": low, "high": high, "faces": faces}}:  # fmt: skip
            cut = Cut(_numbers(centre, 3), _numbers(axes, 9).reshape(3, 3), _numbers(low, 3), _numbers(high, 3),
                      _numbers(faces, 5))  # fmt: skip
            turned = _numbers(matrix, 16).reshape(4, 4).T
            return Outline(_table(polygon, 2), turned, (float(window[0]), float(window[1])), cut, origin)
    raise ValueError("What was drawn is neither a stroke nor an outline: draw it again.")


def _table(rows: list[Any], width: int) -> Floats:
    if not 0 < len(rows) <= MOST_PLACES:
        raise ValueError(f"A stroke has 1 to {MOST_PLACES} places, not {len(rows)}: draw a shorter one.")
    return _numbers(rows, width * len(rows)).reshape(-1, width)


def _numbers(values: Any, count: int) -> Floats:
    try:
        found = np.asarray(values, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ValueError("What was drawn holds something that is no number.") from error
    if len(found) != count or not np.isfinite(found).all():
        raise ValueError("What was drawn holds something that is no number.")
    return found
