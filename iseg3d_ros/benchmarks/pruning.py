"""The sizes that pruning reaches: the ladder of the E²I3D paper, on untrained weights of paper size.

`share_<rung>` is the size reached divided by the rung, at most 1 and at least 0.97 where it is reached. Nothing is
calibrated: the channels are ranked by their L1 norms, as only how many of them can go matters for a size.
"""

from __future__ import annotations

import time

import torch

from iseg3d_ros.clicks import VoxelClicks
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters
from iseg3d_ros.models.settings import settings_of
from iseg3d_ros.pruning.importance import importance
from iseg3d_ros.pruning.prune import PruneConfig, forward, kept, size_of
from iseg3d_ros.pruning.trace import dependencies

LADDER = (36.9, 32.8, 28.0, 24.2, 20.4, 16.4, 13.0, 8.6, 5.7)  # millions of parameters, Tables 1 and 2


def run(network: str = "e2i3d", preset: str = "paper", rungs: tuple[float, ...] = LADDER) -> dict[str, float]:
    """Trace once, then choose what would stay at every rung."""
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
    return figures


def corner(channels: int) -> tuple[VoxelCloud, VoxelClicks]:
    """The smallest scene that sends something through every layer: a floor with a post, a click on each."""
    floor = torch.cartesian_prod(torch.arange(8), torch.arange(8), torch.arange(1))
    post = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(1, 9))
    coords = torch.cat([floor, post]).int()
    cloud = VoxelCloud(coords, (coords + 0.5) * 0.05, torch.rand(len(coords), channels), 0.05)
    return cloud, VoxelClicks(torch.tensor([0, 70]), torch.tensor([0, 1]), 1)
