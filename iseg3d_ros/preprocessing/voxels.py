"""Points to voxels and back: quantisation, its inverse map, sums per voxel, neighbouring voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DENSE_CELLS = 1 << 24  # up to here a table over the whole grid is faster than sorting the points


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
    inverse = (np.cumsum(occupied) - 1)[key]
    representative = np.empty(int(inverse.max()) + 1, np.int64)
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


def neighbour_pairs(coords: np.ndarray, radius: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair (i, j) of voxels at most `radius` cells apart on each axis, once; `coords` sorted by x, y, z.

    One binary search finds a whole column of 2·radius + 1 neighbours, because z runs fastest in the sorted keys.
    """
    extent = coords.max(axis=0).astype(np.int64) + 1 + 2 * radius
    key = linear(coords.astype(np.int64) + radius, extent)
    padded = np.concatenate([key, np.full(2 * radius + 1, np.iinfo(np.int64).max)])
    everyone = np.arange(len(key))
    firsts, seconds = [], []
    for dx in range(radius + 1):
        for dy in range(-radius if dx else 0, radius + 1):
            column = dx or dy  # in its own column a voxel looks upwards only
            lowest = key + (dx * extent[1] + dy) * extent[2] - (radius if column else -1)
            highest = lowest + (2 * radius if column else radius - 1)
            start = np.searchsorted(key, lowest)
            for step in range(2 * radius + 1 if column else radius):
                found = padded[start + step] <= highest
                firsts.append(everyone[found])
                seconds.append(start[found] + step)
    return np.concatenate(firsts), np.concatenate(seconds)
