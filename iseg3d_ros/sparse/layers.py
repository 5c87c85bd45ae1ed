"""The modules of a sparse network: submanifold, strided and transposed convolutions, and batch norm."""

from __future__ import annotations

import math
from typing import overload

import torch
from torch import Tensor, nn

from iseg3d_ros.sparse import choice, spconv_convolution
from iseg3d_ros.sparse.convolution import convolve, finished, pointwise
from iseg3d_ros.sparse.implicit_gemm import Ending
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

    def place(self, x: SparseTensor) -> tuple[KernelMap, int]:
        """The map from the voxels of `x` to the result's, and the result's stride."""
        raise NotImplementedError


class SubMConv3d(_Convolution3d):
    """Convolution whose outputs lie on the voxels of its input."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 3, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, 1, bias)
        self._spconv = spconv_convolution.Layer()

    def place(self, x: SparseTensor) -> tuple[KernelMap, int]:
        """The same voxels."""
        return x.maps.submanifold(x.stride, self.kernel_size), x.stride

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels, `cout` channels."""
        self._check(x)
        if self.kernel_size == 1:
            return x.replace(self._biased(pointwise(x.features, self.weight)))
        if choice.use_spconv(x.features, self.kernel_size):
            where = x.maps, x.stride, self.kernel_size
            out = spconv_convolution.submanifold(x.features, self.weight, *where, self._spconv)
            return x.replace(self._biased(out))
        return x.replace(self._convolve(x, self.place(x)[0]))


class DownConv3d(_Convolution3d):
    """Strided convolution: an output wherever a voxel has a child."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 2, stride: int = 2, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, stride, bias)

    def place(self, x: SparseTensor) -> tuple[KernelMap, int]:
        """The parents."""
        return x.maps.strided(x.stride, self.kernel_size, self.stride), x.stride * self.stride

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The voxels at `x.stride * stride`."""
        pairs, stride = self.place(x)
        return SparseTensor(self._convolve(x, pairs), x.maps, stride)


class UpConv3d(_Convolution3d):
    """Transposed convolution: back to the voxels that the strided one of the same size came from."""

    def __init__(self, cin: int, cout: int, kernel_size: int = 2, stride: int = 2, bias: bool = False) -> None:
        super().__init__(cin, cout, kernel_size, stride, bias)

    def place(self, x: SparseTensor) -> tuple[KernelMap, int]:
        """The children."""
        if x.stride % self.stride:
            raise ValueError(f"A tensor of stride {x.stride} has no level finer by {self.stride}.")
        fine = x.stride // self.stride
        return x.maps.strided(fine, self.kernel_size, self.stride).transposed, fine

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The voxels at `x.stride / stride`."""
        pairs, stride = self.place(x)
        return SparseTensor(self._convolve(x, pairs), x.maps, stride)


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


def normalised(conv: nn.Module, norm: BatchNorm, x: SparseTensor, kept: Tensor | None = None) -> SparseTensor:
    """Convolution, batch norm, what was kept added, ReLU: one launch at inference where our kernel computes it."""
    if isinstance(conv, _Convolution3d) and _in_one(conv, norm, x):
        conv._check(x)
        pairs, stride = conv.place(x)
        assert norm.running_mean is not None and norm.running_var is not None
        end = Ending(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps, kept)
        return SparseTensor(finished(x.features, conv.weight, pairs, end), x.maps, stride)
    x = conv(x)
    out = norm(x.features)
    return x.replace((out if kept is None else out.add_(kept)).relu_())


def _in_one(conv: _Convolution3d, norm: BatchNorm, x: SparseTensor) -> bool:
    plain = conv.kernel_size > 1 and conv.bias is None and x.features.ndim == 2
    return plain and not norm.training and not torch.is_grad_enabled() and choice.use_triton(x.features)
