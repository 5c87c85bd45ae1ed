"""What the attention networks keep of a scene between clicks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.layers.attention import SceneProjections
from iseg3d_ros.sparse import Maps

# (point, object) pairs worked on together where no gradient is kept: as many as a CPU's cache holds, or a GPU's memory
PAIRS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}


@dataclass(frozen=True)
class Scale:
    """One cloud's features at one of the backbone's scales.

    `parent` (V,) is the row here of every voxel of the cloud, None at full resolution; `count` its children. `first`
    is what the first layer makes of them before any click, where it wants that.
    """

    features: Tensor
    position: Tensor
    parent: Tensor | None
    count: Tensor | None
    first: SceneProjections | None

    def at(self, voxel: Tensor) -> Tensor:
        """Rows here of voxels of the cloud: the ClickMap of E2I3D's Eq. 5."""
        return voxel if self.parent is None else self.parent[voxel]

    def spread(self, values: Tensor) -> Tensor:
        """Values of this scale's voxels, given to every voxel of the cloud."""
        return values if self.parent is None else values.index_select(0, self.parent)

    def columns(self, values: Tensor) -> Tensor:
        """The same of values (K, N) that have a row for each click."""
        return values if self.parent is None else values.index_select(1, self.parent)


@dataclass(frozen=True)
class EncodedCloud:
    """A cloud, its scales (finest first) and its diagonal in metres."""

    cloud: VoxelCloud
    scales: tuple[Scale, ...]
    extent: Tensor


@dataclass(frozen=True)
class Encoded:
    """Clouds that went through the backbone together."""

    clouds: tuple[EncodedCloud, ...]
    maps: Maps


def parents(maps: Maps, stride: int) -> Tensor:
    """Row at `stride` of every voxel at stride 1."""
    rows = maps.parent(1)
    level = 2
    while level < stride:
        rows = maps.parent(level)[rows]
        level *= 2
    return rows


def children(parent: Tensor, count: int) -> Tensor:
    """How many voxels each of `count` rows is the parent of."""
    ones = torch.ones(len(parent), device=parent.device)
    return torch.zeros(count, device=parent.device).index_add(0, parent, ones)


def pool_mean(values: Tensor, parent: Tensor, count: Tensor) -> Tensor:
    """Mean of fine values in every coarse voxel; `count` (Vc,) is how many there are."""
    total = values.new_zeros((len(count), *values.shape[1:]), dtype=torch.float32).index_add(0, parent, values.float())
    return total / count.clamp(min=1).view(-1, *[1] * (values.ndim - 1))


def rows_of_clouds(coords: Tensor, clouds: int) -> list[int]:
    """How many voxels of a level each cloud has; levels are sorted by cloud."""
    if clouds == 1:
        return [len(coords)]
    batch = torch.arange(clouds, device=coords.device, dtype=coords.dtype)
    sizes: list[int] = (coords[:, 0] == batch[:, None]).sum(1).tolist()
    return sizes


def parts(points: int, labels: int, device: torch.device) -> Iterator[slice]:
    """Slices of the points that bound the memory of pair-wise work; a single one where gradients are kept."""
    step = points if torch.is_grad_enabled() else max(1, PAIRS_AT_ONCE.get(device.type, 1 << 20) // labels)
    return (slice(start, min(start + step, points)) for start in range(0, points, step))


class CloudsEncoded(Protocol):
    """What any network makes of several clouds."""

    @property
    def clouds(self) -> Sequence[object]:
        """One entry a cloud."""


def check_clicks(encoded: CloudsEncoded, clicks: Sequence[object]) -> None:
    """Refuse a list of clicks that does not fit the clouds."""
    if len(clicks) != len(encoded.clouds):
        raise ValueError(f"{len(encoded.clouds)} clouds were encoded, but clicks were given for {len(clicks)}")
    if any(len(c) == 0 for c in clicks):  # type: ignore[arg-type]
        raise ValueError("a cloud has no clicks; give at least one before asking for masks")
