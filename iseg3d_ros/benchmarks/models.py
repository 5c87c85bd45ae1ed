"""How fast the networks answer: paper sizes, untrained weights, one made room, in one interleaved run.

`e2i3d_5.7m` is E2I3D really pruned to the paper's smallest size, ranked by importance a multiplication (`iseg3d prune
--economy 2`); `e2i3d_5.7m_plain` is ranked by importance alone. The importance of untrained weights is what a
made-up labelling of a small room makes it.

`t5_ratio_<name>` is AGILE3D's time for one encoding and five clicks on each of five objects (the first five at once,
then one at a time), divided by the network's; likewise t10 and t15. `next_click_share_<name>` is the sixth click's
time divided by that of the first mask, encoding included. Ratios carry over between machines; seconds do not.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import NETWORKS, build, parameters, settings_of
from iseg3d_ros.pruning.prune import PruneConfig, prune

OBJECTS = 5
COUNTS = (5, 6, 25, 75)  # clicks at which a decoding is measured; those between are interpolated
SIZE = 0.05
SMALLEST = 5_700_000  # parameters, the last rung of the E2I3D paper's ladder
PRUNED = {"e2i3d_5.7m": 2.0, "e2i3d_5.7m_plain": 0.0}  # how much a channel's cost counts in each
CALIBRATION = 4000  # voxels of the room that importance is taken on


def run(voxels: int = 40_000, device: str = "cpu", repeats: int = 3, networks: str = "") -> dict[str, float]:
    """Ratios, shares and parameter counts; `networks` names some of them, separated by commas (AGILE3D always runs)."""
    built = {name: network(name).to(device).eval() for name in names(networks)}
    coords = room(voxels)
    seconds: dict[str, list[dict[int, float]]] = {name: [] for name in built}
    for _ in range(repeats + 1):  # interleaved, so that a busy moment hits all; the first round warms up
        for name, each in built.items():
            seconds[name].append(measure(each, coords, device))
    medians = {name: median(rows[1:]) for name, rows in seconds.items()}
    figures: dict[str, float] = {"voxels": float(len(coords))}
    for name, own in medians.items():
        for k in (5, 10, 15):
            figures[f"t{k}_ratio_{name}"] = total(medians["agile3d"], k) / total(own, k)
        figures[f"next_click_share_{name}"] = own[6] / (own[0] + own[5])
        figures[f"first_mask_seconds_{name}"] = own[0] + own[5]
        figures[f"parameters_{name}"] = float(parameters(built[name]))
    return figures


def names(chosen: str) -> list[str]:
    """The networks to run, by the name their figures carry: AGILE3D first."""
    known = ["agile3d", *(name for name in NETWORKS if name != "agile3d"), *PRUNED]
    wanted = [name.strip() for name in chosen.split(",") if name.strip()] or known
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"there is no network {unknown[0]!r} to measure; choose from {', '.join(known)}")
    return ["agile3d", *(name for name in wanted if name != "agile3d")]


def network(name: str) -> Any:
    """One of them, untrained."""
    torch.manual_seed(0)
    if name not in PRUNED:
        return build(settings_of(name, "paper"))
    config = PruneConfig(SMALLEST, economy=PRUNED[name])
    return prune(build(settings_of("e2i3d", "paper")).eval(), [labelled_room()], config)


def labelled_room() -> tuple[VoxelCloud, Prompts, torch.Tensor]:
    """A small room, six clicks in it, and as labels which of them is nearest."""
    coords, generator = room(CALIBRATION), torch.Generator().manual_seed(0)
    features = torch.rand(len(coords), 3, generator=generator) - 0.5
    cloud = VoxelCloud(coords, (coords + 0.5) * SIZE, features, SIZE)
    voxel = torch.randperm(len(coords), generator=generator)[: OBJECTS + 1]
    labels = torch.cdist(cloud.points, cloud.points[voxel]).argmin(1)
    return cloud, Prompts(voxel, torch.arange(OBJECTS + 1), OBJECTS), labels


def measure(network: Any, coords: torch.Tensor, device: str) -> dict[int, float]:
    """Seconds of an encoding (key 0) and of a decoding at each count of clicks; kernel maps are built every time."""
    channels = network.settings.in_channels
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(len(coords), channels, generator=generator) - 0.5
    cloud = VoxelCloud(coords, (coords + 0.5) * SIZE, features, SIZE).to(device)
    voxel = torch.randperm(len(coords), generator=generator)[: max(COUNTS)]
    label = torch.arange(max(COUNTS)) % OBJECTS + 1
    seconds = {}
    with torch.inference_mode():
        start = now(device)
        encoded = network.encode([cloud])
        seconds[0] = now(device) - start
        for count in COUNTS:
            clicks = Prompts(voxel[:count], label[:count], OBJECTS).to(device)
            start = now(device)
            network.decode(encoded, [clicks])
            seconds[count] = now(device) - start
    return seconds


def now(device: str) -> float:
    """The time, once the device has caught up."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def median(rows: list[dict[int, float]]) -> dict[int, float]:
    """Medians by key."""
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def total(seconds: dict[int, float], clicks: int) -> float:
    """One encoding, and a decoding for the first clicks together and for each one after them."""
    counts = np.arange(OBJECTS, OBJECTS * clicks + 1)
    return seconds[0] + float(np.interp(counts, COUNTS, [seconds[c] for c in COUNTS]).sum())


def room(voxels: int) -> torch.Tensor:
    """A made room of about so many voxels: the side that gives them is found in a few steps."""
    side = max(16, round((voxels / 3.5) ** 0.5))
    for _ in range(3):
        side = max(16, round(side * (voxels / len(surfaces(side))) ** 0.5))
    return surfaces(side)


def surfaces(side: int) -> torch.Tensor:
    """A floor, two walls and furniture-like boxes, int32 (V, 3)."""
    rng = np.random.default_rng(0)
    long, high = np.arange(side), np.arange(side // 2)
    parts = [grid(long, long, [0]), grid(long, [0], high), grid([0], long, high)]
    for _ in range(14):
        width, depth, height = rng.integers(side // 12 + 1, side // 5 + 2, 3)
        box = grid(np.arange(width), np.arange(depth), np.arange(height))
        shell = ((box == 0) | (box == [width - 1, depth - 1, height - 1])).any(1)
        parts.append(box[shell] + [*rng.integers(1, side - side // 5 - 2, 2), 1])
    return torch.from_numpy(np.unique(np.concatenate(parts), axis=0).astype(np.int32))


def grid(*axes: Any) -> np.ndarray:
    """All combinations (N, 3) of three axes' values."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
