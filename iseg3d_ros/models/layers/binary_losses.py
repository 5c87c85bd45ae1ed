"""Losses of the binary networks: every object against all the rest, all objects at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def truth(target: Tensor, objects: int) -> Tensor:
    """Float (V, M): one where the voxel is the object's."""
    return (target[:, None] == torch.arange(1, objects + 1, device=target.device)).float()


def cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Two-class cross entropy from the difference of the two logits (V, M), averaged over voxels and objects."""
    return binary_cross_entropy_with_logits(logits.float(), mask)


def dice(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice of each object, averaged."""
    probability = logits.float().sigmoid()
    overlap = (probability * mask).sum(0)
    return (1 - (2 * overlap + smooth) / (probability.sum(0) + mask.sum(0) + smooth)).mean()


def click_loss(anchor: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """ClickEnhance Eq. 4, a triplet over means: anchors (M, C); positives, negatives (K, M, C); gives (M,)."""
    near = (positives - anchor).norm(dim=-1).mean(0)
    far = (negatives - anchor).norm(dim=-1).mean(0)
    return (near - far + margin).clamp(min=0)


def sample(region: Tensor, otherwise: Tensor, count: int) -> Tensor:
    """Indices int64 (count, M) of random voxels of each object's region (V, M), else of `otherwise`.

    Drawn with repetition where a region is smaller than `count`; any voxel where both are empty.
    """
    members = torch.where(region.any(0), region, otherwise)
    key = torch.rand(members.shape, device=members.device) + members
    best, voxel = key.topk(min(count, len(members)), dim=0)
    inside = (best >= 1).sum(0).clamp(min=1)
    turn = torch.arange(count, device=members.device)[:, None] % inside
    return voxel.gather(0, turn)
