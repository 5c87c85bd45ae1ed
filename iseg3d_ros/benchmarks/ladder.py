"""What every size of E²I3D's ladder costs (its Tabs. 1 to 3): untrained weights of paper size, pruned to each rung.

Cost depends on the widths that are left, not on what the weights have learned; which widths are left is here decided by
their L1 norms. Per rung, `<rung>M`: parameters, megabytes of the file in half precision, the share of the unpruned
network's multiplications, seconds of an encoding, of the first five clicks and of a sixth, on one made room, measured
in turn.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from iseg3d_ros.benchmarks.models import OBJECTS, SIZE, labelled_room, median, now, room
from iseg3d_ros.benchmarks.pruning import LADDER, corner, work
from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.pruning.importance import importance
from iseg3d_ros.pruning.prune import PruneConfig, dependencies, forward, kept, shrink

WHOLE = 40.5  # the ladder's first rung: unpruned


def run(
    voxels: int = 20_000, device: str = "cpu", repeats: int = 2, preset: str = "paper", rungs: Sequence[float] = LADDER
) -> dict[str, float]:
    """Figures of every rung, flat: `5.7M parameters`, `5.7M click_seconds` …"""
    figures: dict[str, float] = {}
    for name, values in ladder(voxels, device, repeats, preset, rungs).items():
        figures |= {f"{name} {key}": value for key, value in values.items()}
    return figures


def ladder(
    voxels: int = 20_000, device: str = "cpu", repeats: int = 2, preset: str = "paper", rungs: Sequence[float] = LADDER
) -> dict[str, dict[str, float]]:
    """The figures of every rung by its name, the unpruned network first."""
    networks, coords = built(preset, rungs), room(voxels)
    seconds: dict[str, list[dict[int, float]]] = {name: [] for name in networks}
    for _ in range(repeats + 1):  # interleaved, so that a busy moment hits all; the first round warms up
        for name, network in networks.items():
            seconds[name].append(measure(network.to(device), coords, device))
    small = calibration(next(iter(networks.values())).settings.in_channels)
    whole = work(next(iter(networks.values())).cpu(), small)
    return {name: {
        "parameters": float(parameters(network)), "megabytes": 2 * parameters(network) / 1e6,
        "work_share": work(network.cpu(), small) / whole,
        "encode_seconds": median(seconds[name][1:])[0], "first_mask_seconds": median(seconds[name][1:])[5],
        "click_seconds": median(seconds[name][1:])[6],
    } for name, network in networks.items()}  # fmt: skip


def built(preset: str = "paper", rungs: Sequence[float] = LADDER) -> dict[str, Any]:
    """Untrained networks by rung; the dependencies are traced once."""
    torch.manual_seed(0)
    full: Any = build(settings_of("e2i3d", preset)).eval()
    found = dependencies(full, forward(full, *corner(full.settings.in_channels)))
    scores = importance(full, found, "l1")
    networks = {f"{WHOLE}M": full}
    for rung in rungs:
        small = copy.deepcopy(full)
        shrink(small, found, kept(full, found, scores, PruneConfig(round(rung * 1e6))))
        networks[f"{rung}M"] = small
    return networks


def calibration(channels: int) -> tuple[VoxelCloud, Prompts, torch.Tensor]:
    """The small room that multiplications are counted on, with so many features."""
    cloud, clicks, labels = labelled_room()
    features = torch.rand(len(cloud), channels, generator=torch.Generator().manual_seed(0)) - 0.5
    return VoxelCloud(cloud.coords, cloud.points, features, cloud.size), clicks, labels


def measure(network: Any, coords: torch.Tensor, device: str) -> dict[int, float]:
    """Seconds of an encoding (key 0), of masks from five clicks on as many objects, and from one more."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(len(coords), network.settings.in_channels, generator=generator) - 0.5
    cloud = VoxelCloud(coords, (coords + 0.5) * SIZE, features, SIZE).to(device)
    voxel, label = torch.randperm(len(coords), generator=generator)[:6], torch.arange(6) % OBJECTS + 1
    with torch.inference_mode():
        start = now(device)
        encoded = network.encode([cloud])
        seconds = {0: now(device) - start}
        for count in (5, 6):
            start = now(device)
            network.decode(encoded, [Prompts(voxel[:count], label[:count], OBJECTS).to(device)])
            seconds[count] = now(device) - start
    return seconds
