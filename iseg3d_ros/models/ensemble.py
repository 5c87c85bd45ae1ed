"""A trained network and the random walker, asked together: the product of two experts.

The network knows what objects look like; the walker knows where surfaces end, from geometry and from the network's
judgement of neighbours where it has learned one (`models.affinity`). A voxel's log-probabilities are the walker's plus
`share` times the network's; every further click an object makes the network's say smaller, for corrections are local,
and the probabilities shown sharper: walkers die on the way, so that theirs grow less with the clicks than being right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.clicks import VoxelClicks
from iseg3d_ros.models.base import Prediction, VoxelCloud
from iseg3d_ros.models.layers.affinity import Judge
from iseg3d_ros.models.random_walker import RandomWalker, Walks
from iseg3d_ros.preprocessing.features import WIDTHS

SUREST = 2.0  # inverse temperature that many clicks an object lead to, from 1; fitted on made training scenes


@dataclass(frozen=True)
class GuidedScene:
    """What both made of a batch of clouds; no walks for a cloud that is too large for the walker."""

    network: Any
    walks: tuple[Walks | None, ...]


class Guided:
    """The verbs of a network (`models.base.Network`) for two experts; settings and card are the network's."""

    def __init__(self, network: Any, share: float) -> None:
        if not 0 < share <= 100:
            raise ValueError(f"The network's share in the product must lie between 0 and 100, but is {share}.")
        self.network, self.share = network, float(share)
        self.walker = RandomWalker()
        self.max_voxels = self.walker.settings.max_voxels  # what the walker takes: larger voxels rather than no walker
        self.settings, self.card, self.parameters = network.settings, network.card, network.parameters
        self.uses_previous = bool(getattr(network, "uses_previous", False))

    def encode(self, clouds: Sequence[VoxelCloud]) -> GuidedScene:
        """Encode with both."""
        encoded = self.network.encode(clouds)
        judges = getattr(self.network, "judges", lambda _: [None] * len(clouds))(encoded)
        return GuidedScene(encoded, tuple(map(self._walks, clouds, judges)))

    def decode(
        self, encoded: GuidedScene, clicks: Sequence[VoxelClicks], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """The product of both, cloud by cloud."""
        learned = self.network.decode(encoded.network, clicks, previous)
        return [self._product(*each) for each in zip(learned, encoded.walks, clicks, strict=True)]

    def _walks(self, cloud: VoxelCloud, judge: Judge | None) -> Walks | None:
        names = self.walker.settings.features
        if len(cloud) > self.walker.settings.max_voxels or not set(names) <= set(self.settings.features):
            return None
        return self.walker.encode([selected(cloud, self.settings.features, names)], [judge])[0]

    def _product(self, learned: Prediction, walks: Walks | None, clicks: VoxelClicks) -> Prediction:
        if walks is None:
            return learned
        walked = self.walker.decode([walks], [clicks])[0].logits.to(learned.logits.device)
        once = min(1.0, clicks.objects / len(clicks))
        logits = self.share * once * learned.logits.float().log_softmax(1) + walked
        return Prediction(logits, variance=learned.variance, sharpness=SUREST - once)


def guided(network: Any) -> Any:
    """The network as its card wants it asked: with the walker where the recipe names a share, otherwise alone."""
    recipe = (getattr(network, "card", None) or {}).get("recipe", {})
    share = recipe.get("walker", 0) if isinstance(recipe, dict) else 0
    return Guided(network, float(share)) if isinstance(share, int | float) and share > 0 else network


def selected(cloud: VoxelCloud, names: Sequence[str], wanted: Sequence[str]) -> VoxelCloud:
    """The cloud with the wanted ones of its features."""
    parts = dict(zip(names, torch.split(cloud.features, [WIDTHS[name] for name in names], dim=1), strict=True))
    return VoxelCloud(cloud.coords, cloud.points, torch.cat([parts[name] for name in wanted], dim=1), cloud.size)
