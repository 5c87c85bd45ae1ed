"""A trained network and the random walker together: the product of two experts.

The network knows what objects look like; the walker knows where surfaces end, from geometry and from the network's
affinity of neighbours where it has learned one. A voxel's log-probabilities are the walker's plus
`share` times the network's; every further click an object makes the network's weight smaller, for corrections are
local, and the probabilities shown sharper: walkers die on the way, so that theirs grow less with the clicks than
being right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers.affinity import Judge
from iseg3d_ros.models.random_walker import RandomWalker, Walks
from iseg3d_ros.preprocessing.features import WIDTHS

SHARPNESS_AT_MANY_CLICKS = 2.0  # power of the probabilities shown, from 1 on; fitted on synthetic training scenes


@dataclass(frozen=True)
class SceneWithWalks:
    """A batch of clouds, encoded by both; no walks for a cloud that is too large for the walker."""

    network: Any
    walks: tuple[Walks | None, ...]


class NetworkWithWalker(Network):
    """Product of a network and the random walker; settings and card are the network's."""

    def __init__(self, network: Network, share: float) -> None:
        super().__init__(network.settings, network.card)
        if not 0 < share <= 100:
            raise ValueError(f"The network's share in the product must lie between 0 and 100, but is {share}.")
        self.network, self.share = network, float(share)
        self.uses_previous = network.uses_previous
        self.walker = RandomWalker()
        self.max_voxels = self.walker.settings.max_voxels  # what the walker takes: larger voxels rather than no walker

    def encode(self, clouds: Sequence[VoxelCloud]) -> SceneWithWalks:
        """Encode with both."""
        encoded = self.network.encode(clouds)
        judges = getattr(self.network, "judges", lambda _: [None] * len(clouds))(encoded)
        return SceneWithWalks(encoded, tuple(map(self._walks, clouds, judges)))

    def decode(
        self, encoded: SceneWithWalks, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """The product of both, cloud by cloud."""
        learned = self.network.decode(encoded.network, clicks, previous)
        return [self._product(*each) for each in zip(learned, encoded.walks, clicks, strict=True)]

    def _walks(self, cloud: VoxelCloud, judge: Judge | None) -> Walks | None:
        names = self.walker.settings.features
        if len(cloud) > self.walker.settings.max_voxels or not set(names) <= set(self.settings.features):
            return None
        return self.walker.encode([selected(cloud, self.settings.features, names)], [judge])[0]

    def _product(self, learned: Prediction, walks: Walks | None, clicks: Prompts) -> Prediction:
        if walks is None:
            return learned
        walked = self.walker.decode([walks], [clicks])[0].logits.to(learned.logits.device)
        per_click = min(1.0, clicks.objects / len(clicks))
        logits = self.share * per_click * learned.logits.float().log_softmax(1) + walked
        return Prediction(logits, variance=learned.variance, sharpness=SHARPNESS_AT_MANY_CLICKS - per_click)


def with_walker(network: Network) -> Network:
    """The network with the walker where the recipe on its card names a share, otherwise alone."""
    recipe = network.card.get("recipe", {})
    share = recipe.get("walker", 0) if isinstance(recipe, dict) else 0
    return NetworkWithWalker(network, float(share)) if isinstance(share, int | float) and share > 0 else network


def selected(cloud: VoxelCloud, names: Sequence[str], wanted: Sequence[str]) -> VoxelCloud:
    """The cloud with the wanted ones of its features."""
    parts = dict(zip(names, torch.split(cloud.features, [WIDTHS[name] for name in names], dim=1), strict=True))
    return VoxelCloud(cloud.coords, cloud.points, torch.cat([parts[name] for name in wanted], dim=1), cloud.size)
