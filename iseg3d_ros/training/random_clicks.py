"""Training clicks that need no network: InterObject3D's random ones, NPISeg3D's and Few-Click's several first ones.

With the corrections of `simulate.SimulatedUser` in their place InterObject3D becomes InterObject3D++.
"""

from __future__ import annotations

import torch
from torch import Tensor

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.layers.sampling import farthest
from iseg3d_ros.training.config import ClickConfig

MARGIN = 0.2  # on every side: a volume up to 1.4 times as large as the object
CELLS = 4  # on the longest side of an object, in Few-Click's voxel sampling
POSITIVES, NEGATIVES = 5, 15  # at most, for each object


def random_clicks(coords: Tensor, labels: Tensor, objects: int, generator: torch.Generator) -> Prompts:
    """1-5 clicks on every object and 1-15 in its enlarged box outside it, for voxels (V, 3) with labels 0..objects.

    A negative click that hits another chosen object is that object's positive one, as a person's would be.
    """
    own = labels[:, None] == torch.arange(1, objects + 1, device=labels.device)
    voxel = torch.cat([
        _draw(own, POSITIVES, generator),
        _draw(near(coords, own) & ~own, NEGATIVES, generator),
    ])  # fmt: skip
    voxel = voxel[torch.randperm(len(voxel), generator=generator, device=voxel.device)]
    return Prompts(voxel, labels[voxel], objects)


def near(coords: Tensor, own: Tensor) -> Tensor:
    """Bool (V, M): inside each object's axis-parallel box, enlarged by the margin."""
    place = coords.float()[:, None].expand(-1, own.shape[1], -1)
    low = place.masked_fill(~own[..., None], torch.inf).amin(0)
    high = place.masked_fill(~own[..., None], -torch.inf).amax(0)
    margin = MARGIN * (high - low)
    return ((place >= low - margin) & (place <= high + margin)).all(2)


def _draw(region: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Voxels of each column's region: between one and `most`, as far as there are any."""
    device = region.device
    key = torch.rand(region.shape, generator=generator, device=device) + region
    best, voxel = key.topk(min(most, len(region)), dim=0)
    wanted = torch.randint(1, most + 1, (region.shape[1],), generator=generator, device=device)
    rank = torch.arange(len(best), device=device)[:, None]
    return voxel[(rank < wanted) & (best >= 1)]


def several(coords: Tensor, labels: Tensor, first: Prompts, config: ClickConfig, generator: torch.Generator) -> Prompts:
    """The first clicks with up to `first_clicks` - 1 more on each object, and 1 to `background_clicks` beside them."""

    def count(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator, device=labels.device))

    voxels = [first.voxel]
    for number in range(1, first.objects + 1):
        own, begin = (labels == number).nonzero()[:, 0], first.voxel[first.label == number][:1]
        wanted = count(0, config.first_clicks - 1)
        if config.spread and len(begin):
            voxels.append(own[farthest(coords[own].float(), coords[begin].float(), wanted)])
        elif config.cells and len(own):
            voxels.append(own[of_cells(coords[own], wanted, generator)])
        elif len(own):
            voxels.append(own[torch.randint(len(own), (wanted,), generator=generator, device=own.device)])
    outside = (labels == 0).nonzero()[:, 0]
    if config.background_clicks and len(outside):
        wanted = count(1, config.background_clicks)
        voxels.append(outside[torch.randint(len(outside), (wanted,), generator=generator, device=outside.device)])
    voxel = torch.cat(voxels)
    return Prompts(voxel, labels[voxel], first.objects)


def of_cells(coords: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices of at most `count` voxels (N, 3), each a random one of another cell of a coarse grid."""
    edge = ((coords.amax(0) - coords.amin(0)).amax() // CELLS).clamp(min=1)
    order = torch.randperm(len(coords), generator=generator, device=coords.device)
    cells, cell = torch.unique(coords[order] // edge, dim=0, return_inverse=True)
    first = torch.full((len(cells),), len(order), device=coords.device)
    first = first.scatter_reduce(0, cell, torch.arange(len(order), device=coords.device), "amin")
    chosen = torch.randperm(len(first), generator=generator, device=coords.device)[:count]
    return order[first[chosen]]
