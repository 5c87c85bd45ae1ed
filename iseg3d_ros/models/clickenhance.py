"""ClickEnhance (Wen et al.): distance maps as click channels, an encoder of the current click, a click loss.

All objects of all clouds go through both encoders in one pass on shared kernel maps, and then compete for the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers import binary_losses as binary_loss
from iseg3d_ros.models.layers.click_maps import channels, click_channels, current_channels
from iseg3d_ros.models.layers.click_unet import (
    ClickEncoder,
    ClickUNet,
    EncodedInput,
    compete,
    portions,
    spread,
    stacked,
)
from iseg3d_ros.models.layers.encoded_scene import check_clicks
from iseg3d_ros.models.settings import FEATURE_WIDTH, SMALL, TINY, ClickMapSettings, setting
from iseg3d_ros.sparse import SparseTensor

COLOUR = ("rgb", "has_colour")


@dataclass(frozen=True)
class ClickEnhanceSettings(ClickMapSettings):
    """Distance maps; the encoder of the current click; the click loss."""

    network = "clickenhance"
    presets: ClassVar = {"small": SMALL | {"fades": (2.0, 8.0, 32.0)}, "tiny": TINY | {"fades": (2.0, 8.0, 32.0)}}

    click_map: str = setting("distance", one_of=("cube", "distance"))
    ce_weight: float = 0.8
    dice_weight: float = 0.8
    click_encoder: bool = True  # the click-specific encoder
    click_loss: float = 0.2  # lambda 2; 0 leaves the contrastive head out
    click_margin: float = 0.1
    click_samples: int = 64  # K of Eq. 4
    contrast_width: int = 32


class ClickEnhance(Network):
    """See the module. `click_map`, `click_encoder` and `click_loss` of the settings switch the paper's three parts."""

    settings_class = ClickEnhanceSettings
    settings: ClickEnhanceSettings

    def __init__(self, settings: ClickEnhanceSettings) -> None:
        super().__init__(settings)
        names = [name for name in settings.features for _ in range(FEATURE_WIDTH[name])]
        self.colourless = [i for i, name in enumerate(names) if name not in COLOUR]
        self.unet = ClickUNet(settings, channels(settings))
        self.branch: ClickEncoder | None = None
        if settings.click_encoder:
            self.branch = ClickEncoder(settings, channels(settings), len(self.colourless))
        self.head = nn.Linear(settings.planes[-1], 2)  # background, foreground
        self.contrast = nn.Linear(settings.planes[-1], settings.contrast_width) if settings.click_loss else None

    def encode(self, clouds: Sequence[VoxelCloud]) -> EncodedInput:
        """Maps, and both stems' answers to all channels but the clicks'."""
        x = stacked(clouds)
        branch = None
        if self.branch is not None and self.branch.scene is not None:
            branch = self.branch.scene(x.replace(x.features[:, self.colourless])).features
        return EncodedInput(tuple(clouds), x.maps, self.unet.scene(x).features, branch)

    def decode(
        self, encoded: EncodedInput, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of all objects, competing."""
        check_clicks(encoded, clicks)
        inputs, current = self._inputs(encoded, clicks)
        whole = self.training or torch.is_grad_enabled()
        parts = portions(len(inputs), inputs.shape[1], whole)
        masks = torch.cat(
            [self._mask(self._features(encoded, inputs[:, part], current[:, part])) for part in parts], 1
        )
        return [Prediction(compete(m[:, : c.objects], c)) for m, c in _each(masks, encoded, clicks)]

    def _inputs(self, encoded: EncodedInput, clicks: Sequence[Prompts]) -> tuple[Tensor, Tensor]:
        """Channels (V, G, C) of all clicks and of the current ones."""
        pairs = list(zip(encoded.clouds, clicks, strict=True))
        everything = spread([click_channels(*pair, self.settings) for pair in pairs])
        if self.branch is None:
            return everything, everything
        return everything, spread([current_channels(*pair, self.settings) for pair in pairs])

    def _features(self, encoded: EncodedInput, inputs: Tensor, current: Tensor) -> Tensor:
        """Decoder features (V, G, C)."""
        branch = None
        if self.branch is not None:
            branch = self.branch(SparseTensor(current, encoded.maps), encoded.branch)
        features: Tensor = self.unet(SparseTensor(inputs, encoded.maps), encoded.scene, branch).features
        return features

    def _mask(self, features: Tensor) -> Tensor:
        background, foreground = self.head(features).float().unbind(-1)
        return foreground - background

    def loss(
        self,
        encoded: EncodedInput,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """lambda 1 (CE + Dice) + lambda 2 click loss."""
        features = self._features(encoded, *self._inputs(encoded, clicks))
        masks = [m[:, : c.objects] for m, c in _each(self._mask(features), encoded, clicks)]
        truths = [binary_loss.truth(target, m.shape[1]) for m, target in zip(masks, targets, strict=True)]
        pairs = list(zip(masks, truths, strict=True))
        ce = torch.stack([binary_loss.cross_entropy(*pair) for pair in pairs]).mean()
        dice = torch.stack([binary_loss.dice(*pair) for pair in pairs]).mean()
        total = self.settings.ce_weight * ce + self.settings.dice_weight * dice
        losses = {"total": total, "ce": ce.detach(), "dice": dice.detach()}
        if self.contrast is not None:
            contrast = normalize(self.contrast(features).float(), dim=-1)
            each = zip(_each(contrast, encoded, clicks), masks, truths, strict=True)
            click = torch.stack([self._click_loss(f, c, mask, true) for (f, c), mask, true in each]).mean()
            losses |= {"total": total + self.settings.click_loss * click, "click": click.detach()}
        return losses

    def _click_loss(self, contrast: Tensor, clicks: Prompts, mask: Tensor, true: Tensor) -> Tensor:
        """Eq. 4 averaged over objects: positives are the object's false negatives, negatives its false positives.

        Where there are none any more, other voxels of the object, or outside it, take their place.
        """
        found, true = mask.detach() > 0, true > 0
        count, objects = self.settings.click_samples, torch.arange(mask.shape[1], device=mask.device)
        positives = contrast[binary_loss.sample(true & ~found, true, count), objects]
        negatives = contrast[binary_loss.sample(found & ~true, ~true, count), objects]
        anchors, clicked = latest_positive(clicks)
        loss = binary_loss.click_loss(contrast[anchors, objects], positives, negatives, self.settings.click_margin)
        return (loss * clicked).sum() / clicked.sum().clamp(min=1)


def latest_positive(clicks: Prompts) -> tuple[Tensor, Tensor]:
    """The voxel of every object's latest own click, and whether it has one."""
    own = clicks.label == torch.arange(1, clicks.objects + 1, device=clicks.label.device)[:, None]
    latest = torch.where(own, torch.arange(len(clicks), device=own.device), -1).amax(1)
    return clicks.voxel[latest.clamp(min=0)], latest >= 0


def _each(
    values: Tensor, encoded: EncodedInput, clicks: Sequence[Prompts]
) -> list[tuple[Tensor, Prompts]]:
    """Values (sum V, G, ...) cut into clouds, beside each cloud's clicks."""
    return list(zip(values.split(encoded.counts), clicks, strict=True))
