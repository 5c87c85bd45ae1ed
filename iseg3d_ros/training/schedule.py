"""Optimiser and learning rate: warm up, then a cosine to nothing, by steps or by the clock."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import Optimizer

from iseg3d_ros.training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> Optimizer:
    """AdamW or SGD; norms, biases and other vectors are not decayed."""
    wide = [p for p in network.parameters() if p.requires_grad and p.dim() > 1]
    flat = [p for p in network.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [{"params": wide, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
    raise ValueError(f"optimiser.name must be adamw or sgd, but is {config.name!r}.")


def learning_rate(done: float, config: OptimiserConfig) -> float:
    """The rate at a share `done` (0..1) of the run."""
    if done < config.warm_up:
        return config.learning_rate * max(done / config.warm_up, 0.02)
    rest = (done - config.warm_up) / max(1 - config.warm_up, 1e-9)
    return config.learning_rate * max(0.5 * (1 + math.cos(math.pi * min(rest, 1.0))), 1e-3)
