"""Sparse 3D convolutions over batched voxel coordinates, on any device that torch has."""

from __future__ import annotations

from iseg3d_ros.sparse.choice import backend
from iseg3d_ros.sparse.kernel_map import KernelMap
from iseg3d_ros.sparse.layers import BatchNorm, DownConv3d, SubMConv3d, UpConv3d, normalised
from iseg3d_ros.sparse.maps import Maps
from iseg3d_ros.sparse.tensor import SparseTensor, cat, pool, sparse_batch, unpool

__all__ = [
    "BatchNorm",
    "DownConv3d",
    "KernelMap",
    "Maps",
    "SparseTensor",
    "SubMConv3d",
    "UpConv3d",
    "backend",
    "cat",
    "normalised",
    "pool",
    "sparse_batch",
    "unpool",
]
