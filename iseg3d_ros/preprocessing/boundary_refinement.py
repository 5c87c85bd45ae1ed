"""From voxels' probabilities to points': sharp boundaries at full resolution, at the cost of the boundary only.

Where a voxel and its neighbours agree, its points take its values. In the voxels where they do not, every point asks
the eight voxels around it (its own and those of its octant) and weighs their probabilities by distance, by colour and
by how far it lies off each one's surface: a joint bilateral filter (Kopf 2007) with a point-to-plane term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from iseg3d_ros.preprocessing.features import Cells
from iseg3d_ros.preprocessing.voxels import Voxels, neighbour_table

CHUNK_POINTS = 1 << 17  # points refined at once: what fits a cache
DISTANCE_SIGMA_VOXELS = 0.5  # voxel edges: standard deviation of the weight by distance
HEIGHT_SIGMA_VOXELS = 0.2  # voxel edges: … by distance from the neighbour's surface
COLOUR_SIGMA = 0.12  # … by summed squared difference of colour channels 0..1


@dataclass(frozen=True)
class Refiner:
    """What refinement needs of one cloud, made once: `local` (N, 3) points in voxel edges from the grid's corner."""

    voxels: Voxels
    local: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None
    means: NDArray[np.float64]
    colours: NDArray[np.float32]
    normals: NDArray[np.float32]
    table: NDArray[np.int32]  # (V, 27) neighbours in the order of their offsets, −1 where there is none
    adjacency: sparse.csr_matrix

    @classmethod
    def of(cls, cells: Cells) -> Refiner:
        """Neighbours, mean points, colours and normals of the voxels of a cloud."""
        voxels = cells.voxels
        table = neighbour_table(voxels.coords)
        there = table >= 0
        there[:, 13] = False
        begin = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        ones, shape = np.ones(begin[-1], np.float32), (len(voxels),) * 2
        adjacency = sparse.csr_matrix((ones, table[there], begin), shape=shape)
        local = cells.local.astype(np.float32, copy=False)
        return cls(voxels, local, cells.rgb, cells.means, cells.colours, cells.normals, table, adjacency)

    def boundary(self, label: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The voxels that have a neighbour of another label."""
        edge = np.zeros(len(label), bool)
        objects = np.flatnonzero(label)  # of two neighbours with two labels one is an object's
        around = self.table[objects]
        other = (label[around] != label[objects, None]) & (around >= 0)
        edge[objects[other.any(axis=1)]] = True
        edge[around[other]] = True
        return edge

    def probability(self, points: NDArray[np.int64], chance: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, M + 1) probabilities of these points from those of the voxels (V, M + 1)."""
        starts = range(0, len(points), CHUNK_POINTS)
        parts = [self._chunk(points[start : start + CHUNK_POINTS], chance) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, chance.shape[1]), np.float32)

    def _chunk(self, points: NDArray[np.int64], chance: NDArray[np.float32]) -> NDArray[np.float32]:
        around = self._octant(points)
        weight = self._weights(points, around)
        total = np.einsum("nk,nkc->nc", weight, chance[around])
        return total / weight.sum(axis=1, keepdims=True)

    def _octant(self, points: NDArray[np.int64]) -> NDArray[np.int32]:
        """The own voxel of each point and its seven neighbours on the point's side: (n, 8), −1 where there is none."""
        own = self.voxels.inverse[points]
        side = np.where(self.local[points] - self.voxels.coords[own] > 0.5, 1, -1) * np.array([9, 3, 1])
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        return self.table[own[:, None], 13 + side @ corners.T]

    def _weights(self, points: NDArray[np.int64], around: NDArray[np.int32]) -> NDArray[np.float32]:
        step = self.local[points][:, None] - self.means[around]
        exponent = (step**2).sum(axis=2) / (2 * DISTANCE_SIGMA_VOXELS**2)
        exponent += (step * self.normals[around]).sum(axis=2) ** 2 / (2 * HEIGHT_SIGMA_VOXELS**2)
        if self.rgb is not None:
            change = self.rgb[points].astype(np.float32)[:, None] / 255 - 0.5 - self.colours[around]
            exponent += (change**2).sum(axis=2) / (2 * COLOUR_SIGMA**2)
        nearest = exponent.min(axis=1, where=around >= 0, initial=np.inf)  # keeps the sum above zero
        return np.where(around >= 0, np.exp(nearest[:, None] - exponent), 0).astype(np.float32)
