"""Spreading what the clicks say along the surface: a small sparse U-Net at stride 4, one feature set an object.

Not in the papers. Each object's relation features and present probability are pooled to stride 4, go through a few
convolutions together with the scene's own features there, and come back as a local classifier of the fine points.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from iseg3d_ros.sparse import DownConv3d, Maps, SparseTensor, SubMConv3d, UpConv3d

STRIDE = 4


class ConvLayerNorm(nn.Module):
    """Convolution, layer normalisation, ReLU: no statistics of the batch, whose object counts differ."""

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The activated features."""
        x = self.conv(x)
        return x.replace(self.norm(x.features).relu())


class Propagation(nn.Module):
    """Down from stride 4 to 16 and up again on (V, objects, channels)."""

    def __init__(self, hidden: int, width: int, level: int, channels: int) -> None:
        super().__init__()
        c = channels
        self.of_relation = nn.Linear(hidden, c)
        self.of_probability = nn.Linear(1, c, bias=False)
        self.of_level = nn.Linear(level, c)
        self.of_point = nn.Linear(width, c)
        self.inner = nn.ModuleList(ConvLayerNorm(SubMConv3d(c, c), c) for _ in range(3))
        self.down = nn.ModuleList(ConvLayerNorm(DownConv3d(c, c), c) for _ in range(2))
        self.up = nn.ModuleList(ConvLayerNorm(UpConv3d(c, c), c) for _ in range(2))
        self.outer = nn.ModuleList(ConvLayerNorm(SubMConv3d(c, c), c) for _ in range(3))
        self.out = nn.Linear(c, c + 1)
        nn.init.normal_(self.out.weight, std=1e-2)
        nn.init.zeros_(self.out.bias)

    def spread(self, related: Tensor, probability: Tensor, level: Tensor, maps: Maps) -> Tensor:
        """Local classifiers (Vc, objects, channels + 1) from what was pooled at stride 4 and the backbone there."""
        pooled = related + self.of_probability(probability[..., None]) + self.of_level(level)[:, None]
        x = SparseTensor(pooled.relu(), maps, STRIDE)
        skips = []
        for inner, down in zip(self.inner, self.down, strict=False):
            x = inner(x)
            skips.append(x)
            x = down(x)
        x = self.inner[2](x)
        for outer, up in zip(self.outer, self.up, strict=False):
            x = outer(x)
            raised, skip = up(x), skips.pop()
            x = raised.replace(raised.features + skip.features)
        return self.out(self.outer[2](x).features)

    def classify(self, local: Tensor, points: Tensor) -> Tensor:
        """Term (V, objects) of the logits: each point's features under its coarse voxel's classifiers."""
        weight, bias = local[..., :-1], local[..., -1]
        return torch.einsum("voc,vc->vo", weight, self.of_point(points).to(weight.dtype)).float() + bias.float()


