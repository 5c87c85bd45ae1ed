"""Submanifold convolution by spconv, with this package's weights and maps."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from iseg3d_ros.sparse.convolution import gradients
from iseg3d_ros.sparse.maps import Maps


@lru_cache(maxsize=2)
def available(device: str) -> bool:
    """Whether an spconv is installed that imports and was built for this type of device."""
    if importlib.util.find_spec("spconv") is None:
        return False
    try:
        import spconv.pytorch
        from spconv.cppconstants import CPU_ONLY_BUILD
    except (ImportError, OSError, RuntimeError):
        return False
    return spconv.pytorch is not None and not (CPU_ONLY_BUILD and device == "cuda")


def runs(features: Tensor, kernel_size: int, device: torch.device) -> bool:
    """Whether spconv has this convolution: odd kernels of more than one cell, no bf16, on CPU or CUDA."""
    odd = kernel_size % 2 == 1 and kernel_size > 1
    return odd and features.dtype != torch.bfloat16 and device.type in ("cpu", "cuda") and len(features) > 0


def submanifold(features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int) -> Tensor:
    """Features (V, C) or (V, G, C) under `weight` (K, cin, cout), like the plain implementation."""
    sets = features.unbind(1) if features.ndim == 3 else (features,)
    # On a CPU spconv's backward pass asks for a CUDA stream; there the plain one takes its place.
    call = forward if features.is_cuda else _OnCpu.apply
    out = [call(rows.contiguous(), weight, maps, stride, kernel_size) for rows in sets]
    return torch.stack(out, 1) if features.ndim == 3 else out[0]


class _OnCpu(torch.autograd.Function):
    """spconv 2.3 sums from several CPU threads without a lock (1 % off, differently every time): one thread, then."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.where = maps, stride, kernel_size
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return forward(features, weight, maps, stride, kernel_size)
        finally:
            torch.set_num_threads(threads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        maps, stride, kernel_size = ctx.where
        pairs, wanted = maps.submanifold(stride, kernel_size), (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        return *gradients(features, weight, grad, pairs, 1, wanted), None, None, None


def forward(features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int) -> Tensor:
    """spconv's own forward pass for features (V, C), as it comes."""
    cin, cout = weight.shape[1:]
    layer = _layer(kernel_size, cin, cout, f"{stride}/{kernel_size}")
    # spconv keeps (cout, x, y, z, cin); its gradient flows back through the permutation.
    layer.weight = weight.permute(2, 0, 1).reshape(cout, kernel_size, kernel_size, kernel_size, cin).contiguous()
    return layer(_frame(features, maps, stride).replace_feature(features)).features  # type: ignore[no-any-return]


def _layer(kernel_size: int, cin: int, cout: int, key: str) -> Any:
    import spconv.pytorch as spconv

    layer = spconv.SubMConv3d(cin, cout, kernel_size, bias=False, indice_key=key)
    # The weight of the moment takes the parameter's place.
    del layer._parameters["weight"]
    return layer


def _frame(features: Tensor, maps: Maps, stride: int) -> Any:
    """spconv's tensor of the coordinates, with its index pairs, kept in the maps."""
    import spconv.pytorch as spconv

    key = ("spconv", stride)
    if key not in maps.extras:
        coords = maps.coords(stride).clone()
        coords[:, 1:] -= coords[:, 1:].amin(0)
        high = coords.amax(0).tolist()
        maps.extras[key] = spconv.SparseConvTensor(features, coords, [e + 1 for e in high[1:]], high[0] + 1)
    return maps.extras[key]
