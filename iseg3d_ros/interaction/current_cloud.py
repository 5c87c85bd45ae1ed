"""The cloud under segmentation, with all that is derived from it once. No ROS here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.view import Layouts
from iseg3d_ros.io.pointcloud2_read import Points

LINEAR_QUERIES = 8  # clicks on one cloud that are snapped by looking at every point; beyond, a tree pays
STANDING_METRES = 0.1  # metres above a column's lowest point from which on something is taken to stand there


@dataclass(frozen=True, eq=False)
class Carried:
    """Labels brought over from the cloud before, and the clicks (with object numbers) that they stand for."""

    clicks: tuple[Click, ...]
    labels: np.ndarray


@dataclass(eq=False)
class CurrentCloud:
    """A cloud as it is segmented and shown, with all that is derived from it once."""

    points: Points
    frame: str
    stamp: int
    up: np.ndarray | None
    convert_ms: float = 0.0
    transforms: dict[str, np.ndarray] = field(default_factory=dict)  # from other frames, at this cloud's time
    carried: Carried | None = None  # what a network that uses previous masks starts from in this cloud
    _asked: int = 0

    @cached_property
    def layouts(self) -> Layouts:
        """Its bytes in the published layouts."""
        return Layouts(self.points)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points.xyz)

    def nearest(self, place: np.ndarray) -> tuple[int, float]:
        """Index and distance of the point nearest to a place."""
        if len(self.points) == 0:
            return -1, math.inf
        self._asked += 1
        if self._asked > LINEAR_QUERIES:
            distance, index = self._tree.query(place)
            return int(index), float(distance)
        squares = np.zeros(len(self.points), np.float32)
        for axis in range(3):
            offset = self.points.xyz[:, axis] - np.float32(place[axis])
            offset *= offset  # in place: new memory costs more than the sums
            squares += offset
        index = int(squares.argmin())
        return index, math.sqrt(float(squares[index]))

    def column(self, place: np.ndarray, axis: np.ndarray, radius: float) -> np.ndarray:
        """Indices of the points that stand in a column: those near its axis and above its lowest point."""
        offset = self.points.xyz - place.astype(np.float32)
        height = offset @ axis.astype(np.float32)
        around = np.linalg.norm(offset - height[:, None] * axis.astype(np.float32), axis=1)
        inside = np.flatnonzero(around <= radius)
        if len(inside) == 0:
            return inside
        standing = inside[height[inside] > height[inside].min() + STANDING_METRES]
        chosen = standing if len(standing) else inside
        return chosen[np.argsort(around[chosen], kind="stable")]
