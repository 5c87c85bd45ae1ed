"""InterObject3D (Kontogianni et al., ICRA 2023): clicks as cubes in two input channels of a U-Net, one object a mask.

All objects of all clouds go through the U-Net in one pass on shared kernel maps, and then compete for the voxels.
"Iterative training" (InterObject3D++ of the AGILE3D paper) is a matter of which clicks the loop gives to `loss`:
corrections of the network's own mistakes instead of random clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers import binary_losses as binary_loss
from iseg3d_ros.models.layers.click_maps import channels, click_channels
from iseg3d_ros.models.layers.click_unet import ClickUNet, EncodedInput, compete, portions, spread, stacked
from iseg3d_ros.models.layers.encoded_scene import check_clicks
from iseg3d_ros.models.settings import SMALL, TINY, ClickMapSettings
from iseg3d_ros.sparse import SparseTensor


@dataclass(frozen=True)
class InterObject3DSettings(ClickMapSettings):
    """The paper's one cube of 5 cm; our presets add larger ones and Dice."""

    network = "interobject3d"
    presets: ClassVar = {
        "small": SMALL | {"cubes": (1.0, 4.0, 16.0), "dice_weight": 2.0},
        "tiny": TINY | {"cubes": (1.0, 4.0, 16.0), "dice_weight": 2.0},
    }


class InterObject3D(Network):
    """See the module; `settings.cubes` are the half-widths of the click cubes in voxels."""

    settings_class = InterObject3DSettings
    settings: InterObject3DSettings

    def __init__(self, settings: InterObject3DSettings) -> None:
        super().__init__(settings)
        self.unet = ClickUNet(settings, channels(settings))
        self.head = nn.Linear(settings.planes[-1], 2)  # background, foreground

    def encode(self, clouds: Sequence[VoxelCloud]) -> EncodedInput:
        """Maps, and the stem's answer to all channels but the clicks'."""
        x = stacked(clouds)
        return EncodedInput(tuple(clouds), x.maps, self.unet.scene(x).features)

    def decode(
        self, encoded: EncodedInput, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of all objects, competing."""
        check_clicks(encoded, clicks)
        logits = self.masks(encoded, clicks)
        return [Prediction(compete(mask, click)) for mask, click in zip(logits, clicks, strict=True)]

    def guess(self, encoded: EncodedInput) -> list[Tensor]:
        """Logits (V,) of what it takes for the object before any click, as the public code asks it."""
        none = torch.zeros(0, dtype=torch.long, device=encoded.scene.device)
        return [mask[:, 0] for mask in self.masks(encoded, [Prompts(none, none, 1)] * len(encoded.clouds))]

    def masks(self, encoded: EncodedInput, clicks: Sequence[Prompts]) -> list[Tensor]:
        """Logits (V, M) of each cloud's objects, foreground minus background."""
        maps = [click_channels(*pair, self.settings) for pair in zip(encoded.clouds, clicks, strict=True)]
        inputs = spread(maps)
        whole = self.training or torch.is_grad_enabled()
        logits = torch.cat(
            [self._mask(encoded, inputs[:, part]) for part in portions(len(inputs), inputs.shape[1], whole)], 1
        )
        return [mask[:, : click.objects] for mask, click in zip(logits.split(encoded.counts), clicks, strict=True)]

    def _mask(self, encoded: EncodedInput, inputs: Tensor) -> Tensor:
        x = self.unet(SparseTensor(inputs, encoded.maps), encoded.scene)
        background, foreground = self.head(x.features).float().unbind(-1)
        return foreground - background

    def loss(
        self,
        encoded: EncodedInput,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """The paper's two-class cross entropy; our own presets add the Dice of each object."""
        masks = self.masks(encoded, clicks)
        pairs = [(mask, binary_loss.truth(target, mask.shape[1])) for mask, target in zip(masks, targets, strict=True)]
        ce = torch.stack([binary_loss.cross_entropy(*pair) for pair in pairs]).mean()
        dice = torch.stack([binary_loss.dice(*pair) for pair in pairs]).mean()
        total = self.settings.ce_weight * ce + self.settings.dice_weight * dice
        return {"total": total, "ce": ce.detach(), "dice": dice.detach()}
