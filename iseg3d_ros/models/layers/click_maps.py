"""Clicks as input channels of each object: cubes (InterObject3D) and distance maps (ClickEnhance).

Channels come in pairs, positive before negative. Negative clicks of an object are those on the background and on
every other object. All objects at once: (V, M, channels).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.settings import ClickMapSettings

PAIRS = 1 << 24  # distances between voxels and clicks that are held at a time


def channels(settings: ClickMapSettings) -> int:
    """How many click channels each object has."""
    if settings.click_map == "cube":
        return 2 * len(settings.cubes)
    return 2 + 2 * len(settings.fades)


def click_channels(cloud: VoxelCloud, clicks: Prompts, settings: ClickMapSettings) -> Tensor:
    """The channels (V, M, C) of all clicks, as the settings choose them."""
    if settings.click_map == "cube":
        own, other = positive_negative(nearest_of_label(cloud.points, clicks, torch.inf))
        return cubes(own, other, cloud.size, settings.cubes)
    own, other = positive_negative(nearest_of_label(cloud.points, clicks, 2.0))
    return distance_channels(own, other, cloud.size, settings.fades)


def current_channels(cloud: VoxelCloud, clicks: Prompts, settings: ClickMapSettings) -> Tensor:
    """The same channels of each object's current click alone."""
    metric = torch.inf if settings.click_map == "cube" else 2.0
    click, positive, known = current_click(clicks)
    away = distances(cloud.points, cloud.points[clicks.voxel[click]], metric)
    own = torch.where(known & positive, away, torch.inf)
    other = torch.where(known & ~positive, away, torch.inf)
    if settings.click_map == "cube":
        return cubes(own, other, cloud.size, settings.cubes)
    return distance_channels(own, other, cloud.size, settings.fades)


def nearest_of_label(points: Tensor, clicks: Prompts, metric: float) -> Tensor:
    """Distance (V, M + 1) of every point to the nearest click of every label; infinite where a label has none."""
    clicked = points[clicks.voxel]
    parts = []
    for part in points.split(max(1, PAIRS // max(1, len(clicks)))):
        nearest = part.new_full((len(part), clicks.objects + 1), torch.inf)
        away = distances(part, clicked, metric)
        parts.append(nearest.scatter_reduce(1, clicks.label.expand_as(away), away, "amin"))
    return torch.cat(parts)


def distances(points: Tensor, clicked: Tensor, metric: float) -> Tensor:
    """Distance (V, K): Euclidean for metric 2 (Eq. 1 of ClickEnhance), along the worst axis for metric infinity."""
    return torch.cdist(points.float(), clicked.float(), metric, compute_mode="donot_use_mm_for_euclid_dist")


def positive_negative(nearest: Tensor) -> tuple[Tensor, Tensor]:
    """For every object the distance (V, M) to its own clicks, and to the clicks of every other label."""
    own = nearest[:, 1:]
    first, second = pad(nearest, (0, 1), value=torch.inf).topk(2, 1, largest=False).values.split(1, 1)
    return own, torch.where(own == first, second, first)


def cubes(own: Tensor, other: Tensor, size: float, half_widths: tuple[float, ...]) -> Tensor:
    """InterObject3D Eq. 1: one inside a cube around a click, zero outside; half-widths in voxels."""
    nearness = torch.stack([own, other], -1) * (1 - 1e-4)  # a voxel exactly at the edge is inside, rounded or not
    return torch.cat([(nearness <= size * width).float() for width in half_widths], -1)


def distance_channels(own: Tensor, other: Tensor, size: float, fades: tuple[float, ...]) -> Tensor:
    """ClickEnhance's maps (Eqs. 1-3) and, for our own presets, exp(-d / range) for ranges in voxels."""
    both = torch.stack([own, other], -1)
    return torch.cat([normalised(both), *[(-both / (size * fade)).exp() for fade in fades]], -1)


def normalised(distance: Tensor) -> Tensor:
    """ClickEnhance Eq. 3 over the voxels; one (far) everywhere where there is no click, zero where all are as far."""
    low, high = distance.amin(0), distance.amax(0)
    scaled = (distance - low) / (high - low).clamp(min=1e-9)
    return torch.where(distance.isinf(), 1.0, scaled)


def current_click(clicks: Prompts) -> tuple[Tensor, Tensor, Tensor]:
    """For every object the index of the latest click on it or on the background, whether it is positive, and exists.

    With one object this is the latest click; a click on another object says little about this one.
    """
    label, own = clicks.label, torch.arange(1, clicks.objects + 1, device=clicks.label.device)[:, None]
    order = torch.arange(len(clicks), device=label.device)
    latest = torch.where((label == own) | (label == 0), order, -1).amax(1)
    return latest.clamp(min=0), label[latest] == own[:, 0], latest >= 0
