"""E2I3D (Cong et al., AAAI 2026): AGILE3D's encoder, pruned, and hierarchical click-aware attention over H scales."""

from __future__ import annotations

import torch
from torch import nn

from iseg3d_ros.models.agile3d import Agile3D, ClickAttention
from iseg3d_ros.models.settings import ModelSettings


class E2I3D(Agile3D):
    """Clicks are mapped to the nearest voxel of each of H scales (Eq. 5), attended to there by a click-aware attention
    of that scale, and the refined scenes are summed at full resolution (Eq. 6) before AGILE3D's query fusion.

    The scales are the backbone's last H levels: 96 channels each at H = 2. The coarsest one is cheap and goes first.
    The refined queries of a click are summed alike, so that its classifier knows what it saw at every scale.
    """

    @staticmethod
    def scale_count(settings: ModelSettings) -> int:
        """H of the paper."""
        return settings.scales

    def start_from(self, base: Agile3D) -> E2I3D:
        """Stage two: takes a (pruned) network's layers; the scales that it lacks begin by adding nothing.

        Widths must already agree (`checkpoint.fit_shapes`). Returns itself.
        """
        kept = base.state_dict()
        self.load_state_dict(self.state_dict() | kept)
        for attention in list(self.attention)[len(base.attention) :]:
            silence(attention)
        return self


def silence(attention: nn.Module) -> None:
    """Zero the last normalisations of a click-aware attention: its refined scene and clicks add nothing yet, but the
    gains receive gradient from the first step on."""
    if not isinstance(attention, ClickAttention):
        raise ValueError(f"only a click-aware attention can be silenced, not a {type(attention).__name__}")
    last = attention.layers[-1]
    with torch.no_grad():
        for norm in (last.norm3, last.norm4):
            norm.weight.zero_()
            norm.bias.zero_()
