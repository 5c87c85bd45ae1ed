"""Sparse convolution in plain torch, and its gradients.

On an accelerator: one gather of all offsets' neighbours side by side and one product, over the zeros of those that are
missing too, which costs a GPU less than finding the pairs would; or one kernel of `implicit_gemm`.

On a CPU the traffic of gathered rows costs as much as the products do. Per block of output rows the neighbours of a few
offsets are gathered by one `index_select`, multiplied by one `mm` an offset while the nearest caches still hold them,
and one `embedding_bag` sums the products of every output row: no atomics, so results are reproducible. Where outputs
are narrow, products come first and are gathered; where inputs are narrow, neighbours stand side by side in one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from iseg3d_ros.sparse import choice, implicit_gemm
from iseg3d_ros.sparse.kernel_map import Block, KernelMap, block_rows, gathered_rows
from iseg3d_ros.sparse.scratch import scratch

# With few input channels one product over all offsets at once is faster, although it multiplies zeros too.
FEW_CHANNELS = 16
# With few output channels it is faster to multiply all inputs by all offsets, and then to gather what is narrow.
NARROW = 8
# Numbers gathered at once on an accelerator: a quarter of a gigabyte in single precision.
GATHERED = 1 << 26


def convolve(features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """Features (inputs, ..., cin) under `weight` (K, cin, cout) to (outputs, ..., cout), with gradients."""
    features = cast(features)
    weight = weight.to(features.dtype)
    sets = features.shape[1] if features.ndim == 3 else 1
    flat = features.flatten(1)
    out = _Convolution.apply(flat, weight, pairs, sets)  # type: ignore[no-untyped-call]
    return out.view(pairs.outputs, sets, weight.shape[2]) if features.ndim == 3 else out  # type: ignore[no-any-return]


def pointwise(features: Tensor, weight: Tensor) -> Tensor:
    """The convolution of one offset, (1, cin, cout): a product, for which nothing about neighbours is needed."""
    features = cast(features)
    return features @ weight[0].to(features.dtype)


def finished(features: Tensor, weight: Tensor, pairs: KernelMap, end: implicit_gemm.Ending) -> Tensor:
    """Without gradients and in one launch: features (inputs, cin) under `weight`, normalised, residual added, ReLU."""
    return implicit_gemm.product(cast(features), weight, pairs.plan, pairs.outputs, 1, end)


def cast(features: Tensor) -> Tensor:
    """In autocast's type, where it is on."""
    device = features.device.type
    return features.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else features


class _Convolution(torch.autograd.Function):
    """Keeps only the features: the backward pass gathers again, instead of storing every offset's copy."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.pairs, ctx.sets = pairs, sets
        return product(features, weight, pairs, sets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, weight = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        return *gradients(features, weight, grad, ctx.pairs, ctx.sets, wanted), None, None


def gradients(
    features: Tensor, weight: Tensor, grad: Tensor, pairs: KernelMap, sets: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Of the features and of the weight, as far as wanted."""
    grad, to_features, to_weight = grad.contiguous(), None, None
    if wanted[0]:
        # A symmetric map is its own transpose with the offsets reversed, so that nothing more has to be built.
        back, kernel = (pairs, weight.flip(0)) if pairs.symmetric else (pairs.transposed, weight)
        kernel = kernel.transpose(1, 2)
        if grad.device.type != "cpu" or choice.use_triton(grad) or _narrow(grad, weight.shape[1], back, sets):
            to_features = product(grad, kernel, back, sets)
        else:
            to_features = gather_multiply_sum(grad, kernel, back, sets)
    if wanted[1]:
        to_weight = weight_gradient(features, grad, weight, pairs, sets)
    return to_features, to_weight


def product(features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
    """out[target] += features[source] @ weight[k] over all pairs, in the way that suits the device and the widths."""
    offsets, cin, cout = weight.shape
    if choice.use_triton(features):
        return implicit_gemm.product(features, weight, pairs.plan, pairs.outputs, sets)
    if features.device.type != "cpu":
        return multiply_columns(features, weight, pairs, sets)
    if _narrow(features, cout, pairs, sets):
        return multiply_then_gather(features, weight, pairs)
    if cin <= FEW_CHANNELS and offsets > cin:
        return multiply_columns(features, weight, pairs, sets)
    return gather_multiply_sum(features, weight, pairs, sets)


def _narrow(features: Tensor, cout: int, pairs: KernelMap, sets: int) -> bool:
    return cout <= NARROW and sets == 1 and pairs.local


def multiply_then_gather(features: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    """The sum with all inputs of a window multiplied by all offsets, and only the products that meet gathered."""
    offsets, cin, cout = weight.shape
    side_by_side = weight.transpose(0, 1).reshape(cin, offsets * cout)
    out = features.new_empty(pairs.outputs, cout)
    most = max((window.inputs.stop - window.inputs.start for window in pairs.windows), default=0)
    kept = scratch("every", most, offsets * cout, features)
    for window in pairs.windows:
        own = features[window.inputs]
        every = torch.mm(own, side_by_side, out=kept[: len(own)]).view(-1, cout)
        out[window.rows] = F.embedding_bag(window.order, every, window.begin, mode="sum")
    return out


def gather_multiply_sum(features: Tensor, weight: Tensor, pairs: KernelMap, sets: int) -> Tensor:
    """The sum with rows gathered first; rows of `sets` * channels."""
    cin, cout = weight.shape[1:]
    out = features.new_empty(pairs.outputs, sets * cout)
    blocks = pairs.blocks(block_rows(sets * max(cin, cout)))
    products = scratch("products", max((len(block.sources) for block in blocks), default=0), sets * cout, features)
    for block in blocks:
        right = _multiply(features, weight, block, products[: len(block.sources)], sets)
        total = F.embedding_bag(block.order, right, block.begin, mode="sum")
        if pairs.centre is None:
            out[block.rows] = total
        else:
            own, into = features[block.rows].view(-1, cin), out[block.rows].view(-1, cout)
            torch.addmm(total.view(-1, cout), own, weight[pairs.centre], out=into)
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
    if choice.use_triton(features):
        return implicit_gemm.weight_gradient(features, grad, pairs.plan, sets).to(weight.dtype)
    # Summed over blocks in single precision at least.
    out = weight.new_zeros(weight.shape, dtype=torch.promote_types(weight.dtype, torch.float32))
    if features.device.type != "cpu" or (cin <= FEW_CHANNELS and len(weight) > cin):
        for rows, columns in _columns(features, pairs, len(weight), sets):
            out += (columns.T @ grad[rows].reshape(-1, cout)).view_as(out)
        return out.to(weight.dtype)
    for block in pairs.blocks(block_rows(sets * max(cin, cout))):
        _accumulate(features, grad, block, out, sets)
    if pairs.centre is not None:
        out[pairs.centre] = features.view(-1, cin).T @ grad.view(-1, cout)
    return out.to(weight.dtype)


def _multiply(features: Tensor, weight: Tensor, block: Block, out: Tensor, sets: int) -> Tensor:
    """The source rows of all pairs times the weights of their offsets, into `out` or a new tensor."""
    cin, cout = weight.shape[1:]
    kernels, parts = weight.unbind(0), block.parts(gathered_rows(features.shape[1]))
    most = max((len(part.sources) for part in parts), default=0)
    gathered = scratch("gathered", most, features.shape[1], features)
    for part in parts:
        left = torch.index_select(features, 0, part.sources, out=gathered[: len(part.sources)]).view(-1, cin)
        sizes = [count * sets for count in part.counts]
        into = torch.split(out[part.pairs].view(-1, cout), sizes)
        for rows, kernel, product in zip(torch.split(left, sizes), kernels[part.offsets], into, strict=True):
            if len(rows):
                torch.mm(rows, kernel, out=product)
    return out


def _accumulate(features: Tensor, grad: Tensor, block: Block, out: Tensor, sets: int) -> None:
    """Adds features[source]^T @ grad[target] of every offset's pairs to `out`."""
    cin, cout = out.shape[1:]
    for part in block.parts(gathered_rows(max(features.shape[1], grad.shape[1]))):
        sizes = [count * sets for count in part.counts]
        lefts = torch.split(features.index_select(0, part.sources).view(-1, cin), sizes)
        rights = torch.split(grad.index_select(0, part.targets).view(-1, cout), sizes)
        for a, b, into in zip(lefts, rights, out[part.offsets], strict=True):
            if len(a) and a.dtype == into.dtype:
                into.addmm_(a.T, b)
            elif len(a):
                into += a.T @ b


def _columns(features: Tensor, pairs: KernelMap, offsets: int, sets: int) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of output rows and their neighbours side by side, (rows * sets, K * cin)."""
    padded = F.pad(features, (0, 0, 0, 1))
    width = offsets * features.shape[1]
    step = block_rows(width) if features.device.type == "cpu" else max(1, GATHERED // width)
    for start in range(0, pairs.outputs, step):
        rows = slice(start, min(start + step, pairs.outputs))
        index = pairs.neighbours[rows].view(-1)
        columns = scratch("columns", len(index), features.shape[1], features)
        columns = torch.index_select(padded, 0, index, out=columns).view(rows.stop - start, offsets, sets, -1)
        yield rows, columns.transpose(1, 2).reshape((rows.stop - start) * sets, -1)
