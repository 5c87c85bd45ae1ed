"""Res16UNet34C on sparse tensors: the scene encoder that all the published voxel networks share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import batch_norm as batch_norm_of

from iseg3d_ros.models.settings import ModelSettings
from iseg3d_ros.sparse import BatchNorm, DownConv3d, SparseTensor, SubMConv3d, UpConv3d, cat, normalised


class Backbone(nn.Module):
    """A residual U-Net: a stem and four levels down (strides 1 to 16), four levels up again with skips.

    `forward` gives the features of every decoder level, coarse to fine: strides 8, 4, 2 and 1.
    """

    def __init__(self, settings: ModelSettings, in_channels: int | None = None) -> None:
        super().__init__()
        planes, blocks, momentum = settings.planes, settings.blocks, settings.momentum
        stem = settings.stem
        skips = (planes[2], planes[1], planes[0], stem)  # what each decoder level takes from the encoder, coarse first
        self.stem = ConvNorm(
            SubMConv3d(in_channels or settings.in_channels, stem, settings.stem_kernel), stem, momentum
        )
        below = (stem, *planes[:3])
        self.down = nn.ModuleList(ConvNorm(DownConv3d(c, c), c, momentum) for c in below)
        self.encoder = nn.ModuleList(
            residuals(c, planes[i], blocks[i], momentum) for i, c in enumerate(below)
        )
        above = planes[3:8]
        self.up = nn.ModuleList(
            ConvNorm(UpConv3d(above[i], above[i + 1]), above[i + 1], momentum) for i in range(4)
        )
        self.decoder = nn.ModuleList(
            residuals(above[i + 1] + skips[i], above[i + 1], blocks[4 + i], momentum) for i in range(4)
        )

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Decoder features, coarse to fine."""
        x = self.stem(x)
        skips = []
        for down, blocks in zip(self.down, self.encoder, strict=True):
            skips.append(x)
            x = blocks(down(x))
        levels = []
        for up, blocks in zip(self.up, self.decoder, strict=True):
            x = blocks(cat([up(x), skips.pop()]))
            levels.append(x)
        return levels

    def adopt(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Begin as another U-Net, whose weights these are: as wide as this one, or narrower because it was pruned.

        What a narrower one lacks stays as it is here, and nothing listens to it yet: the features are the other's.
        """
        own = self.state_dict()
        for name in own.keys() & weights.keys():
            given, mine = weights[name], own[name]
            fits = mine.dim() == given.dim() and all(a >= b for a, b in zip(mine.shape, given.shape, strict=True))
            if not fits or mine.dim() == 3 and mine.shape[0] != given.shape[0]:
                raise ValueError(
                    f"The U-Net of {where} does not fit in ({name} is {tuple(given.shape)}, here {tuple(mine.shape)}): "
                    "give options its planes, blocks, stem, stem_kernel and features."
                )
            if mine.dim() == 3:
                mine[..., : given.shape[2]] = 0
                mine[:, self._inputs(name, weights, given.shape[1]), : given.shape[2]] = given
            else:
                mine[tuple(map(slice, given.shape))] = given
        self.load_state_dict(own)

    def _inputs(self, name: str, weights: Mapping[str, Tensor], count: int) -> list[int]:
        """Which inputs of a convolution are those of a narrower U-Net: after a skip two levels lie side by side."""
        part = name.split(".")
        if part[0] != "decoder" or part[2] != "0" or part[3] not in ("conv1", "shortcut"):
            return list(range(count))
        below, mine = (each[f"up.{part[1]}.norm.weight"].shape[0] for each in (weights, self.state_dict()))
        return [*range(below), *range(mine, mine + count - below)]


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, conv: nn.Module, channels: int, momentum: float) -> None:
        super().__init__()
        self.conv = conv
        self.norm = batch_norm(channels, momentum)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The activated features."""
        return normalised(self.conv, self.norm, x)


class Residual(nn.Module):
    """The basic block of ResNet-34 with submanifold convolutions."""

    def __init__(self, in_channels: int, channels: int, momentum: float) -> None:
        super().__init__()
        self.conv1 = SubMConv3d(in_channels, channels, 3)
        self.norm1 = batch_norm(channels, momentum)
        self.conv2 = SubMConv3d(channels, channels, 3)
        self.norm2 = batch_norm(channels, momentum)
        self.shortcut: nn.Module | None = None
        if in_channels != channels:
            self.shortcut = SubMConv3d(in_channels, channels, 1)
            self.shortcut_norm = batch_norm(channels, momentum)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Two convolutions added to what came in."""
        kept = x.features if self.shortcut is None else self.shortcut_norm(self.shortcut(x).features)
        return normalised(self.conv2, self.norm2, normalised(self.conv1, self.norm1, x), kept)


def residuals(in_channels: int, channels: int, count: int, momentum: float) -> nn.Sequential:
    """A level's blocks; the first one changes the width."""
    return nn.Sequential(*(Residual(in_channels if i == 0 else channels, channels, momentum) for i in range(count)))


class LevelNorm(BatchNorm):
    """Batch normalisation that takes its running statistics where a level has a single voxel and so no variance."""

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """The normalised features."""
        if self.training and input.numel() == input.shape[-1]:
            row = input.reshape(1, -1)
            alone = batch_norm_of(row, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
            return alone.view_as(input)
        normalised: Tensor = super().forward(input)
        return normalised


def batch_norm(channels: int, momentum: float) -> LevelNorm:
    """Batch normalisation with the settings' momentum."""
    norm = LevelNorm(channels)
    norm.momentum = momentum
    return norm
