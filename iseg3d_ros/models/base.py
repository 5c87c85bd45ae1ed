"""What every network takes and gives: a voxelised cloud, encoded once; clicks, decoded at each click."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.settings import ModelSettings


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
    not depend on it. `classes` (M, C): logits of each object's class, of networks that know any.
    """

    logits: Tensor
    intermediate: tuple[Tensor, ...] = ()
    variance: Tensor | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    sharpness: float = 1.0
    classes: Tensor | None = None


class Network(nn.Module, ABC):
    """Interface of a network; lists have one item per cloud. What `encode` gives is each network's own immutable value.

    `card` is what the file of its weights says; `uses_previous`, whether `decode` wants the previous labels.
    """

    settings_class: ClassVar[type[ModelSettings]]
    settings: Any
    uses_previous = False

    def __init__(self, settings: Any, card: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.settings, self.card = settings, card or {}

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @abstractmethod
    def encode(self, clouds: Sequence[VoxelCloud]) -> Any:
        """Everything that does not depend on clicks: expensive; once per cloud."""

    @abstractmethod
    def decode(
        self, encoded: Any, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks from clicks (and the previous labels int64 (V,), for networks that use them): cheap, per click."""

    def loss(
        self,
        encoded: Any,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """The paper's loss, decoded with gradient; targets int64 (V,) labels 0..M; `total` is what to minimise."""
        raise NotImplementedError(f"{type(self).__name__} has no loss for single steps")
