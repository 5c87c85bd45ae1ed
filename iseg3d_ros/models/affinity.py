"""Which neighbouring voxels are of one object: learned from the scene alone, before any click.

Not in the papers. Every pair of neighbours in a labelled scene is an example, so this is learned from far fewer scenes
than what clicks mean; its edges lead the random walker (`iseg3d_ros.guided`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from iseg3d_ros.models.base import VoxelCloud

Judge = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

GEOMETRY = 8
PAIRS = 1 << 14  # examples a cloud and step: a few of each voxel's neighbours


class Affinity(nn.Module):
    """Logit that both voxels of a pair are of one object: the same whichever of them comes first."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.of_sum = nn.Linear(width, hidden)
        self.of_difference = nn.Linear(width, hidden, bias=False)
        self.of_geometry = nn.Linear(GEOMETRY, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: Tensor, cloud: VoxelCloud, first: Tensor, second: Tensor) -> Tensor:
        """Logits (P,) of voxel pairs, from features (V, width)."""
        # What is linear is taken once a voxel, not once a pair
        total, apart = self.of_sum(features), self.of_difference.weight
        hidden = total[first] + total[second] + (features[first] - features[second]).abs() @ apart.T
        hidden = (hidden + self.of_geometry(geometry(cloud, first, second))).relu()
        logits: Tensor = self.out(self.second(hidden).relu())[:, 0]
        return logits.float()


def geometry(cloud: VoxelCloud, first: Tensor, second: Tensor) -> Tensor:
    """Channels (P, GEOMETRY) of each pair: how far apart, how different in colour (the first three features)."""
    step = (cloud.points[second] - cloud.points[first]) / cloud.size
    distance = step.norm(dim=1)
    colour = (cloud.features[second, :3] - cloud.features[first, :3]).abs()
    place = cloud.coords[second] - cloud.coords[first]
    return torch.cat([
        distance[:, None], (-distance).exp()[:, None], step[:, 2:].abs(), colour, colour.sum(1, keepdim=True),
        place.abs().amax(1, keepdim=True).to(colour.dtype),
    ], 1)  # fmt: skip


def example_pairs(near: Tensor, own: slice, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random pairs of voxels one or two steps apart on the table of neighbours (V, 26), within one cloud's rows."""
    count = own.stop - own.start
    size = (min(PAIRS, 4 * count),)
    first = torch.randint(own.start, own.stop, size, generator=generator, device=near.device)
    step = torch.randint(near.shape[1], (2, *size), generator=generator, device=near.device)
    again = torch.rand(size, generator=generator, device=near.device) < 0.5
    second = near[first, step[0]]
    second = torch.where(again, near[second, step[1]], second)
    apart = first != second
    return first[apart] - own.start, second[apart] - own.start


def affinity_loss(logits: Tensor, instance: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Cross entropy of the pairs."""
    same = (instance[first] == instance[second]).to(logits.dtype)
    return binary_cross_entropy_with_logits(logits, same)


def judge_of(affinity: Affinity, features: Tensor, cloud: VoxelCloud) -> Judge:
    """The classifier as the random walker asks it: pairs in numpy, in parts that memory holds."""

    @torch.no_grad()
    def judge(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        pairs = (torch.from_numpy(rows).to(features.device).split(PAIRS) for rows in (first, second))
        logits = [affinity(features, cloud, a, b) for a, b in zip(*pairs, strict=True)]
        return torch.cat(logits).double().cpu().numpy() if logits else np.zeros(0)

    return judge
