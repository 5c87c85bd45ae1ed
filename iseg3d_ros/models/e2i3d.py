"""E2I3D (Cong et al., AAAI 2026): AGILE3D's encoder, pruned, and hierarchical click-aware attention over H scales."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

import torch
from torch import nn

from iseg3d_ros.models.agile3d import Agile3D
from iseg3d_ros.models.layers.attention import ClickLayer
from iseg3d_ros.models.layers.backbone import Residual
from iseg3d_ros.models.layers.click_attention import ClickAttention
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.settings import MOST_LAYERS, SMALL_ATTENTION, TINY_ATTENTION, ClickAttentionSettings, setting


@dataclass(frozen=True)
class E2I3DSettings(ClickAttentionSettings):
    """Layers of the click-aware attention at each of its H scales, finest first.

    Most of them work at the coarse scale, where a layer costs a quarter; five in all make the paper's 40.5 M.
    """

    network = "e2i3d"
    presets: ClassVar = {
        "small": SMALL_ATTENTION | {"scale_layers": (1, 3)},
        "tiny": TINY_ATTENTION | {"scale_layers": (1, 2)},
    }

    scale_layers: tuple[int, ...] = setting((1, 4), most=MOST_LAYERS)
    decoder: str = setting("click_attention", one_of=("click_attention", "two_way"))  # the latter: two_way_e2i3d.py

    def check(self) -> None:
        """One to four scales, too."""
        super().check()
        if not 1 <= len(self.scale_layers) <= 4:
            raise ValueError(f"scale_layers is {self.scale_layers}; give the layers of one to four scales")


class E2I3D(Agile3D):
    """Clicks are mapped to the nearest voxel of each of H scales (Eq. 5), attended to there by a click-aware attention
    of that scale, and the refined scenes are summed at full resolution (Eq. 6) before AGILE3D's query fusion.

    The scales are the backbone's last H levels: 96 channels each at H = 2. The coarsest one is cheap and goes first;
    the masks it found say what the clicks look at in the next one.
    The refined queries of a click are summed alike, so that its classifier knows what it saw at every scale.
    """

    settings_class = E2I3DSettings

    @staticmethod
    def layers_of(settings: Any) -> tuple[int, ...]:
        """Layers at each of the paper's H scales."""
        return settings.scale_layers


def with_hierarchy(base: Agile3D, coarse_layers: int = 4) -> E2I3D:
    """Stage two: a trained and perhaps pruned AGILE3D, whose layers it takes over, with a coarse scale added.

    The new attention is as wide as the base's queries are now, and begins by adding nothing.
    """
    own = base.click_attentions()[0]
    shared = {each.name: getattr(base.settings, each.name) for each in fields(ClickAttentionSettings)}
    settings = E2I3DSettings(**shared, scale_layers=(len(own.layers), coarse_layers))
    network = E2I3D(settings)
    for name, module in base.named_children():
        if name not in ("project", "attention"):
            setattr(network, name, module)
    channels = cast(Residual, cast(nn.Sequential, base.backbone.decoder[-2])[-1]).conv2.weight.shape[2]
    width = len(base.head.norm.weight)
    heads = max(n for n in range(1, settings.heads + 1) if width % n == 0)
    added = ClickAttention(replace(settings, width=width, heads=heads), coarse_layers)
    for module in added.modules():
        if isinstance(module, Attention):
            module.scale = (settings.width // settings.heads) ** -0.5  # as whoever loads the settings finds it
    silence(added)
    network.project = nn.ModuleList([base.project[0], nn.Linear(channels, width)])
    network.attention = nn.ModuleList([own, added])
    return network


def silence(attention: ClickAttention) -> None:
    """Zero the last normalisations of a click-aware attention: its refined scene and clicks add nothing yet, but the
    gains receive gradient from the first step on."""
    last = cast(ClickLayer, attention.layers[-1])
    with torch.no_grad():
        for norm in (last.norm3, last.norm4):
            norm.weight.zero_()
            norm.bias.zero_()
