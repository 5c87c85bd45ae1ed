"""Which voxels hang together: the pieces of a mask, on a graph that follows how densely a sensor saw each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

NEIGHBOURS = 12  # of a voxel, at most
NEAR = 2.5  # voxel edges: what is nearer hangs together
SPACING_RANK = 6  # the distance to this neighbour is the spacing at a voxel
SPACINGS = 3.0  # times the wider spacing of two neighbours: they hang together up to here, as rings of a LiDAR do


@dataclass(frozen=True)
class Links:
    """Pairs (2, L) of voxels that hang together."""

    pairs: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, points: NDArray[np.float32], size: float) -> Links:
        """Links among voxels at points (V, 3) of this edge."""
        neighbours = min(NEIGHBOURS + 1, len(points))
        distance, index = cKDTree(points).query(points, neighbours, workers=torch.get_num_threads())
        if neighbours < 2:
            return cls(np.zeros((2, 0), np.int64), len(points))
        spacing = distance[:, min(SPACING_RANK, neighbours - 1)]
        wider = np.maximum(spacing[:, None], spacing[index[:, 1:]])
        first, rank = np.nonzero(distance[:, 1:] <= np.maximum(NEAR * size, SPACINGS * wider))
        return cls(np.stack([first, index[first, rank + 1]]), len(points))

    def pieces_with(self, mask: NDArray[np.bool_], seeds: list[int]) -> NDArray[np.bool_]:
        """The pieces of a mask (V,) that hold one of these voxels."""
        first, second = self.pairs
        inside = mask[first] & mask[second]
        edges = np.ones(int(inside.sum()), np.int8), (first[inside], second[inside])
        _, piece = connected_components(sparse.coo_matrix(edges, (self.count, self.count)), directed=False)
        held: NDArray[np.bool_] = mask & np.isin(piece, piece[seeds])
        return held
