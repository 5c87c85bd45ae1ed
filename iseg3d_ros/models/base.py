"""What every network takes and gives: a voxelised cloud, encoded once; clicks, decoded at each click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from iseg3d_ros.clicks import VoxelClicks


@dataclass(frozen=True)
class VoxelCloud:
    """One quantised cloud, z up where the up direction is known.

    `coords` int32 (V, 3) voxel indices from 0; `points` float32 (V, 3) metric coordinates of each voxel's
    representative; `features` float32 (V, C) as the network's settings name them; `size` the voxel's edge in metres.
    """

    coords: Tensor
    points: Tensor
    features: Tensor
    size: float

    def __len__(self) -> int:
        return len(self.coords)

    def to(self, device: torch.device | str) -> VoxelCloud:
        """The same cloud on another device."""
        return VoxelCloud(self.coords.to(device), self.points.to(device), self.features.to(device), self.size)


@dataclass(frozen=True)
class Prediction:
    """Per voxel scores: `logits` (V, M + 1), column 0 background; intermediate ones for deep supervision.

    `variance` (V,) is the epistemic variance of networks that sample; `extras` is what the network's own loss needs.
    The probabilities that are shown are those of the logits raised to the power `sharpness`, for calibration: labels do
    not depend on it.
    """

    logits: Tensor
    intermediate: tuple[Tensor, ...] = ()
    variance: Tensor | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    sharpness: float = 1.0


class Network(Protocol):
    """The verbs of a network. `Encoded` is each network's own immutable value; lists run in step, one entry a cloud."""

    def encode(self, clouds: Sequence[VoxelCloud]) -> Any:
        """Everything that does not depend on clicks: dear, once a cloud."""

    def decode(
        self, encoded: Any, clicks: Sequence[VoxelClicks], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks from clicks (and the previous labels int64 (V,), for networks that use them): cheap, per click."""

    def loss(
        self,
        encoded: Any,
        clicks: Sequence[VoxelClicks],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """The paper's loss, decoded with gradient; targets int64 (V,) labels 0..M; `total` is what to minimise."""
