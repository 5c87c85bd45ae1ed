"""The network that a run begins with: new, or an earlier run's, or a pruned one with what the next stage adds to it."""

from __future__ import annotations

from typing import Any

import torch

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.training.config import TrainConfig


def first_network(config: TrainConfig) -> Any:
    """Built from the settings; or what `start` names, with the hierarchy that the options ask for."""
    torch.manual_seed(config.seed)
    if not config.start:
        return build(settings_of(config.network, config.preset, **config.options)).train()
    if other := sorted(set(config.options) - {"scale_layers"}):
        raise ValueError(f"With start, options can only add scale_layers: leave out {', '.join(other)}.")
    return grown(checkpoint.load(config.start), config).train()


def grown(network: Any, config: TrainConfig) -> Any:
    """E2I3D's second stage: an AGILE3D gains the coarse scale."""
    if config.network == "e2i3d" and network.settings.network == "agile3d":
        from iseg3d_ros.models.e2i3d import with_hierarchy

        network = with_hierarchy(network, config.options.get("scale_layers", (1, 4))[-1])
    if config.network != network.settings.network:
        raise ValueError(
            f"{config.start} holds {network.settings.network}, not {config.network}: set network to it, "
            "or start to another file."
        )
    return network
