"""Where a voxel is as seen from a click: waves in voxels and in metres, fading with distance, through a small MLP.

Positions relative to the first click of an object carry over between sensors and scenes of any size, which positions
in the scene's box do not (Easy3D). So do differences of colour, and heights above the plane through the click.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WAVES_VOXELS = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
WAVES_METRES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
FADES_VOXELS = (1.5, 4.0, 12.0, 40.0, 120.0)
BOUNDS_VOXELS = (4.0, 16.0, 64.0)  # where a coordinate's tanh saturates
DISTANCE_CHANNELS = 5
FADES_COLOUR = (0.06, 0.2)  # of colours between 0 and 1
FADES_TONE = (0.08, 0.3)  # of the logarithms of their channels' ratios
FADES_PLANE = (1.0, 4.0, 16.0)  # voxels
LOOK_CHANNELS = 8 + len(FADES_COLOUR) + len(FADES_TONE) + 2 * len(FADES_PLANE)
LIKE_CHANNELS = 3


@dataclass(frozen=True)
class Looks:
    """What voxels look like: colour (V, 3), its tone (V, 3), 1 where there is a colour (V, 1), normal (V, 3)."""

    colour: Tensor
    tone: Tensor
    known: Tensor
    normal: Tensor

    @classmethod
    def of(cls, colour: Tensor, known: Tensor, normal: Tensor) -> Looks:
        """From colours between -0.5 and 0.5; the tone is what stays of one where light falls off."""
        logarithm = (colour + 0.58).clamp_min(0.02).log()
        return cls(colour, (logarithm - logarithm.mean(-1, keepdim=True)) * known, known, normal)

    def only(self, rows: Tensor) -> Looks:
        """Those of some voxels."""
        return Looks(self.colour[rows], self.tone[rows], self.known[rows], self.normal[rows])


class ClickPosition(nn.Module):
    """Offsets from a click (…, 3) in metres, and looks compared with its own, as `width` channels."""

    def __init__(self, width: int, hidden: int = 64, looks: bool = False) -> None:
        super().__init__()
        channels = 6 * (len(WAVES_VOXELS) + len(WAVES_METRES)) + len(FADES_VOXELS) + 3 * len(BOUNDS_VOXELS) + 3
        channels += LOOK_CHANNELS * looks
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, offset: Tensor, size: float, looks: Tensor | None = None) -> Tensor:
        """`size` is the voxel's edge in metres, `looks` (…, LOOK_CHANNELS) are `look_features`."""
        given = offset_features(offset, size)
        encoded: Tensor = self.mlp(given if looks is None else torch.cat([given, looks], -1))
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


def look_features(looks: Looks, offset: Tensor, click: Looks, size: float) -> Tensor:
    """How V voxels differ in looks from B clicks that are `offset` (B, V, 3) away: (B, V, LOOK_CHANNELS)."""
    known = (looks.known * click.known[:, None]).expand(*offset.shape[:2], 1)
    colour = (looks.colour - click.colour[:, None]) * known
    tone = (looks.tone - click.tone[:, None]) * known
    fades = [(-apart.norm(dim=-1, keepdim=True) / reach).exp() * known
             for apart, reaches in ((colour, FADES_COLOUR), (tone, FADES_TONE)) for reach in reaches]  # fmt: skip
    above = (offset @ click.normal[..., None]).abs() / size
    beside = (offset * looks.normal).sum(-1, keepdim=True).abs() / size
    fades += [(-height / reach).exp() for height in (above, beside) for reach in FADES_PLANE]
    facing = (looks.normal @ click.normal.T).abs().T[..., None]
    return torch.cat([colour, tone, known, facing, *fades], -1)


def like_features(looks: Looks, points: Tensor, click: Looks, place: Tensor, size: float) -> Tensor:
    """What attention is biased by beside distances: whether M points have the colour, the tone and the plane of the
    clicks (B, K) at `place`: (B, K, LIKE_CHANNELS, M)."""
    both = click.known * looks.known[:, 0]
    colour = (torch.cdist(click.colour, looks.colour) / -FADES_COLOUR[-1]).exp() * both
    tone = (torch.cdist(click.tone, looks.tone) / -FADES_TONE[-1]).exp() * both
    height = click.normal @ points.T - (click.normal * place).sum(-1, keepdim=True)
    return torch.stack([colour, tone, (height.abs() / (-2 * size)).exp()], 2)
