"""Point Transformer V3 (Wu et al., CVPR 2024): attention inside patches of voxels that are neighbours on a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from iseg3d_ros.models.layers.backbone import batch_norm
from iseg3d_ros.models.layers.encoded_scene import rows_of_clouds
from iseg3d_ros.models.layers.serialisation import CURVES, Patches, codes, patches
from iseg3d_ros.models.settings import QuerySettings
from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d, pool, unpool

STRIDES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class PointTransformerSettings(QuerySettings):
    """`stem`, `planes` and `blocks` are its channels and depths."""

    stem_blocks: int = 2
    head_width: int = 16
    patch: int = 1024
    drop_path: float = 0.3


class PointTransformer(nn.Module):
    """A U-Net of transformer blocks: five encoder levels (strides 1 to 16), four decoder levels with skips.

    `forward` gives the features of every decoder level, coarse to fine: strides 8, 4, 2 and 1.
    """

    def __init__(self, settings: PointTransformerSettings) -> None:
        super().__init__()
        down = (settings.stem, *settings.planes[:4])
        up = (settings.planes[3], *settings.planes[4:])
        depth = (settings.stem_blocks, *settings.blocks)
        rates = [*ramp(settings.drop_path, depth[:5]), *ramp(settings.drop_path, depth[:4:-1])[::-1]]
        self.patch = settings.patch
        self.stem = Stem(settings.in_channels, settings.stem, settings.stem_kernel, settings.momentum)
        self.pool = nn.ModuleList(Pool(down[i], down[i + 1], settings.momentum) for i in range(4))
        self.encoder = nn.ModuleList(level(down[i], rates[i], settings.head_width) for i in range(5))
        self.unpool = nn.ModuleList(
            Unpool(up[i], down[3 - i], up[i + 1], settings.momentum) for i in range(4)
        )
        self.decoder = nn.ModuleList(level(up[i + 1], rates[5 + i], settings.head_width) for i in range(4))

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Decoder features, coarse to fine."""
        sequences = serialise(x.maps, self.patch)
        x = self.stem(x)
        skips = [x := self._run(self.encoder[0], x, sequences)]
        for pooling, blocks in zip(self.pool, self.encoder[1:], strict=True):
            skips.append(x := self._run(blocks, pooling(x), sequences))
        levels, _ = [], skips.pop()
        for unpooling, blocks in zip(self.unpool, self.decoder, strict=True):
            levels.append(x := self._run(blocks, unpooling(x, skips.pop()), sequences))
        return levels

    def _run(self, blocks: nn.Module, x: SparseTensor, sequences: dict[int, list[Patches]]) -> SparseTensor:
        """Blocks take turns with the curves; in training each level draws in which order (the paper's shuffle)."""
        turns = torch.randperm(len(CURVES)).tolist() if self.training else range(len(CURVES))
        curves = [sequences[x.stride][turn] for turn in turns]
        for i, block in enumerate(blocks.children()):
            x = block(x, curves[i % len(curves)])
        return x


def serialise(maps: Maps, size: int) -> dict[int, list[Patches]]:
    """The patches of every level along each curve; one serialisation serves all levels."""
    found, along, clouds = {}, codes(maps.coords(1)), maps.box(1).high[0] + 1
    for stride in STRIDES:
        counts = rows_of_clouds(maps.coords(stride), clouds)
        found[stride] = [patches(order, counts, size) for order in along.argsort(1)]
        if stride < STRIDES[-1]:
            coarse = along.new_empty(len(along), len(maps.coords(2 * stride)))
            coarse[:, maps.parent(stride)] = along >> 3
            along = coarse
    return found


def ramp(highest: float, depths: Sequence[int]) -> list[list[float]]:
    """Rates of stochastic depth rising from 0 block by block, for each level."""
    steps = max(1, sum(depths) - 1)
    return [[highest * (sum(depths[:i]) + k) / steps for k in range(depth)] for i, depth in enumerate(depths)]


def level(channels: int, drop: list[float], head_width: int) -> nn.ModuleList:
    """The blocks of one level."""
    return nn.ModuleList(Block(channels, max(1, channels // head_width), rate) for rate in drop)


class Block(nn.Module):
    """xCPE, patch attention, MLP; each normalised first and added to what came in."""

    def __init__(self, channels: int, heads: int, drop: float) -> None:
        super().__init__()
        self.place = SubMConv3d(channels, channels, 3, bias=True)
        self.place_linear = nn.Linear(channels, channels)
        self.place_norm = nn.LayerNorm(channels)
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = PatchAttention(channels, heads)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)
        self.drop = drop

    def forward(self, x: SparseTensor, sequence: Patches) -> SparseTensor:
        """The same voxels, having looked round."""
        features = x.features + self.place_norm(self.place_linear(self.place(x).features))
        features = features + self._dropped(self.attention(self.attention_norm(features), sequence))
        return x.replace(features + self._dropped(self.mlp(self.mlp_norm(features))))

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth, a draw for each voxel, as the published code does it."""
        if not self.training or self.drop == 0:
            return branch
        kept = torch.rand(len(branch), 1, device=branch.device) >= self.drop
        return branch * kept / (1 - self.drop)


class PatchAttention(nn.Module):
    """Multi-head self-attention inside each patch; position comes from the sparse convolution before it."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, features: Tensor, sequence: Patches) -> Tensor:
        """(V, C) to (V, C)."""
        q, k, v = self.qkv(features)[sequence.slots].unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if sequence.empty is None else ~sequence.empty[:, None, None]
        seen = scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        return self.out(seen.flatten(0, 1)[sequence.place])


class Mlp(nn.Module):
    """Linear, GELU, Linear, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, 4 * channels)
        self.out = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """The branch, without the residual."""
        return self.out(gelu(self.hidden(x)))


class Stem(nn.Module):
    """Sparse convolution, norm, GELU."""

    def __init__(self, in_channels: int, channels: int, kernel: int, momentum: float) -> None:
        super().__init__()
        self.conv = SubMConv3d(in_channels, channels, kernel)
        self.norm = batch_norm(channels, momentum)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Embedded voxels."""
        x = self.conv(x)
        return x.replace(gelu(self.norm(x.features)))


class Pool(nn.Module):
    """Grid pooling: project, take the maximum over a voxel's children, normalise."""

    def __init__(self, in_channels: int, channels: int, momentum: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, channels)
        self.norm = batch_norm(channels, momentum)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The voxels at twice the stride."""
        x = pool(x.replace(self.linear(x.features)), "max")
        return x.replace(gelu(self.norm(x.features)))


class Unpool(nn.Module):
    """Grid unpooling: each voxel adds its parent's projection to its own from the encoder."""

    def __init__(self, in_channels: int, skip_channels: int, channels: int, momentum: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, channels)
        self.norm = batch_norm(channels, momentum)
        self.skip_linear = nn.Linear(skip_channels, channels)
        self.skip_norm = batch_norm(channels, momentum)

    def forward(self, x: SparseTensor, skip: SparseTensor) -> SparseTensor:
        """The voxels at half the stride."""
        x = unpool(x.replace(gelu(self.norm(self.linear(x.features)))))
        return x.replace(x.features + gelu(self.skip_norm(self.skip_linear(skip.features))))
