"""Small made scenes that the tests of the networks share."""

from __future__ import annotations

import time

import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.settings import ModelSettings

SIZE = 0.05


def boxes_on_a_table(settings: ModelSettings, shift: int = 0) -> tuple[VoxelCloud, torch.Tensor]:
    """A table's plane with two coloured boxes and a ball on it, as shells of voxels, and their labels 0..3."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(24)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x, y, z = grid.T

    def box(x0: int, y0: int, w: int, h: int) -> torch.Tensor:
        inside = (x >= x0) & (x < x0 + w) & (y >= y0) & (y < y0 + w) & (z >= 1) & (z <= h)
        core = (x > x0) & (x < x0 + w - 1) & (y > y0) & (y < y0 + w - 1) & (z < h)
        return inside & ~core

    ball = ((x - 16) ** 2 + (y - 17) ** 2 + (z - 5) ** 2 - 16).abs() < 5
    label = torch.zeros(len(grid), dtype=torch.int64)
    for i, part in enumerate((box(3, 3, 6, 5), box(12, 3, 5, 8), ball), 1):
        label[part] = i
    keep = (label > 0) | (z == 0)
    coords, label = grid[keep].int(), label[keep]
    colour = torch.tensor([[0.1, 0.1, 0.1], [0.4, -0.3, -0.3], [-0.3, 0.4, -0.2], [-0.2, -0.2, 0.4]])[label]
    noise = torch.randn(len(coords), settings.in_channels, generator=torch.Generator().manual_seed(0)) * 0.05
    features = noise + torch.nn.functional.pad(colour, (0, settings.in_channels - 3))
    return VoxelCloud(coords + shift, (coords + shift + 0.5) * SIZE, features, SIZE), label


def first_clicks(label: torch.Tensor, background: int = 0) -> Prompts:
    """One click in the middle of each object's list of voxels, and some on the background."""
    objects = int(label.max())
    voxels = [torch.nonzero(label == m)[:, 0] for m in range(1, objects + 1)]
    chosen = [v[len(v) // 2] for v in voxels] + list(torch.nonzero(label == 0)[:background, 0])
    labels = torch.tensor([*range(1, objects + 1), *[0] * background])
    return Prompts(torch.stack(chosen), labels, objects)


def logits_of(network: torch.nn.Module, cloud: VoxelCloud, clicks: Prompts) -> torch.Tensor:
    """Masks in eval mode."""
    network.eval()
    with torch.inference_mode():
        return network.decode(network.encode([cloud]), [clicks])[0].logits


def overfitted(network: torch.nn.Module) -> float:
    """The objects' mean IoU after training on one scene and its first clicks: over 0.95, or after a minute."""
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    start, reached = time.thread_time(), 0.0  # of this thread's own work: other tests may share the cores
    while reached <= 0.95 and time.thread_time() - start < 60:
        network.train()
        for _ in range(10):
            loss = network.loss(network.encode([cloud]), [clicks], [label])["total"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = logits_of(network, cloud, clicks).argmax(1)
        ious = [((found == m) & (label == m)).sum() / ((found == m) | (label == m)).sum() for m in (1, 2, 3)]
        reached = float(torch.stack(ious).mean())
    return reached
