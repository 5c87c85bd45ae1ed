"""Where a voxel is as seen from a click: waves in voxels and in metres, fading with distance, through a small MLP.

Positions relative to the first click of an object carry over between sensors and scenes of any size, which positions
in the scene's box do not (Easy3D).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WAVES_VOXELS = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
WAVES_METRES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
FADES_VOXELS = (1.5, 4.0, 12.0, 40.0, 120.0)
BOUNDS_VOXELS = (4.0, 16.0, 64.0)  # where a coordinate's tanh saturates
DISTANCE_CHANNELS = 5


class ClickPosition(nn.Module):
    """Offsets from a click (…, 3) in metres, with `beside` channels of other differences, as `width` channels."""

    def __init__(self, width: int, hidden: int = 64, beside: int = 0) -> None:
        super().__init__()
        channels = 6 * (len(WAVES_VOXELS) + len(WAVES_METRES)) + len(FADES_VOXELS) + 3 * len(BOUNDS_VOXELS) + 3
        self.mlp = nn.Sequential(nn.Linear(channels + beside, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, offset: Tensor, size: float, beside: Tensor | None = None) -> Tensor:
        """`size` is the voxel's edge in metres."""
        given = offset_features(offset, size)
        encoded: Tensor = self.mlp(given if beside is None else torch.cat([given, beside], -1))
        return encoded


def offset_features(offset: Tensor, size: float) -> Tensor:
    """The hand-made channels of an offset: sines and cosines, fades, bounded coordinates, scale."""
    voxels = offset / size
    waves = torch.cat([_phases(voxels, WAVES_VOXELS), _phases(offset, WAVES_METRES)], -1)
    radius = voxels.norm(dim=-1, keepdim=True)
    fades = [(-radius / reach).clamp(min=-80).exp() for reach in FADES_VOXELS]
    bounded = [(voxels / bound).tanh() for bound in BOUNDS_VOXELS]
    scale = torch.full_like(radius, (math.log(size) + 3) / 2)
    return torch.cat([waves.sin(), waves.cos(), *fades, *bounded, radius.log1p() / 5, radius * (size / 4), scale], -1)


def _phases(offset: Tensor, waves: tuple[float, ...]) -> Tensor:
    lengths = torch.tensor(waves, device=offset.device)
    return (offset[..., None, :] * (2 * math.pi / lengths)[:, None]).flatten(-2)


def distance_features(points: Tensor, clicks: Tensor, size: float) -> Tensor:
    """What attention is biased by: distances from points (M, 3) to clicks (B, K, 3) as (B, K, DISTANCE_CHANNELS, M)."""
    x, y, z = ((points[:, axis] - clicks[..., axis, None]).square_() for axis in range(3))
    metres = x.add_(y).add_(z).sqrt_()
    voxels = metres / size
    near = [(voxels * (-1 / reach)).exp_() for reach in (3.0, 10.0, 40.0)]
    return torch.stack([voxels.log1p_().div_(4), *near, metres.clamp_(max=20).div_(4)], 2)
