"""Clicks as a person gives them (metres) and as a network takes them (voxel indices)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Click:
    """A point in metres and the object it is on; a list of clicks is in the order in which they were given.

    `object`: a number for the library's calls (0 is the background, 1, 2, … are objects), an id in sessions ("" is the
    background). `frame`: empty for the cloud's own. `time` in seconds where it is known.
    """

    point: tuple[float, float, float]
    object: int | str = 1
    frame: str = ""
    time: float | None = None

    @property
    def id(self) -> str:
        """The object's id; "" for the background."""
        return str(self.object) if self.object else ""


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
