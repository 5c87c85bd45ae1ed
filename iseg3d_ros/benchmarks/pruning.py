"""The sizes that pruning reaches: the ladder of the E²I3D paper, on untrained weights of paper size.

`share_<rung>` is the size reached divided by the rung, at most 1 and at least 0.97 where it is reached. Nothing is
calibrated: the channels are ranked by their L1 norms, as only how many of them can go matters for a size.
`work_share_economy_<e>` is the share of the multiplications that E²I3D keeps at 5.7 M parameters with `--economy e`,
as `iseg3d bench models` prunes it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import nn

from iseg3d_ros.benchmarks.models import labelled_room
from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.pruning.cost import multiplications
from iseg3d_ros.pruning.importance import importance
from iseg3d_ros.pruning.prune import PruneConfig, forward, kept, prune, size_of
from iseg3d_ros.pruning.trace import dependencies

LADDER = (36.9, 32.8, 28.0, 24.2, 20.4, 16.4, 13.0, 8.6, 5.7)  # millions of parameters, Tables 1 and 2


def run(
    network: str = "e2i3d",
    preset: str = "paper",
    rungs: Sequence[float] = LADDER,
    economies: Sequence[float] = (0.0, 1.0, 2.0, 3.0),
) -> dict[str, float]:
    """Trace once, then choose what would stay at every rung; then prune with every economy."""
    torch.manual_seed(0)
    full = build(settings_of(network, preset)).eval()
    started = time.perf_counter()
    found = dependencies(full, forward(full, *corner(full.settings.in_channels)))  # type: ignore[union-attr, arg-type]
    figures = {"parameters": float(parameters(full)), "trace_seconds": time.perf_counter() - started}
    scores = importance(full, found, "l1")
    for rung in rungs:
        target = round(rung * 1e6)
        keep = kept(full, found, scores, PruneConfig(target))
        figures[f"share_{rung}m"] = size_of(full, found, keep) / target
    return figures | work_shares(economies)


def work_shares(economies: Sequence[float]) -> dict[str, float]:
    """Multiplications in a small room, by those of the whole network."""
    torch.manual_seed(0)
    full, room = build(settings_of("e2i3d", "paper")).eval(), labelled_room()
    whole, figures = work(full, room), dict[str, float]()
    for economy in economies:
        config = PruneConfig(round(LADDER[-1] * 1e6), economy=economy)
        figures[f"work_share_economy_{economy:g}"] = work(prune(full, [room], config), room) / whole
    return figures


def work(network: nn.Module, scene: tuple[VoxelCloud, Prompts, torch.Tensor]) -> int:
    """Multiplications of one pass."""
    return sum(multiplications(network, forward(network, *scene[:2])).values())


def corner(channels: int) -> tuple[VoxelCloud, Prompts]:
    """The smallest scene that sends something through every layer: a floor with a post, a click on each."""
    floor = torch.cartesian_prod(torch.arange(8), torch.arange(8), torch.arange(1))
    post = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(1, 9))
    coords = torch.cat([floor, post]).int()
    cloud = VoxelCloud(coords, (coords + 0.5) * 0.05, torch.rand(len(coords), channels), 0.05)
    return cloud, Prompts(torch.tensor([0, 70]), torch.tensor([0, 1]), 1)
