"""Features on voxels, and what one does with them besides convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from iseg3d_ros.sparse.maps import Maps


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """Features (V, C) on the voxels of `maps` at `stride`, or (V, G, C): G sets of features on the same voxels."""

    features: Tensor
    maps: Maps
    stride: int = 1

    def __post_init__(self) -> None:
        voxels = len(self.maps.coords(self.stride))
        if self.features.ndim not in (2, 3) or len(self.features) != voxels:
            shape = tuple(self.features.shape)
            raise ValueError(f"Features must be (V, C) or (V, G, C) with V = {voxels} voxels; got {shape}.")

    @property
    def coords(self) -> Tensor:
        """Coordinates int32 (V, 4) of the features."""
        return self.maps.coords(self.stride)

    @property
    def batch(self) -> Tensor:
        """Index of the cloud of every voxel, int64 (V,)."""
        return self.coords[:, 0].to(torch.int64)

    def __len__(self) -> int:
        return len(self.features)

    def __add__(self, other: SparseTensor) -> SparseTensor:
        _same_voxels([self, other])
        return self.replace(self.features + other.features)

    def replace(self, features: Tensor) -> SparseTensor:
        """Other features on the same voxels."""
        return SparseTensor(features, self.maps, self.stride)


def cat(tensors: Sequence[SparseTensor]) -> SparseTensor:
    """Features side by side, of tensors on the same voxels."""
    _same_voxels(tensors)
    return tensors[0].replace(torch.cat([x.features for x in tensors], dim=-1))


def sparse_batch(clouds: Sequence[Tensor]) -> Tensor:
    """Coordinates (V, 3) of several clouds as one int32 (sum V, 4), batch index first."""
    if not clouds:
        raise ValueError("A sparse batch needs at least one cloud; got none.")
    return torch.cat([torch.nn.functional.pad(c.to(torch.int32), (1, 0), value=i) for i, c in enumerate(clouds)])


def pool(x: SparseTensor, how: Literal["max", "mean", "sum"] = "max", factor: int = 2) -> SparseTensor:
    """Features at `stride * factor`: the maximum, mean or sum over each voxel's children."""
    parent = x.maps.parent(x.stride, factor)
    coarse = x.stride * factor
    out = x.features.new_zeros((len(x.maps.coords(coarse)), *x.features.shape[1:]))
    index = parent.view(-1, *[1] * (x.features.ndim - 1)).expand_as(x.features)
    reduce = {"max": "amax", "mean": "mean", "sum": "sum"}.get(how)
    if reduce is None:
        raise ValueError(f"Pooling knows max, mean and sum, not {how!r}.")
    return SparseTensor(out.scatter_reduce(0, index, x.features, reduce, include_self=False), x.maps, coarse)


def unpool(x: SparseTensor, factor: int = 2) -> SparseTensor:
    """Features at `stride / factor`: every voxel takes its parent's."""
    if x.stride % factor:
        raise ValueError(f"A tensor of stride {x.stride} has no level finer by {factor}.")
    fine = x.stride // factor
    return SparseTensor(x.features[x.maps.parent(fine, factor)], x.maps, fine)


def _same_voxels(tensors: Sequence[SparseTensor]) -> None:
    if any(x.maps is not tensors[0].maps or x.stride != tensors[0].stride for x in tensors):
        raise ValueError("These sparse tensors are on different voxels; they must share their maps and stride.")
