"""The modules of a sparse network: submanifold, strided and transposed convolutions, and batch norm."""

from __future__ import annotations

import math
from typing import overload

import torch
from torch import Tensor, nn

from iseg3d_ros.sparse import choice, spconv_convolution
from iseg3d_ros.sparse.convolution import convolve
from iseg3d_ros.sparse.kernel_map import KernelMap
from iseg3d_ros.sparse.tensor import SparseTensor


class _Convolution3d(nn.Module):
    """A weight (K^3, cin, cout), offsets in lexicographic order; the widths are read from it at run time."""

    bias: nn.Parameter | None

    def __init__(self, cin: int, cout: int, kernel_size: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(kernel_size**3, cin, cout))
        self.register_parameter("bias", nn.Parameter(torch.empty(cout)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-normal over the fan out, as the networks of the papers start; bias zero."""
        fan = self.weight.shape[0] * self.weight.shape[2]
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / fan))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """Widths, kernel size and stride."""
        _, cin, cout = self.weight.shape
        return f"{cin}, {cout}, kernel_size={self.kernel_size}, stride={self.stride}, bias={self.bias is not None}"

    def _check(self, x: SparseTensor) -> None:
        if x.features.shape[-1] != self.weight.shape[1]:
            raise ValueError(
                f"This layer takes {self.weight.shape[1]} channels; the tensor has {x.features.shape[-1]}."
            )

    def _biased(self, out: Tensor) -> Tensor:
        return out if self.bias is None else out + self.bias.to(out.dtype)

    def _convolve(self, x: SparseTensor, pairs: KernelMap) -> Tensor:
        self._check(x)
        return self._biased(convolve(x.features, self.weight, pairs))


class SubMConv3d(_Convolution3d):
    """Convolution whose outputs lie on the voxels of its input."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 3, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, 1, bias)
        self._spconv = spconv_convolution.Layer()

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels, `cout` channels."""
        if choice.use_spconv(x.features, self.kernel_size):
            self._check(x)
            out = spconv_convolution.submanifold(
                x.features, self.weight, x.maps, x.stride, self.kernel_size, self._spconv
            )
            return x.replace(self._biased(out))
        return x.replace(self._convolve(x, x.maps.submanifold(x.stride, self.kernel_size)))


class DownConv3d(_Convolution3d):
    """Strided convolution: an output wherever a voxel has a child."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 2, stride: int = 2, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, stride, bias)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The voxels at `x.stride * stride`."""
        pairs = x.maps.strided(x.stride, self.kernel_size, self.stride)
        return SparseTensor(self._convolve(x, pairs), x.maps, x.stride * self.stride)


class UpConv3d(_Convolution3d):
    """Transposed convolution: back to the voxels that the strided one of the same size came from."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 2, stride: int = 2, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, stride, bias)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The voxels at `x.stride / stride`."""
        if x.stride % self.stride:
            raise ValueError(f"A tensor of stride {x.stride} has no level finer by {self.stride}.")
        fine = x.stride // self.stride
        pairs = x.maps.strided(fine, self.kernel_size, self.stride).transposed
        return SparseTensor(self._convolve(x, pairs), x.maps, fine)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over the last dimension, all voxels and feature sets together; of a sparse tensor or its features."""

    @overload
    def forward(self, input: SparseTensor) -> SparseTensor: ...

    @overload
    def forward(self, input: Tensor) -> Tensor: ...

    def forward(self, input: SparseTensor | Tensor) -> SparseTensor | Tensor:
        """The same voxels, normalised."""
        if isinstance(input, SparseTensor):
            return input.replace(self.forward(input.features))
        return super().forward(input.reshape(-1, input.shape[-1])).view_as(input)
