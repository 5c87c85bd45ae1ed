"""Optimiser and learning rate: warm up, then a cosine to nothing, by steps or by the clock."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from iseg3d_ros.training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> Optimizer:
    """AdamW or SGD; norms, biases and other vectors are not decayed."""
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        slow, wide = config.backbone_rate != 1 and name.startswith("backbone."), parameter.dim() > 1
        group = groups.setdefault((slow, wide), {"params": [], "weight_decay": config.weight_decay if wide else 0.0})
        group["share"] = config.backbone_rate if slow else 1.0
        group["params"] += [parameter] if parameter.requires_grad else []
    if config.name == "adamw":
        return torch.optim.AdamW(list(groups.values()), lr=config.learning_rate, fused=True)
    if config.name == "sgd":
        return torch.optim.SGD(list(groups.values()), lr=config.learning_rate, momentum=0.9, nesterov=True)
    raise ValueError(f"optimiser.name must be adamw or sgd, but is {config.name!r}.")


def learning_rate(done: float, config: OptimiserConfig) -> float:
    """The rate at a share `done` (0..1) of the run."""
    if done < config.warm_up:
        return config.learning_rate * max(done / config.warm_up, 0.02)
    rest = (done - config.warm_up) / max(1 - config.warm_up, 1e-9)
    return config.learning_rate * max(0.5 * (1 + math.cos(math.pi * min(rest, 1.0))), 1e-3)
