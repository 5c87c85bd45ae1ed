"""Where and when a click or a point is: Gaussian Fourier codes of position, sinusoidal codes of click order."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierCode(nn.Module):
    """[sin(2 pi x B), cos(2 pi x B)] of positions in the unit cube; B is drawn once and stored with the weights.

    Written as sin(2 pi x B + phase) a channel, so that any subset of its channels is a code again.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        half = torch.randn(3, (width + 1) // 2) * scale
        quarter = torch.full((half.shape[1],), math.pi / 2)
        self.register_buffer("frequencies", torch.cat([half, half], 1)[:, :width].contiguous())
        self.register_buffer("phases", torch.cat([torch.zeros_like(quarter), quarter])[:width].contiguous())

    def forward(self, unit: Tensor) -> Tensor:
        """Codes (N, width) of positions (N, 3) in the unit cube; always computed in single precision."""
        with torch.autocast(unit.device.type, enabled=False):
            return torch.addmm(self.phases, unit.float(), self.frequencies, alpha=2 * math.pi).sin()


class OrderCode(nn.Module):
    """The usual sinusoidal table, indexed by a click's place in the whole sequence; later clicks share its last row."""

    table: Tensor

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        angle = torch.arange(length)[:, None] * rate
        self.register_buffer("table", torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width].contiguous())

    def forward(self, count: int) -> Tensor:
        """Codes (count, width) of the first `count` clicks."""
        place = torch.arange(count, device=self.table.device).clamp(max=len(self.table) - 1)
        return self.table[place]


def unit_cube(points: Tensor, within: Tensor) -> Tensor:
    """Positions (N, 3) scaled per axis by the extent of the scene `within` (V, 3); a flat axis becomes 0."""
    low, high = within.amin(0), within.amax(0)
    return (points - low) / (high - low).clamp(min=1e-6)
