"""What sub-structures cost: the multiplications of one pass over a scene, shared out among the channels of each layer.

A channel at full resolution costs as much as hundreds at the coarsest level, which the number of its parameters does
not tell. Importance a multiplication leaves a network as large that answers sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from iseg3d_ros.pruning.trace import LAYERS, Dependencies, in_width, out_width
from iseg3d_ros.sparse import SparseTensor, SubMConv3d, UpConv3d


def by_cost(
    scores: NDArray[np.float64], network: nn.Module, found: Dependencies, run: Callable[[], Any], economy: float
) -> NDArray[np.float64]:
    """Importance divided by what a sub-structure costs, to the power `economy`; at 0 as it is."""
    return scores / costs(network, found, run) ** economy if economy else scores


def costs(network: nn.Module, found: Dependencies, run: Callable[[], Any]) -> NDArray[np.float64]:
    """For every sub-structure, the multiplications that would go with it, each layer's other channels staying."""
    spent, number = multiplications(network, run), len(found.fixed)
    total = np.zeros(number)
    for side, structure in zip(found.sides, found.structure, strict=True):
        if side.side in ("in", "out"):
            total += np.bincount(structure, minlength=number) * spent.get(side.layer, 0) / side.width
    return total.clip(min=1.0)


def multiplications(network: nn.Module, run: Callable[[], Any]) -> dict[str, int]:
    """Of every convolution and linear layer in one pass `run`."""
    spent: dict[str, int] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(layer: Any, given: tuple[Any, ...], _: Any) -> None:
            spent[name] = spent.get(name, 0) + rows(layer, given[0]) * in_width(layer) * out_width(layer)

        return note

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, LAYERS)]
    hooks = [layer.register_forward_hook(noting(name)) for name, layer in layers]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return spent


def rows(layer: Any, x: Any) -> int:
    """How many vectors the layer multiplies: rows of a linear layer, pairs of neighbours of a convolution."""
    if not isinstance(x, SparseTensor):
        return x.numel() // x.shape[-1]  # type: ignore[no-any-return]
    sets = x.features[0].numel() // x.features.shape[-1] if len(x.features) else 0
    if isinstance(layer, SubMConv3d):
        return sets * x.maps.submanifold(x.stride, layer.kernel_size).pairs
    fine = x.stride // layer.stride if isinstance(layer, UpConv3d) else x.stride
    return sets * x.maps.strided(fine, layer.kernel_size, layer.stride).pairs
