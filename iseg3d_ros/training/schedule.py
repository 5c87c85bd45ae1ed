"""Optimiser and learning rate over a run, by steps or by the clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from iseg3d_ros.training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> Optimizer:
    """AdamW, Adam or SGD; norms, biases and other vectors are decayed only where the settings say so."""
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        slow = config.backbone_rate != 1 and name.startswith("backbone.")
        wide = parameter.dim() > 1 or config.decay_vectors
        group = groups.setdefault((slow, wide), {"params": [], "weight_decay": config.weight_decay if wide else 0.0})
        group["share"] = config.backbone_rate if slow else 1.0
        group["params"] += [parameter] if parameter.requires_grad else []
    if config.name == "adamw":
        return torch.optim.AdamW(list(groups.values()), lr=config.learning_rate, fused=True)
    if config.name == "adam":
        return torch.optim.Adam(list(groups.values()), lr=config.learning_rate, fused=True)
    if config.name == "sgd":
        return torch.optim.SGD(list(groups.values()), lr=config.learning_rate, momentum=0.9, nesterov=True)
    raise ValueError(f"optimiser.name must be adamw, adam or sgd, but is {config.name!r}.")


def learning_rate(done: float, config: OptimiserConfig) -> float:
    """The rate at a share `done` (0..1) of the run."""
    if config.schedule not in SCHEDULES:
        raise ValueError(f"optimiser.schedule must be {', '.join(SCHEDULES)}, but is {config.schedule!r}.")
    return config.learning_rate * SCHEDULES[config.schedule](min(done, 1.0), config)


def _cosine(done: float, config: OptimiserConfig) -> float:
    """Warm up, then a cosine to nothing."""
    if done < config.warm_up:
        return max(done / config.warm_up, 0.02)
    rest = (done - config.warm_up) / max(1 - config.warm_up, 1e-9)
    return max(0.5 * (1 + math.cos(math.pi * rest)), 1e-3)


def _onecycle(done: float, config: OptimiserConfig) -> float:
    """torch's OneCycleLR: from a 25th up along a cosine for 30 % of the run, then down to far below that 25th."""
    first = 1 / 25
    if done < 0.3:
        return first + (1 - first) * 0.5 * (1 - math.cos(math.pi * done / 0.3))
    last = first / config.final_division
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))


SCHEDULES: dict[str, Callable[[float, OptimiserConfig], float]] = {
    "cosine": _cosine,
    "step": lambda done, config: 0.1 if done >= config.drop_at else 1.0,
    "onecycle": _onecycle,
    "constant": lambda done, config: 1.0,
}
