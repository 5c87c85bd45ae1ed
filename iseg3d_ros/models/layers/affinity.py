"""Which neighbouring voxels are of one object: learned from the scene alone, before any click.

Not in the papers. Every pair of neighbours in a labelled scene is an example, so this is learned from far fewer scenes
than what clicks mean; its edges lead the random walker (`iseg3d_ros.models.ensemble`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.settings import FEATURE_WIDTH as WIDTHS

Judge = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

GEOMETRY = 12
BOUNDARY_PAIR_WEIGHT = 4.0  # weight of a pair of two objects, of which there are few
PAIRS = 1 << 14  # examples a cloud and step: a few of each voxel's neighbours


class Affinity(nn.Module):
    """Logit that both voxels of a pair are of one object: the same whichever of them comes first."""

    def __init__(self, width: int, hidden: int, names: Sequence[str]) -> None:
        super().__init__()
        if not {"rgb", "offset", "normal"} <= set(names) or names[0] != "rgb":
            raise ValueError(f"affinity needs the features rgb (first), offset and normal, but has {', '.join(names)}")
        self.names = tuple(names)
        self.of_sum = nn.Linear(width, hidden)
        self.of_difference = nn.Linear(width, hidden, bias=False)
        self.of_geometry = nn.Linear(GEOMETRY, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: Tensor, cloud: VoxelCloud, first: Tensor, second: Tensor) -> Tensor:
        """Logits (P,) of voxel pairs, from features (V, width)."""
        total, surface = self.of_sum(features), Surface.of(cloud, self.names)
        parts = zip(first.split(PAIRS), second.split(PAIRS), strict=True)  # that memory holds
        return torch.cat([self._logits(features, total, cloud, surface, *pairs) for pairs in parts])

    def _logits(
        self, features: Tensor, total: Tensor, cloud: VoxelCloud, surface: Surface, first: Tensor, second: Tensor
    ) -> Tensor:
        apart = (features[first] - features[second]).abs()
        hidden = total[first].add_(total[second]).add_(self.of_difference(apart))
        hidden = hidden.add_(self.of_geometry(geometry(cloud, surface, first, second))).relu_()
        logits: Tensor = self.out(self.second(hidden).relu_())[:, 0]
        return logits.float()


def geometry(cloud: VoxelCloud, surface: Surface, first: Tensor, second: Tensor) -> Tensor:
    """Channels (P, GEOMETRY) of each pair, the same both ways: step, change of colour, of direction, of plane."""
    step = surface.means[second] - surface.means[first]
    distance = step.norm(dim=1, keepdim=True)
    colour = (cloud.features[second, :3] - cloud.features[first, :3]).abs()
    one, two = surface.normals[first], surface.normals[second]
    off_plane = torch.stack([(one * step).sum(1), (two * step).sum(1)], 1).abs()
    level = torch.stack([one[:, 2], two[:, 2]], 1).abs()
    return torch.cat([
        distance, (-distance).exp(), step[:, 2:].abs(), colour, colour.sum(1, keepdim=True),
        1 - (one * two).sum(1, keepdim=True).abs(), off_plane.amax(1, keepdim=True), off_plane.amin(1, keepdim=True),
        level.amax(1, keepdim=True), level.amin(1, keepdim=True),
    ], 1)  # fmt: skip


@dataclass(frozen=True)
class Surface:
    """Of every voxel: its points' mean, in voxel edges, and the normal there."""

    means: Tensor
    normals: Tensor

    @classmethod
    def of(cls, cloud: VoxelCloud, names: Sequence[str]) -> Surface:
        """From the features of these names."""
        parts = dict(zip(names, torch.split(cloud.features, [WIDTHS[name] for name in names], dim=1), strict=True))
        return cls(cloud.coords + 0.5 + parts["offset"], parts["normal"])


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
    weight = torch.where(same > 0, 1.0, BOUNDARY_PAIR_WEIGHT)
    return binary_cross_entropy_with_logits(logits, same, weight, reduction="sum") / weight.sum()


def judge_of(affinity: Affinity, features: Tensor, cloud: VoxelCloud) -> Judge:
    """The classifier as the random walker asks it: pairs in numpy."""

    @torch.no_grad()
    def judge(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        pairs = (torch.from_numpy(rows).to(features.device) for rows in (first, second))
        return affinity(features, cloud, *pairs).double().cpu().numpy()

    return judge
