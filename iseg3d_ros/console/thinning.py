"""An even selection of a cloud's points, and how far apart points are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iseg3d_ros.preprocessing.voxels import voxelise


def thin(points: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Indices of at most `most` points, spread evenly: the first point of each voxel, of a size found by trial."""
    if len(points) <= most:
        return np.arange(len(points))
    coarse = np.arange(0, len(points), max(1, len(points) // (6 * most)))  # a few points a voxel are enough
    candidates = points[coarse]
    low, high = np.percentile(candidates[:: max(1, len(candidates) // 20000)], [1, 99], axis=0)
    size = max(float(np.linalg.norm(high - low)) / np.sqrt(most), 1e-4)
    for _ in range(8):
        kept = voxelise(candidates, size).representative
        if 0.6 * most <= len(kept) <= most:
            break
        size *= float(np.clip(np.sqrt(len(kept) / (0.8 * most)), 0.3, 3))  # surfaces: voxels go with 1/size²
    return coarse[kept] if len(kept) <= most else coarse[kept[:: -(-len(kept) // most)]]


def spacing(points: NDArray[np.float32], sample: int = 20_000) -> float:
    """Metres between neighbours on a surface, from a sample: distances there go with 1/sqrt(share)."""
    if len(points) < 2:
        return 0.01
    step = max(1, len(points) // sample)
    some = points[::step]
    nearest = cKDTree(some).query(some[:: max(1, len(some) // 2000)], k=2)[0][:, 1]
    return max(float(np.median(nearest)) / np.sqrt(step), 1e-4)
