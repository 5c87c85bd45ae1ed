"""The cheap simulated user of training: depth inside an error region by erosion over voxel neighbours.

The exact user of the protocol (`iseg3d_ros.evaluation.user`) measures metric distances; here a region's depth is the
number of erosions that a voxel survives, computed for all regions of all clouds of a batch at once on their device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iseg3d_ros.clicks import Prompts

EROSIONS = 10  # deeper voxels count as equally deep; ties are broken at random


def neighbours(coords: Tensor) -> Tensor:
    """int64 (V, 26): the neighbours of batched voxels (V, 4); a missing neighbour is the voxel itself."""
    keys = _keys(coords.long())
    order = torch.argsort(keys)
    steps = torch.cartesian_prod(*[torch.arange(-1, 2, device=coords.device)] * 3)
    steps = steps[steps.abs().sum(1) > 0]
    wanted = keys[:, None] + _keys(torch.nn.functional.pad(steps, (1, 0)))[None]
    place = torch.searchsorted(keys[order], wanted).clamp_(max=len(keys) - 1)
    found = order[place]
    own = torch.arange(len(coords), device=coords.device)[:, None]
    return torch.where(keys[found] == wanted, found, own)


def _keys(coords: Tensor) -> Tensor:
    """One int64 a voxel, linear in the coordinates; a border of 2^15 keeps neighbours from wrapping."""
    return ((coords[:, 0] * 65536 + coords[:, 1]) * 65536 + coords[:, 2]) * 65536 + coords[:, 3]


def depth(region: Tensor, near: Tensor, erosions: int = EROSIONS) -> Tensor:
    """How many erosions of its region each voxel survives, int64 (V,)."""
    same = (region[near] == region[:, None]).all(1)
    alive = same
    total = alive.long()
    for _ in range(erosions - 1):
        alive = alive & alive[near].all(1)
        total = total + alive
    return total


class SimulatedUser:
    """Clicks for a batch of clouds whose voxels are stacked; `labels` (V,) are the truth, 0..objects.

    Each cloud has a seed of its own, so that its clicks do not depend on which clouds share its batch.
    """

    def __init__(self, coords: Tensor, labels: Tensor, objects: Sequence[int], seeds: Sequence[int]) -> None:
        self.near = neighbours(coords)
        self.cloud, self.labels, self.objects = coords[:, 0].long(), labels, tuple(objects)
        self.columns = max(self.objects) + 1
        self.starts = torch.searchsorted(self.cloud, torch.arange(len(self.objects), device=coords.device))
        self.sizes = torch.bincount(self.cloud, minlength=len(self.objects)).tolist()
        self.generators = [torch.Generator(device=coords.device).manual_seed(seed) for seed in seeds]

    def first(self, centre_share: float) -> list[Prompts]:
        """One click an object: at its middle, or (for a share of the objects) anywhere inside."""
        region = self.cloud * self.columns + self.labels
        key = depth(region, self.near) + self._noise(self.sizes)
        # As many draws as the cloud has objects, whatever others share its batch
        real = torch.arange(self.columns) <= torch.tensor(self.objects)[:, None]
        chance = torch.zeros(real.shape, device=key.device)
        chance[real.to(key.device)] = self._noise([count + 1 for count in self.objects])
        anywhere = chance.view(-1) >= centre_share
        inside = (key >= 1).float() + self._noise(self.sizes)  # not on the rim, where there is an inside
        key = torch.where(anywhere[region], inside, key)
        voxel, key = self._best(region, key, self.labels > 0)
        return self._clicks(voxel[torch.argsort(key % 1.0)])

    def correct(self, labels: Tensor, clicks: list[Prompts], most: int) -> list[Prompts]:
        """For each cloud, one click into each of its `most` deepest error regions, pairs of (truth, prediction).

        With `most` 0 there are as many clicks as the cloud has objects.
        """
        region = (self.cloud * self.columns + self.labels) * self.columns + labels
        voxel, key = self._best(region, depth(region, self.near) + self._noise(self.sizes), labels != self.labels)
        voxel = voxel[torch.argsort(key, descending=True)]
        more = self._clicks(voxel, most)
        return [_joined(old, new) for old, new in zip(clicks, more, strict=True)]

    def _best(self, region: Tensor, key: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """The voxel with the largest key of each region, among the voxels `where`."""
        index = where.nonzero()[:, 0]
        ids, group = torch.unique(region[index], return_inverse=True)
        order = torch.argsort(key[index], descending=True)
        order = order[torch.argsort(group[order], stable=True)]
        sizes = torch.bincount(group, minlength=len(ids))
        best = index[order[torch.cumsum(sizes, 0) - sizes]]
        return best, key[best]

    def _clicks(self, voxel: Tensor, most: int | None = None) -> list[Prompts]:
        cloud = self.cloud[voxel]
        picked = [voxel[cloud == k][: count if most == 0 else most] for k, count in enumerate(self.objects)]
        return [Prompts(v - self.starts[k], self.labels[v], self.objects[k]) for k, v in enumerate(picked)]

    def _noise(self, counts: Sequence[int]) -> Tensor:
        """Uniform numbers below one, `counts` of them for each cloud, drawn by its own generator."""
        device = self.labels.device
        drawn = [torch.rand(n, generator=g, device=device) for n, g in zip(counts, self.generators, strict=True)]
        return torch.cat(drawn) * 0.99


def _joined(old: Prompts, new: Prompts) -> Prompts:
    return Prompts(torch.cat([old.voxel, new.voxel]), torch.cat([old.label, new.label]), old.objects)


def overwrite(labels: Tensor, clicks: Prompts) -> Tensor:
    """The prediction with every clicked voxel set to its click's label."""
    labels = labels.clone()
    labels[clicks.voxel] = clicks.label
    return labels
