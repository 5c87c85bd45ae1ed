"""Remove the least important sub-structures of every group, so that a really smaller network remains."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, VoxelCloud
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.layers.ptv3 import PatchAttention
from iseg3d_ros.pruning.cost import by_cost
from iseg3d_ros.pruning.groups import heterogeneous_groups
from iseg3d_ros.pruning.importance import Calibration, accumulate_gradients, importance, slices
from iseg3d_ros.pruning.trace import Dependencies, dependencies

RANKINGS = ("heterogeneous", "uniform")


@dataclass(frozen=True)
class PruneConfig:
    """How a network is pruned; the defaults are E²I3D's."""

    parameters: int  # what is to remain
    criterion: str = "taylor"  # or l1, random
    compensate: bool = True  # Eq. 3's point weights
    ranking: str = "heterogeneous"  # within each group; "uniform" ranks everything together
    economy: float = 0.0  # 0 ranks by importance as the paper does, 1 by importance a multiplication
    multiple: int = 4  # widths stay multiples of this, as matrix units like them
    least: int = 8  # no layer gets narrower
    seed: int = 0


def prune(network: Any, scenes: Calibration, config: PruneConfig, found: Dependencies | None = None) -> nn.Module:
    """A smaller copy of a trained network, itself left as it was; `found` saves the trace if it was made before."""
    if type(network).loss is Network.loss:
        raise ValueError(
            f"This {network.settings.network} learns from whole dialogues and has no loss for single clicks, by which "
            "importance is measured. Prune its base before the decoder is added: docs/pruning.md says how."
        )
    network = copy.deepcopy(network).eval()
    found = found or dependencies_of(network, scenes)
    if config.criterion == "taylor":
        accumulate_gradients(network, scenes, config.compensate)
    scores = importance(network, found, config.criterion, config.seed)
    scores = by_cost(scores, network, found, forward(network, *scenes[0][:2]), config.economy)
    keep = kept(network, found, scores, config)
    network.zero_grad(set_to_none=True)
    shrink(network, found, keep)
    return network


def dependencies_of(network: Any, scenes: Calibration) -> Dependencies:
    """The trace of a network, on a few voxels of the first scene."""
    return dependencies(network, forward(network, *surroundings(*scenes[0][:2])))


def count_of(text: str) -> int:
    """5.7M, 800k or a plain number."""
    scale = {"M": 1e6, "m": 1e6, "k": 1e3, "K": 1e3}.get(text[-1:], 1.0)
    try:
        count = round(float(text if scale == 1.0 else text[:-1]) * scale)
    except (ValueError, OverflowError):
        count = 0
    if count < 1:
        raise ValueError(f"--parameters takes a number such as 5.7M or 800k, but got {text!r}.")
    return count


def surroundings(cloud: VoxelCloud, clicks: Prompts, most: int = 600) -> tuple[VoxelCloud, Prompts]:
    """The voxels next to the clicks: tracing makes a pass a layer, and needs only that something arrives everywhere."""
    away = torch.cdist(cloud.points[clicks.voxel].cpu(), cloud.points.cpu()).amin(0)
    near = torch.argsort(away, stable=True)[:most].sort().values.to(cloud.points.device)
    small = VoxelCloud(cloud.coords[near], cloud.points[near], cloud.features[near], cloud.size)
    return small, Prompts(torch.searchsorted(near, clicks.voxel), clicks.label, clicks.objects)


def forward(network: Any, cloud: VoxelCloud, clicks: Prompts) -> Callable[[], Any]:
    """One pass with everything that a network can be given: clicks, and a mask from before."""
    previous = torch.zeros(len(cloud), dtype=torch.int64, device=cloud.coords.device)
    previous[clicks.voxel] = clicks.label
    return lambda: network.decode(network.encode([cloud]), [clicks], [previous])


def kept(
    network: nn.Module, found: Dependencies, scores: NDArray[np.float64], config: PruneConfig
) -> NDArray[np.bool_]:
    """Which sub-structures stay, by bisection on the share that goes, until the size fits."""
    groups = heterogeneous_groups(network, found)
    if config.ranking == "uniform":
        groups = {("all",): [number for members in groups.values() for number in members]}
    families = _families(found)
    low, high = 0.0, 1.0
    whole = size_of(network, found, np.ones(len(scores), bool))
    smallest = size_of(network, found, _choose(groups, families, scores, found, 1.0, config))
    if config.parameters > whole:
        raise ValueError(f"The network has {whole:,} parameters, fewer than the {config.parameters:,} asked for.")
    if config.parameters < smallest:
        raise ValueError(
            f"{config.parameters:,} parameters cannot be reached: {smallest:,} remain when all that can go is gone. "
            "Ask for more, or start from a smaller preset."
        )
    for _ in range(24):
        share = (low + high) / 2
        small = size_of(network, found, _choose(groups, families, scores, found, share, config)) <= config.parameters
        low, high = (low, share) if small else (share, high)
    return _choose(groups, families, scores, found, high, config)


def _families(found: Dependencies) -> list[NDArray[np.int64]]:
    """Sub-structures that index the same sides: one family is one width of the network."""
    member: dict[int, list[int]] = {}
    for index, structure in enumerate(found.structure):
        for number in np.unique(structure):
            member.setdefault(int(number), []).append(index)
    families: dict[tuple[int, ...], list[int]] = {}
    for number, sides in member.items():
        families.setdefault(tuple(sides), []).append(number)
    return [np.array(numbers) for numbers in families.values()]


def _choose(
    groups: dict[Any, list[int]],
    families: list[NDArray[np.int64]],
    scores: NDArray[np.float64],
    found: Dependencies,
    share: float,
    config: PruneConfig,
) -> NDArray[np.bool_]:
    """Drop the least important `share` of each group, then round every family's count to a multiple."""
    keep = np.ones(len(scores), bool)
    for members in groups.values():
        order = np.array(members)[np.argsort(scores[members], kind="stable")]
        keep[order[: int(share * len(order))]] = False
    for family in families:
        if not found.fixed[family].any():
            _round(keep, family, scores, config, _has_heads(family, found))
    return keep


def _has_heads(family: NDArray[np.int64], found: Dependencies) -> bool:
    """Whether the members are attention heads, which hold several channels of one side each."""
    return any(np.count_nonzero(structure == family[0]) > 1 for structure in found.structure)


def _round(
    keep: NDArray[np.bool_], family: NDArray[np.int64], scores: NDArray[np.float64], config: PruneConfig, heads: bool
) -> None:
    """Heads and families of few keep one at least; wide ones a multiple, and never too few."""
    step = config.multiple if len(family) >= config.least and not heads else 1
    least = min(config.least, len(family)) if step > 1 else 1
    count = max(least, int(round(keep[family].sum() / step)) * step)
    keep[family] = False
    keep[family[np.argsort(-scores[family], kind="stable")[: min(count, len(family))]]] = True


def size_of(network: nn.Module, found: Dependencies, keep: NDArray[np.bool_]) -> int:
    """Parameters that remain where only `keep` is kept."""
    shares: dict[int, float] = {}
    for side, structure in zip(found.sides, found.structure, strict=True):
        for parameter, _ in slices(network, side):
            shares[id(parameter)] = shares.get(id(parameter), 1.0) * float(keep[structure].mean())
    return round(sum(p.numel() * shares.get(id(p), 1.0) for p in network.parameters()))


@torch.no_grad()
def shrink(network: nn.Module, found: Dependencies, keep: NDArray[np.bool_]) -> None:
    """Slice every parameter and running statistic to the channels that stay."""
    modules = dict(network.named_modules())
    for side, structure in zip(found.sides, found.structure, strict=True):
        index = torch.from_numpy(np.flatnonzero(keep[structure]))
        for parameter, dimension in slices(network, side):
            parameter.data = parameter.data.index_select(dimension, index.to(parameter.device)).contiguous()
        if side.side != "source":
            _set_widths(modules[side.layer], side.side, index)
    for name, module in modules.items():
        if isinstance(module, Attention | PatchAttention):
            before = len(found.of(f"{name}.out", "in"))
            module.heads = module.heads * module.out.in_features // before


def _set_widths(module: nn.Module, side: str, index: torch.Tensor) -> None:
    for name in ("running_mean", "running_var"):
        values = getattr(module, name, None)
        if side == "channels" and values is not None:
            setattr(module, name, values.index_select(0, index.to(values.device)))
    if isinstance(module, nn.BatchNorm1d):
        module.num_features = len(module.weight)
    if isinstance(module, nn.LayerNorm):
        module.normalized_shape = (len(module.weight),)
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape


@torch.no_grad()
def mask(network: nn.Module, found: Dependencies, keep: NDArray[np.bool_]) -> None:
    """Zero the channels that would go: the dense network that the pruned one must equal.

    A layer norm's statistics are those of the channels that stay.
    """
    for side, structure in zip(found.sides, found.structure, strict=True):
        if side.side == "in":
            continue
        gone = torch.from_numpy(np.flatnonzero(~keep[structure]))
        for parameter, dimension in slices(network, side):
            parameter.index_fill_(dimension, gone.to(parameter.device), 0.0)
        if side.side == "channels" and isinstance(norm := network.get_submodule(side.layer), nn.LayerNorm):
            vars(norm)["forward"] = _masked_norm(norm, torch.from_numpy(keep[structure]).to(norm.weight.device))


def _masked_norm(norm: nn.LayerNorm, stays: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        own = x[..., stays]
        scale = (own.var(-1, unbiased=False, keepdim=True) + norm.eps).rsqrt()
        return (x - own.mean(-1, keepdim=True)) * scale * norm.weight + norm.bias

    return forward
