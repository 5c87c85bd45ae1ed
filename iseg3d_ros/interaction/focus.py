"""What of a live cloud the network is shown: the surroundings of the objects that are followed, and of the clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.preprocessing.voxels import linear, lowest

LEAST = 8  # voxels around an object that it is never shown without
HALVINGS = 4  # of the margin, until the budget is kept


@dataclass(frozen=True)
class Region:
    """Boxes in a cloud's frame, (B, 3) each, and the numbers of the objects that they were made for."""

    low: np.ndarray
    high: np.ndarray
    objects: frozenset[int]

    def holds(self, xyz: np.ndarray) -> np.ndarray:
        """Which of the points are in one of the boxes."""
        inside = np.zeros(len(xyz), bool)
        x, y, z = xyz.T
        for (a, b, c), (d, e, f) in zip(self.low.astype(xyz.dtype), self.high.astype(xyz.dtype), strict=True):
            inside |= (x >= a) & (x <= d) & (y >= b) & (y <= e) & (z >= c) & (z <= f)
        return inside

    def serves(self, clicks: Sequence[Click]) -> bool:
        """Whether clicks with object numbers can be answered from what is in the boxes."""
        known = all(click.object == 0 or click.object in self.objects for click in clicks)
        return known and bool(self.holds(np.array([click.point for click in clicks], np.float64)).all())


@dataclass(frozen=True)
class Focus:
    """`margin`: how far around an object is looked, in times its size; less where that makes more than `voxels`."""

    margin: float = 1.0
    voxels: int = 12_000

    def region(self, xyz: np.ndarray, labels: np.ndarray, clicks: Sequence[Click], size: float) -> Region | None:
        """Where to look in a cloud with carried labels, at a voxel size; None: everywhere."""
        objects = frozenset(int(number) for number in np.flatnonzero(np.bincount(labels)) if number)
        boxes = [_box(xyz[labels == number]) for number in objects]
        if self.margin <= 0 or any(click.object and click.object not in objects for click in clicks) or not boxes:
            return None
        places = [np.asarray(click.point, np.float64) for click in clicks]
        for halving in range(HALVINGS + 1):
            factor = self.margin / 2**halving
            around = [_widened(low, high, factor * float((high - low).max()), size) for low, high in boxes]
            around += [_widened(place, place, 0.0, size) for place in places]
            region = Region(np.array([low for low, _ in around]), np.array([high for _, high in around]), objects)
            if _voxels(xyz[region.holds(xyz)], size) <= self.voxels:
                break
        return region


def _box(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return lowest(xyz).astype(np.float64), -lowest(-xyz).astype(np.float64)


def _widened(low: np.ndarray, high: np.ndarray, margin: float, size: float) -> tuple[np.ndarray, np.ndarray]:
    margin = max(margin, LEAST * size)
    return low - margin, high + margin


def _voxels(xyz: np.ndarray, size: float) -> int:
    """How many voxels hold the points."""
    cells = ((xyz - lowest(xyz)) / np.float32(size)).astype(np.int32)
    extent = np.array([column.max() for column in cells.T], np.int64) + 1
    return len(np.unique(linear(cells, extent)))
