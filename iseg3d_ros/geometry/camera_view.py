"""A cloud as a camera sees it: which of its points a pixel, or a mask in the image, means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from iseg3d_ros.geometry.rgbd import Camera
from iseg3d_ros.geometry.transforms import apply

FRONT = 0.02  # metres before the camera within which nothing is seen
LOCAL, SAMPLE = 400, 50  # points around a pixel whose gaps are measured, and those of them that it is measured at
OWN = 0.75  # gaps between points within which a pixel shows one of them; beyond, it shows a hole or the sky
SPECK = 2.5  # pixels without points that are no hole in any case
STEP, STEEP = 0.02, 3.0  # a step in depth parts two surfaces: a share of the depth, or a slope of the surface
FEWEST = 3  # points of a surface; fewer are what a sensor makes of an edge
COVERED = 0.05  # share of the depth from which on a point is behind another, and not of the same surface
COARSE, FINE = 40, 400  # cells across the image in which the nearest points are looked for, at least and at most
REACH = 3  # cells around a point within which nearer ones hide it
DEEP = 0.5  # share of a mask's depth from which on points are inside it for certain
APART, STROKE = 12.0, 6  # pixels along a scribble from click to click at least, and clicks of one at most
POSITIVE, NEGATIVE = 3, 4  # clicks that stand for a mask, and for what is around it


@dataclass(frozen=True)
class MaskClicks:
    """Rows of the cloud that stand for a mask: all that it shows, clicks inside it and around it."""

    shown: np.ndarray
    inside: np.ndarray
    around: np.ndarray


class CameraView:
    """Points projected into an image once; pixels count from the centre of the first one."""

    def __init__(self, xyz: np.ndarray, camera: Camera, pose: np.ndarray) -> None:
        """`pose` takes the camera's coordinates (x right, y down, z forward) into the cloud's."""
        self.camera = camera
        u, v, z = camera.pixels(apply(np.linalg.inv(pose), xyz.astype(np.float64)))
        inside = (z > FRONT) & (u > -0.5) & (u < camera.width - 0.5) & (v > -0.5) & (v < camera.height - 0.5)
        self._show(np.flatnonzero(inside), np.stack([u[inside], v[inside]], 1), z[inside])
        self._keep_visible()

    def _show(self, rows: np.ndarray, places: np.ndarray, depth: np.ndarray) -> None:
        self.rows, self._places, self._depth = rows, places, depth  # `rows` of the cloud
        self._tree = cKDTree(places) if len(rows) else None

    def _keep_visible(self) -> None:
        """Leaves out what is hidden: first coarsely, then in cells as fine as the points that are left allow."""
        every, across = (self.rows, self._places, self._depth), max(self.camera.width, self.camera.height)
        coarse, cell = across / COARSE, across / COARSE
        for _ in range(2):
            seen = ~hidden(every[1], every[2], cell)
            self._show(every[0][seen], every[1][seen], every[2][seen])
            cell = min(max(2 * self._widest_gap(), across / FINE, 1.0), coarse)

    def at(self, u: float, v: float) -> int:
        """Row of the point that a pixel shows: of the nearest surface there; ValueError where it shows none."""
        self._check(u, v)
        gap = self._gap(np.array([u, v]))
        apart = np.linalg.norm(self._places - [u, v], axis=1)
        nearest = float(apart.min())
        if nearest > max(OWN * gap, SPECK):
            raise ValueError(
                f"there is nothing at the pixel ({u:.0f}, {v:.0f}): the cloud's nearest point is {nearest:.0f} "
                "pixels away (the sky, or a hole in what the sensor sees); click on a thing that is in the cloud"
            )
        near = np.flatnonzero(apart <= max(OWN * gap, nearest + 1.0, 1.5))
        surface = self._nearest_surface(near, apart, gap)
        depth = self._depth[surface]
        off = np.abs(depth - np.median(depth))
        certain = surface[off <= 2 * np.median(off) + 1e-3]
        return int(self.rows[certain[apart[certain].argmin()]])

    def along(self, stroke: np.ndarray) -> np.ndarray:
        """Rows of points along a stroke of pixels (N, 2), evenly apart; what it passes beside the cloud is left out."""
        finite = stroke[np.isfinite(stroke).all(1)]
        if len(finite) == 0:
            raise ValueError("the scribble holds no pixels")
        way = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(finite, axis=0), axis=1))]
        count = int(np.clip(way[-1] // APART + 1, 1, STROKE))
        stops = (np.arange(count) + 0.5) * way[-1] / count  # not at its ends, which are nearest to the object's rim
        rows: list[int] = []
        missed: ValueError | None = None
        for u, v in zip(*(np.interp(stops, way, column) for column in finite.T), strict=True):
            try:
                rows.append(self.at(float(u), float(v)))
            except ValueError as error:
                missed = error
        if missed is not None and not rows:
            raise missed
        return np.unique(rows)

    def inside(self, mask: np.ndarray) -> MaskClicks:
        """The points that a mask (height, width) shows, and clicks for them; ValueError where it shows none."""
        column, line = np.rint(self._places).astype(np.int64).T
        left, top, right, bottom = _around(mask)
        depth_in = distance_transform_edt(np.pad(mask[top:bottom, left:right], 1))[1:-1, 1:-1]
        depth_out = distance_transform_edt(~mask[top:bottom, left:right])
        near = np.flatnonzero((column >= left) & (column < right) & (line >= top) & (line < bottom))
        rim = depth_in[line[near] - top, column[near] - left]
        shown, rim = near[rim > 0], rim[rim > 0]
        if len(shown) == 0:
            raise ValueError("the mask shows no point of the cloud: is it the camera's whose camera_info arrives?")
        deep = rim >= DEEP * rim.max()
        depth = float(np.median(self._depth[shown[deep]]))
        wide = 2 * float(np.median(np.abs(self._depth[shown[deep]] - depth)))
        on_it = np.abs(self._depth[shown] - depth) <= max(wide, COVERED * depth)
        first = int(np.where(on_it, rim, -1.0).argmax())
        candidates = shown[on_it & deep]
        chosen = self._spread(candidates, shown[first], POSITIVE)
        away = depth_out[line[near] - top, column[near] - left]
        gap = max(2.0, self._gap(self._places[shown[first]]))
        ring = near[(away > gap) & (away <= gap + max(2 * gap, 0.2 * np.sqrt(mask.sum())))]
        around = self._spread(ring, ring[0], NEGATIVE) if len(ring) else ring
        return MaskClicks(self.rows[shown], self.rows[chosen], self.rows[around])

    def grid(self, wide: int, tall: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the cloud's points that are seen in so many cells of the image (-1: none), and their depths."""
        rows, depth = np.full((tall, wide), -1, np.int64), np.zeros((tall, wide), np.float32)
        if self._tree is not None:
            x = (np.arange(wide) + 0.5) * self.camera.width / wide - 0.5
            y = (np.arange(tall) + 0.5) * self.camera.height / tall - 0.5
            reach = max(self._widest_gap(), self.camera.width / wide, SPECK)
            centres = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
            apart, nearest = self._tree.query(centres, distance_upper_bound=reach)
            met = np.isfinite(apart)
            rows.ravel()[met], depth.ravel()[met] = self.rows[nearest[met]], self._depth[nearest[met]]
        return rows, depth

    def _widest_gap(self) -> float:
        """Pixels between neighbouring points where they are far from one another, over the image."""
        if len(self.rows) == 0:
            return 1.0
        cell = np.floor(self._places / (self.camera.width / 8)).astype(np.int64)
        some = np.unique(cell, axis=0, return_index=True)[1]
        return float(np.quantile([self._gap(place) for place in self._places[some]], 0.8))

    def _check(self, u: float, v: float) -> None:
        width, height = self.camera.width, self.camera.height
        if not (-0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5):  # NaN as well
            raise ValueError(f"the pixel ({u:g}, {v:g}) is outside the image of {width} x {height} pixels")
        if len(self.rows) == 0:
            raise ValueError("the camera sees nothing of the cloud: does TF say rightly where it is?")

    def _gap(self, place: np.ndarray) -> float:
        """Pixels between neighbouring points there: along the rows or across them, whichever is wider."""
        assert self._tree is not None  # somebody has looked whether there are points
        near = self._tree.query(place, k=min(LOCAL, len(self.rows)))[1]
        local = self._places[np.atleast_1d(near)]
        offset = np.abs(local[None] - local[:SAMPLE, None])
        gaps = []
        for along, across in ((offset[..., 0], offset[..., 1]), (offset[..., 1], offset[..., 0])):
            beside = (along >= across) & (along > 0.3)
            nearest = np.where(beside, along, np.inf).min(1)
            if np.isfinite(nearest).any():
                gaps.append(float(np.quantile(nearest[np.isfinite(nearest)], 0.8)))
        return max(gaps, default=1.0)

    def _nearest_surface(self, near: np.ndarray, apart: np.ndarray, gap: float) -> np.ndarray:
        """Of the points around a pixel those of the nearest surface that covers it."""
        order = near[np.argsort(self._depth[near], kind="stable")]
        depth = self._depth[order]
        step = np.maximum(STEP, STEEP * gap / self.camera.fx) * depth[:-1]
        surfaces = np.split(order, np.flatnonzero(np.diff(depth) > step) + 1)
        whole = [surface for surface in surfaces if len(surface) >= min(FEWEST, len(near))]
        covering = [surface for surface in whole if apart[surface].min() <= max(0.71, 0.5 * gap)]
        return (covering or whole or surfaces)[0]

    def _spread(self, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
        """Points as far from one another in the image as can be, beginning with one."""
        chosen = [first]
        apart = np.full(len(candidates), np.inf)
        while len(chosen) < min(count, len(candidates)):
            apart = np.minimum(apart, np.linalg.norm(self._places[candidates] - self._places[chosen[-1]], axis=1))
            chosen.append(int(candidates[apart.argmax()]))
        return np.array(chosen, np.int64)


def hidden(places: np.ndarray, depth: np.ndarray, cell: float) -> np.ndarray:
    """Which points have nearer ones around them on all four sides, in a depth buffer of cells of so many pixels."""
    if len(depth) == 0:
        return np.zeros(0, bool)
    index = np.floor(places / cell).astype(np.int64) + REACH + 1
    width, height = index.max(0) + REACH + 1
    buffer = np.full((height, width), np.inf)
    np.minimum.at(buffer, (index[:, 1], index[:, 0]), depth)
    farthest = np.zeros((height, width))
    for down in (-1, 1):
        for right in (-1, 1):
            corner = np.full((height, width), np.inf)
            for i in range(1, REACH + 1):
                for j in range(1, REACH + 1):
                    corner = np.minimum(corner, np.roll(buffer, (down * i, right * j), (0, 1)))
            farthest = np.maximum(farthest, corner)
    behind: np.ndarray = depth > (1 + COVERED) * farthest[index[:, 1], index[:, 0]]
    return behind


def ellipse(camera: Camera, centre: tuple[float, float], size: tuple[float, float], turn: float = 0.0) -> np.ndarray:
    """The mask of the ellipse in a box: of a box's corners mostly the background is seen."""
    x, y = np.arange(camera.width) - centre[0], np.arange(camera.height) - centre[1]
    cos, sin = np.cos(turn), np.sin(turn)
    along, across = cos * x + sin * y[:, None], cos * y[:, None] - sin * x
    inside: np.ndarray = (2 * along / max(size[0], 1.0)) ** 2 + (2 * across / max(size[1], 1.0)) ** 2 <= 1.0
    return inside


def _around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask with what is around it."""
    lines, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(lines) == 0:
        raise ValueError("the mask is empty: pixels that are not 0 show the object")
    margin = 10 + int(max(np.ptp(lines), np.ptp(columns)) // 2)
    left, top = max(int(columns[0]) - margin, 0), max(int(lines[0]) - margin, 0)
    return left, top, int(columns[-1]) + margin + 1, int(lines[-1]) + margin + 1
