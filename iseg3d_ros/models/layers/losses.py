"""Losses of the attention networks: cross entropy weighted near clicks, and Dice in its three forms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Prediction, VoxelCloud
from iseg3d_ros.models.settings import ClickAttentionSettings

WEIGHT_FAR, WEIGHT_AT_CLICK = 0.8, 2.0  # a point's weight away from the clicks, and at one


def click_weights(cloud: VoxelCloud, clicks: Prompts, radius: float) -> Tensor:
    """Weights (V,): 2.0 at a click, falling linearly to 0.8 at `radius` metres from the nearest one."""
    clicked = cloud.points[clicks.voxel]
    nearest = torch.cdist(cloud.points, clicked, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    return WEIGHT_FAR + (WEIGHT_AT_CLICK - WEIGHT_FAR) * (1 - nearest.clamp(max=radius) / radius)


def point_dice(logits: Tensor, target: Tensor, zero_when_wrong: bool) -> Tensor:
    """Dice of each point over the classes (V,), which is 1 - p(true label).

    The public code's smoothing turns the term into 0 where p is below 5e-7 times the number of classes.
    """
    true = logits.softmax(1).gather(1, target[:, None])[:, 0]
    loss = 1 - true
    return torch.where(true <= 5e-7 * logits.shape[1], 0.0, loss) if zero_when_wrong else loss


def object_dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Soft Dice of each object and of the background, averaged over those that the target holds."""
    probability = logits.softmax(1)
    truth = one_hot(target, logits.shape[1]).to(probability.dtype)
    weight = weight[:, None]
    overlap = (probability * truth * weight).sum(0)
    total = (probability * weight).sum(0) + (truth * weight).sum(0)
    present = (truth.sum(0) > 0).to(overlap.dtype)
    return ((1 - (2 * overlap + 1) / (total + 1)) * present).sum() / present.sum()


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor, settings: ClickAttentionSettings) -> Tensor:
    """Weighted cross entropy plus Dice of one prediction."""
    logits = logits.float()
    ce = (cross_entropy(logits, target, reduction="none") * weight).mean()
    if settings.dice == "object":
        dice = object_dice(logits, target, weight)
    else:
        dice = (point_dice(logits, target, settings.dice == "code") * weight).mean()
    return settings.ce_weight * ce + settings.dice_weight * dice


def deep_loss(
    prediction: Prediction, target: Tensor, cloud: VoxelCloud, clicks: Prompts, settings: ClickAttentionSettings
) -> dict[str, Tensor]:
    """The loss of the final masks and of each intermediate one, equally weighted."""
    weight = click_weights(cloud, clicks, settings.click_radius * cloud.size)
    final = mask_loss(prediction.logits, target, weight, settings)
    deep = [mask_loss(logits, target, weight, settings) for logits in prediction.intermediate]
    return {"total": final + sum(deep), "mask": final.detach()}


def mean_losses(losses: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Each named loss averaged over the clouds of a batch."""
    return {name: torch.stack([loss[name] for loss in losses]).mean() for name in losses[0]}
