"""How much each sub-structure matters: first-order Taylor terms, with the gradient compensated point by point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.pruning.trace import Dependencies, Side

Calibration = Sequence[tuple[VoxelCloud, Prompts, Tensor]]  # a scene, clicks in it, its labels
CRITERIA = ("taylor", "l1", "random")


def point_weights(logits: Tensor, labels: Tensor) -> Tensor:
    """Ψ of Eq. 3: |sigmoid output of the true label - 1|, normalised to a mean of one; what is learned counts less."""
    own = logits.gather(1, labels[:, None])[:, 0].sigmoid()
    off = (own - 1).abs().detach()
    return off / off.mean().clamp(min=1e-12)


def accumulate_gradients(network: Any, scenes: Calibration, compensate: bool) -> None:
    """Gradients of (ΨL) summed over the calibration scenes, left in the parameters' `.grad`."""
    network.zero_grad(set_to_none=True)
    for cloud, clicks, labels in scenes:
        logits = network.decode(network.encode([cloud]), [clicks])[0].logits
        loss = cross_entropy(logits.float(), labels, reduction="none")
        weight = point_weights(logits, labels) if compensate else torch.ones_like(loss)
        (weight * loss).mean().backward()


def importance(
    network: nn.Module, found: Dependencies, criterion: str = "taylor", seed: int = 0
) -> NDArray[np.float64]:
    """Eq. 4: for each sub-structure, the sum over its slices g of ||dL/dg · g||₂ (L1: of |g|; random: chance)."""
    number = len(found.fixed)
    if criterion == "random":
        return np.random.default_rng(seed).random(number)
    total = np.zeros(number)
    for side, structure in zip(found.sides, found.structure, strict=True):
        learned = [(p, dimension) for p, dimension in slices(network, side) if isinstance(p, nn.Parameter)]
        for parameter, dimension in learned:
            score = _slice_scores(parameter, dimension, criterion)
            total += np.bincount(structure, score.double().cpu().numpy(), number)
    return total


def slices(network: nn.Module, side: Side) -> Iterable[tuple[Tensor, int]]:
    """The parameters (and the dimension of each) that one side's channels index; a bias goes with what is written."""
    if side.side == "source":
        return sources(network, side.layer)
    module = network.get_submodule(side.layer)
    weight: Tensor = module.weight  # type: ignore[assignment]
    bias: Tensor | None = getattr(module, "bias", None)
    linear = isinstance(module, nn.Linear)
    if side.side == "in":
        return [(weight, 1)]
    if side.side == "out":
        return [(weight, 0 if linear else 2)] + ([(bias, 0)] if bias is not None else [])
    return [(weight, 0)] + ([(bias, 0)] if bias is not None else [])


def sources(network: nn.Module, name: str) -> Iterable[tuple[Tensor, int]]:
    """A loose parameter, or the tables of a position or order code: channels are the last dimension."""
    where, _, last = name.rpartition(".")
    own = getattr(network.get_submodule(where), last)
    tensors = [own] if isinstance(own, Tensor) else list(own.buffers())
    return [(tensor, tensor.ndim - 1) for tensor in tensors]


def _slice_scores(parameter: Tensor, dimension: int, criterion: str) -> Tensor:
    others = [d for d in range(parameter.dim()) if d != dimension]
    if criterion == "l1":
        return parameter.detach().abs().sum(others) if others else parameter.detach().abs()
    if parameter.grad is None:
        return parameter.new_zeros(parameter.shape[dimension]).detach()
    product = parameter.detach() * parameter.grad
    return product.square().sum(others).sqrt() if others else product.abs()
