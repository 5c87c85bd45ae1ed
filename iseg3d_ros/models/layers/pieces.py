"""Which voxels hang together: the pieces of a mask, on a graph that follows how densely a sensor saw each place."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

NEIGHBOURS = 12  # of a voxel, at most
NEAR = 2.5  # voxel edges: what is nearer hangs together
SPACING_RANK = 6  # the distance to this neighbour is the spacing at a voxel
SPACINGS = 3.0  # times the wider spacing of two neighbours: they hang together up to here, as rings of a LiDAR do


class Links:
    """Which of the voxels at points (V, 3) of this edge hang together; found where a mask asks, and kept."""

    def __init__(self, points: NDArray[np.float32], size: float) -> None:
        self._points, self._size, self._lock = points, size, threading.Lock()
        self._neighbours = min(NEIGHBOURS, len(points) - 1)
        self._known = np.zeros(len(points), bool)
        self._distance = np.empty((len(points), self._neighbours))
        self._index = np.empty((len(points), self._neighbours), np.int32)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._points)

    def pieces_with(self, mask: NDArray[np.bool_], seeds: list[int]) -> NDArray[np.bool_]:
        """The pieces of a mask (V,) that hold one of these voxels."""
        rows = mask.nonzero()[0]
        if self._neighbours < 1 or len(rows) == 0:
            return mask.copy()
        self._look_at(rows)
        distance, index = self._distance[rows], self._index[rows]
        first, rank = mask[index].nonzero()
        second, away = index[first, rank], distance[first, rank]
        spacing = np.zeros(len(mask))
        spacing[rows] = distance[:, min(SPACING_RANK, self._neighbours) - 1]
        near = away <= np.maximum(NEAR * self._size, SPACINGS * np.maximum(spacing[rows[first]], spacing[second]))
        place = np.zeros(len(mask), np.int32)
        place[rows] = np.arange(len(rows))
        ends = first[near], place[second[near]]
        edges = sparse.coo_matrix((np.ones(len(ends[0]), np.int8), ends), (len(rows),) * 2)
        piece = connected_components(edges, directed=False)[1]
        held = np.zeros(len(mask), bool)
        held[rows] = np.isin(piece, piece[place[[seed for seed in seeds if mask[seed]]]])
        return held

    def _look_at(self, rows: NDArray[np.intp]) -> None:
        """Find the neighbours of those of these voxels that nobody has asked for."""
        with self._lock:
            new = rows[~self._known[rows]]
            if len(new):
                # The nearest is the voxel itself.
                distance, index = self._tree.query(self._points[new], self._neighbours + 1)
                self._distance[new], self._index[new] = distance[:, 1:], index[:, 1:]
                self._known[new] = True
