"""Clicks as a person gives them (metres) and as a network takes them (voxel indices)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Click:
    """A point in the cloud's own frame, in metres, and the object it belongs to (0 = background, 1..M = objects)."""

    point: tuple[float, float, float]
    object: int = 1


@dataclass(frozen=True)
class VoxelClicks:
    """Clicks of one cloud, in the order they were given: `voxel` int64 (K,), `label` int64 (K,) in 0..objects."""

    voxel: Tensor
    label: Tensor
    objects: int

    def __len__(self) -> int:
        return len(self.voxel)

    def of(self, label: int) -> Tensor:
        """The voxels clicked for one object (0 = background)."""
        return self.voxel[self.label == label]

    def to(self, device: torch.device | str) -> VoxelClicks:
        """The same clicks on another device."""
        return VoxelClicks(self.voxel.to(device), self.label.to(device), self.objects)
