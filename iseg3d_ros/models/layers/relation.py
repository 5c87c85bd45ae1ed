"""The relation term: what a point's place relative to the clicks says about which object it belongs to.

Not in the papers. A decoder that sees clicks only through attention needs many scenes to learn that near is likely
the same; here distances, heights and differences in appearance are given as channels of every (point, object) pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.layers.attention import best_of_clicks

VOXELS = (1.5, 4.0, 12.0, 40.0)  # ranges of exp(-d / range), in voxels
EXTENTS = (0.03, 0.1, 0.3)  # and relative to the scene's diagonal
MIN_EXPONENT = -80.0  # exp of less is six times as slow on a CPU, for results that are not normal numbers
CHANNELS = 3 * (len(VOXELS) + len(EXTENTS)) + 12


@dataclass(frozen=True)
class NearestClicks:
    """Per point and label: distance to the label's nearest click (inf where it has none) and which click that is."""

    distance: Tensor  # (V, labels)
    click: Tensor  # (V, labels), 0 where there is none


def nearest_clicks(points: Tensor, clicked: Tensor, label: Tensor, labels: int) -> NearestClicks:
    """Nearest click of every label from every point, exactly, without a loop over labels."""
    apart = torch.cdist(points, clicked, compute_mode="donot_use_mm_for_euclid_dist")
    index = label.expand_as(apart)
    far = apart.new_full((len(points), labels), torch.inf)
    distance = far.scatter_reduce(1, index, apart, "amin")
    order = torch.arange(len(label), device=label.device)
    candidates = torch.where(apart <= distance.gather(1, index), order, len(label))
    none = torch.full_like(distance, len(label), dtype=torch.int64)
    click = none.scatter_reduce(1, index, candidates, "amin")
    return NearestClicks(distance, torch.where(click < len(label), click, 0))


def nearest_other(distance: Tensor) -> Tensor:
    """Distance (V, labels) to the nearest click of any other object; background counts apart."""
    objects = distance[:, 1:]
    first, second = torch.cat([objects, torch.full_like(distance[:, :2], torch.inf)], 1).topk(2, 1, largest=False)[0].T
    other = torch.where(objects == first[:, None], second[:, None], first[:, None])
    return torch.cat([first[:, None], other], 1)


def fading(distance: Tensor, size: float, extent: Tensor) -> list[Tensor]:
    """exp(-d / range) over a geometric series of ranges, absolute in voxels and relative to the scene."""
    ranges: list[float | Tensor] = [*(size * voxels for voxels in VOXELS), *(extent * share for share in EXTENTS)]
    return [(-distance / r).clamp(min=MIN_EXPONENT).exp() for r in ranges]


def closer(own: Tensor, other: Tensor) -> Tensor:
    """1 at an own click, 0 at another's; 1/2 half way."""
    share = other / (own + other).clamp(min=1e-6)
    return torch.where(other.isinf(), torch.where(own.isinf(), 0.5, 1.0), torch.where(own.isinf(), 0.0, share))


def relations(cloud: VoxelCloud, scene: Tensor, clicks: Prompts, extent: Tensor, part: slice) -> Tensor:
    """Channels (V, labels, CHANNELS) of every pair of a point in `part` and an object, background first."""
    points, clicked = cloud.points[part], cloud.points[clicks.voxel]
    near = nearest_clicks(points, clicked, clicks.label, clicks.objects + 1)
    own, other = near.distance, nearest_other(near.distance)
    background = own[:, :1]
    channels = fading(own, cloud.size, extent) + fading(other, cloud.size, extent)
    channels += [each.expand_as(own) for each in fading(background, cloud.size, extent)]
    channels += [closer(own, other), closer(own, background.expand_as(own))]
    known = own.isfinite().to(own.dtype)
    step = (points[:, None] - clicked[near.click]) * known[..., None]
    rise, across = step[..., 2], step[..., :2].norm(dim=-1)
    channels += [(rise / (4 * cloud.size)).tanh(), (rise / (0.1 * extent)).tanh(), (across / (0.1 * extent)).tanh()]
    values = cloud.features[:, :3]  # the mean colour in every preset
    differs = (values[part, None] - values[clicks.voxel][near.click]) * known[..., None]
    channels += [known, differs.abs().mean(-1), (differs.square().sum(-1) * -20).exp()]
    channels += [torch.zeros_like(own).index_fill(1, own.new_zeros(1, dtype=torch.int64), 1.0)]
    # A channel after the other in memory, which is what stacking and a transposed product do fastest
    return torch.stack([*channels, *likeness(scene, clicks, near, known, part)]).permute(1, 2, 0)


def likeness(scene: Tensor, clicks: Prompts, near: NearestClicks, known: Tensor, part: slice) -> list[Tensor]:
    """Cosine between a point's features and those of the nearest own click, and of the most alike own click."""
    points, clicked = (normalize(scene[rows].float(), dim=-1) for rows in (part, clicks.voxel))
    alike = points @ clicked.T
    nearest = alike.gather(1, near.click) * known
    best = best_of_clicks(alike.T, clicks.label, near.click.shape[1]).T.clamp(min=-1) * known
    mean = torch.where(known > 0, (nearest + best) / 2, -1.0)
    return [nearest, best, mean]


class Relation(nn.Module):
    """hidden = ReLU(A point + B object + C channels), one more layer, one number a pair."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.of_point = nn.Linear(width, hidden)
        self.of_object = nn.Linear(width, hidden, bias=False)
        self.of_pair = nn.Linear(CHANNELS, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1, bias=False)  # the same number for every object would change nothing

    def forward(self, points: Tensor, objects: Tensor, pairs: Tensor) -> Tensor:
        """The term (V, labels) of the logits."""
        hidden = self.of_pair(pairs.flatten(0, 1)).view(*pairs.shape[:2], -1)
        hidden = hidden.add_(self.of_point(points)[:, None]).add_(self.of_object(objects)).relu_()
        hidden = self.second(hidden).relu_()
        term: Tensor = self.out(hidden)[..., 0].float()
        return term
