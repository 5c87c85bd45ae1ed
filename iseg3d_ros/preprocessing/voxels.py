"""Points to voxels and back: quantisation, its inverse map, sums per voxel, neighbouring voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DENSE_CELLS = 1 << 24  # up to here a table over the whole grid is faster than sorting the points
COUNTED_CELLS = 1 << 21  # up to here counting the voxels before every cell is faster than searching


@dataclass(frozen=True)
class Voxels:
    """The occupied voxels of a cloud, sorted by x, y, z.

    `coords` int32 (V, 3) from 0; `points` float32 (V, 3) the un-quantised representative, which is the first point of
    the voxel; `representative` int64 (V,) its index; `inverse` int64 (N,) the voxel of every point; `size` metres;
    `counts` int64 (V,) points in each voxel.
    """

    coords: NDArray[np.int32]
    points: NDArray[np.float32]
    representative: NDArray[np.int64]
    inverse: NDArray[np.int64]
    size: float
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.coords)


def voxelise(xyz: np.ndarray, size: float) -> Voxels:
    """Quantise finite points (N, 3) on a grid of edge `size` anchored at the cloud's smallest coordinates."""
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"Points must have the shape (N, 3), but these have {xyz.shape}.")
    if not size > 0:
        raise ValueError(f"The voxel size must be a positive number of metres, not {size}.")
    if len(xyz) == 0:
        raise ValueError("There are no points to quantise.")
    cells = _cells(xyz, size)
    extent = np.array([column.max() for column in cells.T], np.int64) + 1
    key = linear(cells, extent)
    representative, inverse = _dense(key, int(extent.prod())) if extent.prod() <= DENSE_CELLS else _sorted(key)
    points = np.ascontiguousarray(xyz[representative], dtype=np.float32)
    counts = np.bincount(inverse, minlength=len(representative))
    return Voxels(cells[representative], points, representative, inverse, float(size), counts)


def lowest(points: np.ndarray) -> np.ndarray:
    """The smallest x, y and z: many times faster than min(axis=0), which reduces three numbers at a time."""
    return np.array([column.min() for column in points.T], points.dtype)


def _cells(xyz: np.ndarray, size: float) -> NDArray[np.int32]:
    scaled = (xyz - lowest(xyz)) / np.asarray(size, xyz.dtype if xyz.dtype.kind == "f" else np.float64)
    if not np.isfinite(scaled).all():
        raise ValueError("The points hold NaN or infinite coordinates; drop them before quantising.")
    if scaled.max() >= 2**30:
        raise ValueError(
            f"The cloud spans more than a billion voxels of {size:g} m; use a larger voxel size or crop it."
        )
    return scaled.astype(np.int32)  # truncation is floor: nothing is negative


def linear(cells: np.ndarray, extent: np.ndarray) -> NDArray[np.int64]:
    """One integer a cell, in the order x, y, z, for a grid of `extent` cells."""
    if float(extent[0]) * float(extent[1]) * float(extent[2]) >= 2**62:
        raise ValueError("The cloud spans too many voxels to count; use a larger voxel size or crop it.")
    strides = np.array([extent[1] * extent[2], extent[2], 1], np.int64)
    return cells[:, 0] * strides[0] + cells[:, 1] * strides[1] + cells[:, 2]


def _dense(key: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    occupied = np.zeros(cells, bool)
    occupied[key] = True
    there = np.flatnonzero(occupied)
    rank = np.empty(cells, np.int32)  # of the occupied cells alone: the others' pages are never touched
    rank[there] = np.arange(len(there), dtype=np.int32)
    inverse = rank[key].astype(np.int64)
    representative = np.empty(len(there), np.int64)
    representative[inverse[::-1]] = np.arange(len(key) - 1, -1, -1)  # of repeated indices the last one written stays
    return representative, inverse


def _sorted(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(key)
    ranked = key[order]
    new = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    inverse = np.empty(len(key), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return np.minimum.reduceat(order, np.flatnonzero(new)), inverse


def mean_per_voxel(values: np.ndarray, voxels: Voxels) -> NDArray[np.float32]:
    """Mean of (N, C) values over the points of each voxel: (V, C)."""
    sums = [np.bincount(voxels.inverse, column, len(voxels)) for column in np.asarray(values).T]
    return (np.stack(sums, axis=1) / voxels.counts[:, None]).astype(np.float32)


def majority(labels: np.ndarray, voxels: Voxels) -> NDArray[np.int64]:
    """The label that most points of each voxel carry; the smallest one on a tie."""
    names, index = np.unique(labels, return_inverse=True)
    pair, votes = np.unique(voxels.inverse * len(names) + index.reshape(-1), return_counts=True)
    voxel = pair // len(names)
    order = np.lexsort((pair, -votes, voxel))
    first = np.concatenate([[True], np.diff(voxel[order]) > 0])
    return names[pair[order][first] % len(names)].astype(np.int64)


@dataclass(frozen=True)
class Columns:
    """The columns of cells along z that hold every neighbour of a larger key, of voxels sorted by x, y, z.

    `key` (V,) of every voxel; `start`, `count` int32 (V, C): because z runs fastest, a column holds the voxels from
    start on; `base` (V, C) the key of its lowest cell; `place` (C,) (dx, dy) of each. Columns are in rising order.
    """

    key: NDArray[Any]
    base: NDArray[Any]
    start: NDArray[np.int32]
    count: NDArray[np.int32]
    place: list[tuple[int, int]]

    @classmethod
    def of(cls, coords: np.ndarray, radius: int) -> Columns:
        """At most `radius` cells away on each axis. In a small grid the voxels before every cell are counted; in a
        large one a binary search finds where a column begins."""
        extent = coords.max(axis=0).astype(np.int64) + 1 + 2 * radius
        key = linear(coords.astype(np.int64) + radius, extent)
        if extent.prod() < 2**30:
            key = key.astype(np.int32)
        below = _counted(key, int(extent.prod())) if extent.prod() <= COUNTED_CELLS else None
        long = 2 * radius + 1
        padded = np.concatenate([key, np.full(long + 1, np.iinfo(key.dtype).max)])
        place = [(dx, dy) for dx in range(radius + 1) for dy in range(-radius if dx else 0, radius + 1)]
        shape = (len(place), len(key))
        base, start = np.empty(shape, key.dtype), np.empty(shape, np.int32)
        count = np.zeros(shape, np.int32)
        for k, (dx, dy) in enumerate(place):
            np.add(key, (dx * extent[1] + dy) * extent[2] - radius, out=base[k], casting="unsafe")
            # In its own column a voxel looks upwards only.
            above = base[k] + long
            if below is not None:
                start[k] = below[base[k]] if k else np.arange(1, len(key) + 1)
                np.subtract(below[above], start[k], out=count[k])
                continue
            start[k] = np.searchsorted(key, base[k]) if k else np.arange(1, len(key) + 1)
            for step in range(long if k else radius):
                count[k] += padded[start[k] + step] < above
        return cls(key, base, start, count, place)


def _counted(key: NDArray[Any], cells: int) -> NDArray[np.int32]:
    """How many voxels lie before each cell, and before the end (cells + 1,)."""
    below = np.zeros(cells + 1, np.int32)
    below[key + 1] = 1
    return np.cumsum(below, out=below)


def upper_neighbours(coords: np.ndarray, radius: int = 1) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Neighbours of a larger key at most `radius` cells away on each axis, as rows of a sparse matrix: where each
    voxel's begin (V + 1,), and all of them, in rising order; `coords` sorted by x, y, z."""
    columns = Columns.of(coords, radius)
    count = columns.count.T.ravel()
    before = np.zeros(len(count) + 1, np.int32)
    np.cumsum(count, out=before[1:])
    shift = columns.start.T.ravel() - before[:-1]
    return before[:: len(columns.place)], np.repeat(shift, count) + np.arange(before[-1], dtype=np.int32)


def neighbour_table(coords: np.ndarray) -> NDArray[np.int32]:
    """The neighbours of every voxel in the order of their offsets, (V, 27), −1 where there is none; sorted `coords`."""
    everyone = np.arange(len(coords), dtype=np.int32)
    table = np.full((len(coords), 27), -1, np.int32)
    table[:, 13] = everyone
    columns = Columns.of(coords, 1)
    flat = table.reshape(-1)
    for k, (dx, dy) in enumerate(columns.place):
        for step in range(3 if k else 1):
            first = np.flatnonzero(columns.count[k] > step)
            second = columns.start[k][first].astype(np.int64) + step
            place = 9 * dx + 3 * dy + 12 + columns.key[second] - columns.base[k][first]
            flat[27 * first + place] = second
            flat[27 * second + 26 - place] = first
    return table
