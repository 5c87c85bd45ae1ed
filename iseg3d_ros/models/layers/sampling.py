"""Farthest point sampling."""

from __future__ import annotations

import torch
from torch import Tensor


def farthest(points: Tensor, begin: Tensor, count: int) -> Tensor:
    """Indices of `count` points (N, 3), each the farthest from the points `begin` and from those before it."""
    away, chosen = torch.cdist(points, begin).amin(1), []
    for _ in range(min(count, len(points))):
        chosen.append(away.argmax())
        away = torch.minimum(away, (points - points[chosen[-1]]).norm(dim=1))
    return torch.stack(chosen) if chosen else away.new_zeros(0, dtype=torch.long)
