"""A U-Net whose input holds the clicks, run for all objects at once on the kernel maps of their scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.layers.backbone import Backbone, ConvNorm, residuals
from iseg3d_ros.models.settings import ModelSettings
from iseg3d_ros.sparse import DownConv3d, Maps, SparseTensor, SubMConv3d, sparse_batch

VOXELS_AT_ONCE = 1 << 20  # voxels times objects in one pass without gradient


@dataclass(frozen=True)
class EncodedInput:
    """What is kept of a batch of clouds: maps, and the first layers' answers to all channels but the clicks'."""

    clouds: tuple[VoxelCloud, ...]
    maps: Maps
    scene: Tensor
    branch: Tensor | None = None

    @property
    def counts(self) -> list[int]:
        """Voxels of each cloud."""
        return [len(cloud) for cloud in self.clouds]


def stacked(clouds: Sequence[VoxelCloud]) -> SparseTensor:
    """The clouds' features on shared maps; coordinates start from 0 in each cloud, so where it lies changes nothing."""
    coords = sparse_batch([cloud.coords - cloud.coords.amin(0) for cloud in clouds])
    return SparseTensor(torch.cat([cloud.features for cloud in clouds]), Maps(coords))


class ClickUNet(Backbone):
    """Res16UNet34C over (scene, click) channels: the stem's answer to the scene's channels is computed once.

    A convolution is linear, so the stem is the sum of two: over the scene's channels (kept) and over the clicks'.
    """

    def __init__(self, settings: ModelSettings, click_channels: int) -> None:
        super().__init__(settings, click_channels)
        self.scene = SubMConv3d(settings.in_channels, settings.stem, settings.stem_kernel)

    def adopt(self, weights: Mapping[str, Tensor], where: str) -> None:
        """A plain U-Net's stem reads the scene here; what reads the clicks stays new."""
        renamed = {name.replace("stem.conv.", "scene."): value for name, value in weights.items()}
        super().adopt(renamed if "scene.weight" not in weights else weights, where)

    def forward(  # type: ignore[override]
        self, clicks: SparseTensor, scene: Tensor, branch: Sequence[SparseTensor] | None = None
    ) -> SparseTensor:
        """Features (V, G, C) at full resolution; the branch's level is added to each of the encoder's."""
        skips = [x := _fused(embed(self.stem, clicks, scene), branch, 0)]
        for i, (down, blocks) in enumerate(zip(self.down, self.encoder, strict=True)):
            skips.append(x := _fused(blocks(down(x)), branch, i + 1))
        skips.pop()
        for up, blocks in zip(self.up, self.decoder, strict=True):
            x, skip = up(x), skips.pop()
            x = blocks(x.replace(torch.cat([x.features, skip.features], -1)))
        return x


class ClickEncoder(nn.Module):
    """ClickEnhance's branch: an encoder of the current click alone, without colour, as wide as the main one."""

    def __init__(self, settings: ModelSettings, click_channels: int, scene_channels: int) -> None:
        super().__init__()
        stem, momentum = settings.stem, settings.momentum
        widths = (stem, *settings.planes[:4])
        below = (stem, *settings.planes[:3])
        self.stem = ConvNorm(SubMConv3d(click_channels, stem, settings.stem_kernel), stem, momentum)
        self.scene = SubMConv3d(scene_channels, stem, settings.stem_kernel) if scene_channels else None
        self.down = nn.ModuleList(ConvNorm(DownConv3d(c, c), c, momentum) for c in below)
        self.encoder = nn.ModuleList(residuals(below[i], widths[i + 1], 1, momentum) for i in range(4))

    def forward(self, clicks: SparseTensor, scene: Tensor | None) -> list[SparseTensor]:
        """Features of every level, strides 1 to 16."""
        levels = [x := embed(self.stem, clicks, scene)]
        for down, blocks in zip(self.down, self.encoder, strict=True):
            levels.append(x := blocks(down(x)))
        return levels


def embed(stem: ConvNorm, clicks: SparseTensor, scene: Tensor | None) -> SparseTensor:
    """The stem over all channels: its convolution of the clicks plus the kept one of the scene."""
    x = stem.conv(clicks)
    features = x.features if scene is None else x.features + scene[:, None]
    return x.replace(stem.norm(features).relu())


def _fused(x: SparseTensor, branch: Sequence[SparseTensor] | None, level: int) -> SparseTensor:
    return x if branch is None else x + branch[level]


def spread(per_cloud: Sequence[Tensor]) -> Tensor:
    """Channels (V, M, C) of several clouds as one (sum V, G, C), G the largest M.

    A cloud with fewer objects repeats its own: nothing is invented, so the batch norms see objects alone.
    """
    most = max(channels.shape[1] for channels in per_cloud)
    index = torch.arange(most, device=per_cloud[0].device)
    return torch.cat([channels[:, index % channels.shape[1]] for channels in per_cloud])


def portions(voxels: int, objects: int, whole: bool) -> list[slice]:
    """All objects in one pass; without gradient as many at once as memory bears."""
    step = objects if whole else max(1, VOXELS_AT_ONCE // max(1, voxels))
    return [slice(start, start + step) for start in range(0, objects, step)]


def compete(logits: Tensor, clicks: Prompts) -> Tensor:
    """Scores (V, M + 1) from each object's own binary logit (V, M): background 0, softmax makes them compete.

    With one object the softmax is the sigmoid. An object that has no click of its own takes nothing.
    """
    clicked = torch.zeros(clicks.objects + 1, dtype=torch.bool, device=logits.device).index_fill(0, clicks.label, True)
    return torch.cat([logits.new_zeros(len(logits), 1), torch.where(clicked[1:], logits, -1e4)], 1)
