"""The network that a run begins with: new, or an earlier run's, or a pruned one with what the next stage adds to it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.base import Network
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.layers.looks import LIKE_CHANNELS, LOOK_CHANNELS
from iseg3d_ros.models.two_way_e2i3d import TwoWayE2I3D
from iseg3d_ros.training.classes import words
from iseg3d_ros.training.config import TrainConfig


def first_network(config: TrainConfig) -> Any:
    """Built from the settings; or what `start` names, with the hierarchy that the options ask for."""
    torch.manual_seed(config.seed)
    if config.start and config.backbone:
        raise ValueError("start names a whole network, backbone a part of one: set one of them.")
    if not config.start:
        own = {"prototypes": len(words(config.data.vocabulary))} if config.data.vocabulary else {}
        network = build(settings_of(config.network, config.preset, **config.options, **own)).train()
        return with_backbone(network, config.backbone) if config.backbone else network
    if other := sorted(set(config.options) - {"scale_layers", "looks"}):
        raise ValueError(f"With start, options can only add scale_layers or looks: leave out {', '.join(other)}.")
    return grown(checkpoint.load(config.start), config).train()


def with_backbone(network: Any, weights: str) -> Any:
    """A new network whose U-Net begins as that of trained weights; what reads the clicks, and what decodes, is new."""
    both: tuple[Any, Any] = network, checkpoint.load(weights)
    own, given = ([part for part in each.modules() if hasattr(part, "adopt")] for each in both)
    if not own or not given:
        raise ValueError(f"{network.settings.network} and {weights} have no U-Net in common: leave backbone out.")
    own[0].adopt(given[0].state_dict(), weights)
    return network


def grown(network: Any, config: TrainConfig) -> Any:
    """E2I3D's second stage: an AGILE3D gains the coarse scale; or a decoder that begins to compare looks."""
    if config.options.get("looks"):
        network = with_looks(network)
    if config.network == "e2i3d" and network.settings.network == "agile3d":
        from iseg3d_ros.models.e2i3d import with_hierarchy

        network = with_hierarchy(network, config.options.get("scale_layers", (1, 4))[-1])
    if config.network != network.settings.network:
        raise ValueError(
            f"{config.start} holds {network.settings.network}, not {config.network}: set network to it, "
            "or start to another file."
        )
    return network


def with_looks(network: Network) -> Network:
    """The same network with a decoder that can compare looks, and does not do it yet: its answers are the same."""
    if not isinstance(network, TwoWayE2I3D):
        raise ValueError(f"{network.settings.network} cannot compare looks: leave out options.looks.")
    if network.settings.looks:
        return network
    grown = copy.deepcopy(network)
    grown.settings = replace(network.settings, looks=True)
    layer: Any = grown.position.mlp[0]
    layer.weight = nn.Parameter(pad(layer.weight.detach(), (0, LOOK_CHANNELS)))
    for block in (grown.coarse_block, grown.fine_block):
        block.by_distance = nn.Parameter(pad(block.by_distance.detach(), (0, LIKE_CHANNELS)))
    return grown
