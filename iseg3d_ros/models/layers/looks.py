"""What voxels look like, compared with what was clicked: colour, its tone, and the plane through the click.

A U-Net that learns from made scenes hardly looks at colours. Said beside the click's position, how a voxel differs from
what was clicked is worth ten points in made rooms; in real ones, whose colours are others, one or two (docs/log.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
