"""What a network sees of each voxel: colour, its place in the voxel and in the cloud, its normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.preprocessing.voxels import Voxels, lowest, mean_per_voxel, upper_neighbours, voxelise

WIDTHS = {"rgb": 3, "has_colour": 1, "one": 1, "offset": 3, "normal": 3, "position": 3}
FEATURES = ("rgb", "has_colour", "one", "offset", "normal")  # of our own networks
NORMAL_RADIUS = 2  # cells: the neighbourhood of 5³ voxels
CHUNK = 4096  # normals found at once: what stays in a near cache


def width(names: Sequence[str]) -> int:
    """Number of channels of these features together."""
    _check(names)
    return sum(WIDTHS[name] for name in names)


@dataclass(frozen=True)
class Cells:
    """A quantised cloud, `rgb` uint8 (N, 3) or None, and what its voxels hold, found once it is asked for."""

    xyz: np.ndarray
    rgb: np.ndarray | None
    voxels: Voxels

    @cached_property
    def local(self) -> NDArray[np.floating[Any]]:
        """The points (N, 3) in voxel edges from the grid's corner."""
        local: NDArray[np.floating[Any]] = (self.xyz - lowest(self.xyz)) / self.xyz.dtype.type(self.voxels.size)
        return local

    @cached_property
    def offsets(self) -> NDArray[np.float32]:
        """Mean point minus voxel centre, in voxels: between −0.5 and 0.5."""
        return mean_per_voxel(self.local, self.voxels) - self.voxels.coords.astype(np.float32) - np.float32(0.5)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """The voxels' mean points, in voxel edges from the grid's corner."""
        return self.offsets.astype(np.float64) + self.voxels.coords.astype(np.float64) + 0.5

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """Unit normals of either sign."""
        return normals(self.voxels.coords, self.means)[0]

    @cached_property
    def colours(self) -> NDArray[np.float32]:
        """Mean colour between −0.5 and 0.5; 0 where there is no colour."""
        if self.rgb is None:
            return np.zeros((len(self.voxels), 3), np.float32)
        return mean_per_voxel(self.rgb, self.voxels) / np.float32(255) - np.float32(0.5)


def features(cells: Cells, names: Sequence[str]) -> NDArray[np.float32]:
    """The named features side by side, (V, C)."""
    _check(names)
    return np.concatenate([_feature(name, cells) for name in names], axis=1)


def voxel_cloud(
    xyz: np.ndarray, rgb: np.ndarray | None, size: float, names: Sequence[str]
) -> tuple[VoxelCloud, Voxels]:
    """Quantise a cloud (z up where known) and compute its features."""
    voxels = voxelise(xyz, size)
    return network_view(Cells(xyz, rgb, voxels), names), voxels


def network_view(cells: Cells, names: Sequence[str]) -> VoxelCloud:
    """What a network sees of a cloud that is quantised already."""
    arrays = cells.voxels.coords, cells.voxels.points, features(cells, names)
    coords, points, channels = map(torch.from_numpy, arrays)
    return VoxelCloud(coords, points, channels, cells.voxels.size)


def _check(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in WIDTHS]
    if unknown:
        raise ValueError(f"There is no feature called {unknown[0]!r}; the features are {', '.join(WIDTHS)}.")


def _feature(name: str, cells: Cells) -> NDArray[np.float32]:
    if name == "rgb":
        return cells.colours
    if name == "has_colour":
        return np.full((len(cells.voxels), 1), cells.rgb is not None, np.float32)
    if name == "one":
        return np.ones((len(cells.voxels), 1), np.float32)
    if name == "offset":
        return cells.offsets
    if name == "position":
        return (cells.means * cells.voxels.size).astype(np.float32)
    return upward(cells.normals)


def upward(vectors: np.ndarray) -> NDArray[np.float32]:
    """The same directions with z ≥ 0."""
    return (vectors * np.where(vectors[:, 2:] < 0, -1, 1)).astype(np.float32)


def normals(
    coords: np.ndarray, means: np.ndarray, radius: int = NORMAL_RADIUS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit normals (V, 3) of either sign and surface variation (V,) in 0..1/3, by PCA over each voxel's neighbourhood.

    `means` are the voxels' mean points in units of a voxel. Surface variation is the smallest eigenvalue's share of
    the sum (Pauly 2002): 0 on a plane. A voxel with too few neighbours to span a plane has the normal (0, 0, 1).
    """
    local = means.astype(np.float64) - means.mean(axis=0)
    moments = np.empty((len(coords), 10))
    moments[:, 0] = 1
    moments[:, 1:4] = local
    moments[:, 4:7] = local * local
    x, y, z = local.T
    moments[:, 7], moments[:, 8], moments[:, 9] = x * y, x * z, y * z
    begin, second = upper_neighbours(coords, radius)
    adjacency = sparse.csr_matrix((np.ones(len(second)), second, begin), shape=(len(coords),) * 2)
    summed = moments + adjacency @ moments + adjacency.T @ moments
    mean = summed[:, 1:] / summed[:, :1]
    squares = mean[:, 3:6] - mean[:, :3] ** 2
    products = mean[:, 6:9] - mean[:, [0, 0, 1]] * mean[:, [1, 2, 2]]
    starts = range(0, len(coords), CHUNK)
    parts = [_smallest_direction(squares[i : i + CHUNK], products[i : i + CHUNK]) for i in starts]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _smallest_direction(squares: np.ndarray, products: np.ndarray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Eigenvector of the smallest eigenvalue of many symmetric 3×3 matrices, in closed form (Smith 1961)."""
    (a, b, c), (d, e, f) = squares.T, products.T  # the diagonal; xy, xz, yz
    third = (a + b + c) / 3
    off = d * d + e * e + f * f
    spread = np.sqrt(np.maximum(((a - third) ** 2 + (b - third) ** 2 + (c - third) ** 2 + 2 * off) / 6, 1e-30))
    aa, bb, cc = (a - third) / spread, (b - third) / spread, (c - third) / spread
    dd, ee, ff = d / spread, e / spread, f / spread
    half_determinant = (aa * (bb * cc - ff * ff) - dd * (dd * cc - ff * ee) + ee * (dd * ff - bb * ee)) / 2
    angle = np.arccos(np.clip(half_determinant, -1, 1)) / 3
    smallest = third + 2 * spread * np.cos(angle + 2 * np.pi / 3)
    # The rows of (A − λ₀) span the plane orthogonal to the eigenvector: take the longest of their cross products.
    a0, b0, c0 = a - smallest, b - smallest, c - smallest
    crosses = np.array(
        [
            [d * f - e * b0, e * d - a0 * f, a0 * b0 - d * d],
            [d * c0 - e * f, e * e - a0 * c0, a0 * f - d * e],
            [b0 * c0 - f * f, f * e - d * c0, d * f - b0 * e],
        ]
    )
    lengths = np.einsum("ijk,ijk->ik", crosses, crosses)
    best = lengths.argmax(axis=0)
    index = np.arange(len(a))
    vector, length = crosses[best, :, index], np.sqrt(lengths[best, index])
    flat = length > 1e-9
    normal = np.where(flat[:, None], vector / np.where(flat, length, 1)[:, None], (0.0, 0.0, 1.0))
    variation = np.clip(smallest / np.maximum(3 * third, 1e-12), 0, 1 / 3)
    return normal.astype(np.float32), variation.astype(np.float32)
