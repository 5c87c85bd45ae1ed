"""Sparse convolution in plain torch: gather, multiply, add, one kernel offset after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.sparse.maps import KernelMap


def convolve(features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """Features (inputs, ..., cin) under `weight` (K, cin, cout) to (outputs, ..., cout), with gradients."""
    if torch.is_autocast_enabled(features.device.type):
        dtype = torch.get_autocast_dtype(features.device.type)
        features, weight = features.to(dtype), weight.to(dtype)
    return _Convolution.apply(features, weight, pairs)  # type: ignore[no-any-return]


class _Convolution(torch.autograd.Function):
    """Keeps only the features: the backward pass gathers again, instead of storing every offset's copy."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.pairs = pairs
        return gather_multiply_add(features, weight, pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        grad = grad.contiguous()
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            to_features = gather_multiply_add(grad, weight.transpose(1, 2), ctx.pairs.transposed)
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(features, grad, weight, ctx.pairs)
        return to_features, to_weight, None


def gather_multiply_add(features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """out[target] += features[source] @ weight[k], over all pairs."""
    shape = features.shape[1:-1]
    cin, cout = weight.shape[1:]
    out = features.new_zeros((pairs.outputs, *shape, cout))
    start = 0
    for k, count in enumerate(pairs.counts):
        if k == pairs.centre:
            out += features @ weight[k]
        elif count:
            source, target = pairs.sources[start : start + count], pairs.targets[start : start + count]
            product = features.index_select(0, source).view(-1, cin) @ weight[k]
            out.index_add_(0, target, product.view(count, *shape, cout))
        start += count
    return out


def weight_gradient(features: Tensor, grad: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """Gradient (K, cin, cout): features[source]^T @ grad[target], per offset."""
    cin, cout = weight.shape[1:]
    out = torch.zeros_like(weight)
    start = 0
    for k, count in enumerate(pairs.counts):
        if k == pairs.centre:
            out[k] = features.reshape(-1, cin).T @ grad.reshape(-1, cout)
        elif count:
            left = features.index_select(0, pairs.sources[start : start + count]).view(-1, cin)
            right = grad.index_select(0, pairs.targets[start : start + count]).view(-1, cout)
            out[k] = left.T @ right
        start += count
    return out
