"""Sparse convolution in plain torch: gather, multiply, sum, in blocks of output rows that stay in the cache.

On a CPU the traffic of gathered rows costs as much as the products do. Per block of output rows one `index_select`
gathers the neighbours of all offsets, one `mm` per offset multiplies them, and one `embedding_bag` sums the products of
every output row: three passes over buffers that never leave the cache, and no atomics, so results are reproducible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from iseg3d_ros.sparse.kernel_map import KernelMap

# Output rows a block: fewer where rows are wide (many feature sets), as many as memory allows on an accelerator.
CPU_ROWS, CPU_ROWS_WIDE, DEVICE_ROWS = 2048, 512, 1 << 17
WIDE = 256
# With few input channels one product over all offsets at once is faster, although it multiplies zeros too.
FEW_CHANNELS = 16


def convolve(features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """Features (inputs, ..., cin) under `weight` (K, cin, cout) to (outputs, ..., cout), with gradients."""
    device = features.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else features.dtype
    features, weight = features.to(dtype), weight.to(dtype)
    if len(weight) == 1 and pairs.centre == 0:
        return features @ weight[0]
    sets = features.shape[1] if features.ndim == 3 else 1
    out = _Convolution.apply(features.reshape(len(features), -1), weight, pairs, sets)
    return out.view(pairs.outputs, sets, -1) if features.ndim == 3 else out  # type: ignore[no-any-return]


class _Convolution(torch.autograd.Function):
    """Keeps only the features: the backward pass gathers again, instead of storing every offset's copy."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.pairs, ctx.sets = pairs, sets
        if weight.shape[1] <= FEW_CHANNELS and len(weight) > weight.shape[1]:
            return multiply_columns(features, weight, pairs, sets)
        return gather_multiply_sum(features, weight, pairs, sets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, weight = ctx.saved_tensors
        pairs, sets, grad = ctx.pairs, ctx.sets, grad.contiguous()
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            # A symmetric map is its own transpose with the offsets reversed, so that nothing more has to be built.
            back, kernel = (pairs, weight.flip(0)) if pairs.symmetric else (pairs.transposed, weight)
            to_features = gather_multiply_sum(grad, kernel.transpose(1, 2), back, sets)
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(features, grad, weight, pairs, sets)
        return to_features, to_weight, None, None


def gather_multiply_sum(features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
    """out[target] += features[source] @ weight[k] over all pairs; rows of `sets` * channels."""
    cin, cout = weight.shape[1:]
    out = features.new_empty(pairs.outputs, sets * cout)
    layout = pairs.layout(_block_rows(features, sets * max(cin, cout)))
    most = max((len(s) for s in layout.sources), default=0)
    gathered, products = features.new_empty(most, sets * cin), features.new_empty(most, sets * cout)
    kernels = weight.unbind(0)
    for block, source in enumerate(layout.sources):
        rows = slice(block * layout.rows, block * layout.rows + len(layout.begin[block]))
        left, right = gathered[: len(source)], products[: len(source)]
        torch.index_select(features, 0, source, out=left)
        _multiply(left.view(-1, cin), kernels, layout.counts[block], right.view(-1, cout), sets)
        total = F.embedding_bag(layout.order[block], right, layout.begin[block], mode="sum")
        if pairs.centre is None:
            out[rows] = total
        else:
            own, into = features[rows].view(-1, cin), out[rows].view(-1, cout)
            torch.addmm(total.view(-1, cout), own, kernels[pairs.centre], out=into)
    return out


def multiply_columns(features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
    """The same sum as one product a block, of all offsets' neighbours side by side (zeros where there is none)."""
    flat = weight.reshape(-1, weight.shape[2])
    out = features.new_empty(pairs.outputs, sets * weight.shape[2])
    for rows, columns in _columns(features, pairs, len(weight), sets):
        torch.mm(columns, flat, out=out[rows].view(-1, weight.shape[2]))
    return out


def weight_gradient(features: Tensor, grad: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
    """Gradient (K, cin, cout): features[source]^T @ grad[target], per offset."""
    cin, cout = weight.shape[1:]
    # Summed over blocks in single precision at least.
    out = weight.new_zeros(weight.shape, dtype=torch.promote_types(weight.dtype, torch.float32))
    if cin <= FEW_CHANNELS and len(weight) > cin:
        for rows, columns in _columns(features, pairs, len(weight), sets):
            out += (columns.T @ grad[rows].reshape(-1, cout)).view_as(out)
        return out.to(weight.dtype)
    layout = pairs.layout(_block_rows(features, sets * max(cin, cout)))
    for source, target, counts in zip(layout.sources, layout.targets, layout.counts, strict=True):
        left, right = features.index_select(0, source).view(-1, cin), grad.index_select(0, target).view(-1, cout)
        _accumulate(left, right, counts, out, sets)
    if pairs.centre is not None:
        out[pairs.centre] = features.view(-1, cin).T @ grad.view(-1, cout)
    return out.to(weight.dtype)


def _multiply(left: Tensor, kernels: tuple[Tensor, ...], counts: tuple[int, ...], out: Tensor, sets: int) -> None:
    sizes = [count * sets for count in counts]
    for rows, kernel, into in zip(left.split(sizes), kernels, out.split(sizes), strict=True):
        if len(rows):
            torch.mm(rows, kernel, out=into)


def _accumulate(left: Tensor, right: Tensor, counts: tuple[int, ...], out: Tensor, sets: int) -> None:
    sizes = [count * sets for count in counts]
    for a, b, into in zip(left.split(sizes), right.split(sizes), out, strict=True):
        if len(a):
            into += a.T @ b


def _columns(features: Tensor, pairs: KernelMap, offsets: int, sets: int) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of output rows and their neighbours side by side, (rows * sets, K * cin)."""
    padded = F.pad(features, (0, 0, 0, 1))
    step = _block_rows(features, offsets * features.shape[1])
    for start in range(0, pairs.outputs, step):
        rows = slice(start, min(start + step, pairs.outputs))
        index = pairs.columns()[rows.start * offsets : rows.stop * offsets]
        columns = padded.index_select(0, index).view(rows.stop - rows.start, offsets, sets, -1)
        yield rows, columns.transpose(1, 2).reshape((rows.stop - rows.start) * sets, -1)


def _block_rows(features: Tensor, width: int) -> int:
    if features.device.type != "cpu":
        return DEVICE_ROWS
    return CPU_ROWS if width <= WIDE else CPU_ROWS_WIDE
