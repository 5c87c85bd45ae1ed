"""The Triton kernels of `iseg3d_ros.sparse.implicit_gemm`, and how they are started."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from iseg3d_ros.sparse.implicit_gemm import ORDERED, SPLIT, SPLITS, TILE, Ending, Plan

if TYPE_CHECKING:
    jit: Callable[[Any], Any]
else:
    jit = triton.jit(do_not_specialize=["inputs", "outputs", "rows", "each"])  # they differ from cloud to cloud


def plan(neighbours: Tensor, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two launches and a sort: the bits of every row's occupied offsets, rows sorted by them, tiles of rows."""
    neighbours = neighbours.contiguous()
    outputs, offsets = neighbours.shape
    tiles, width = -(-outputs // TILE), triton.next_power_of_2(offsets)
    order, counts = neighbours.new_empty(tiles * TILE), neighbours.new_empty(tiles)
    table, active = neighbours.new_empty(offsets, tiles * TILE), neighbours.new_empty(tiles, offsets)
    if tiles == 0:
        return order, table, active, counts
    with _on(neighbours.device):
        keys = torch.empty(outputs if offsets <= ORDERED else 0, dtype=torch.int64, device=neighbours.device)
        if len(keys):
            _keys_kernel[(tiles,)](neighbours, keys, inputs, outputs, offsets, TILE=TILE, WIDTH=width)
        rows = keys.argsort(stable=True) if len(keys) else keys
        _tiles_kernel[(tiles,)](
            neighbours, rows, order, table, active, counts, inputs, outputs, offsets,
            SORTED=len(keys) > 0, TILE=TILE, WIDTH=width,
        )  # fmt: skip
    return order, table, active, counts


def convolution(features: Tensor, weight: Tensor, plan: Plan, outputs: int, sets: int, end: Ending | None) -> Tensor:
    """One launch: a program takes a tile of output rows, a block of output channels and one set of features."""
    features, weight = features.contiguous(), weight.contiguous()
    offsets, cin, cout = weight.shape
    out = features.new_empty(outputs, sets * cout)
    if out.numel() == 0:
        return out
    block, depth = _blocks(cin, cout, features.dtype)
    residual = end.residual.contiguous() if end is not None and end.residual is not None else out
    norm = (end.mean, end.variance, end.weight, end.bias, end.eps) if end is not None else (out, out, out, out, 0.0)
    grid = (len(plan.counts), -(-cout // block), sets)
    with _on(features.device):
        _convolution_kernel[grid](
            features, weight, plan.order, plan.table, plan.active, plan.counts, out, *norm, residual,
            len(features), outputs, plan.table.shape[1], cin, cout, offsets,
            TILE=TILE, BLOCK=block, DEPTH=depth, NORM=end is not None, RESIDUAL=residual is not out,
            PRECISION=_precision(),
            num_warps=4, num_stages=3,
        )  # fmt: skip
    return out


def weight_gradient(features: Tensor, grad: Tensor, order: Tensor, table: Tensor, sets: int) -> Tensor:
    """Two launches: partial sums over parts of the rows, and their sum, in an order that never changes."""
    features, grad = features.contiguous(), grad.contiguous()
    offsets, rows = table.shape
    cin, cout = features.shape[1] // sets, grad.shape[1] // sets
    parts = max(1, min(SPLITS, rows // SPLIT))
    partial = torch.zeros(parts, offsets, cin, cout, device=features.device)
    if rows == 0 or partial.numel() == 0:
        return partial.sum(0)
    wide, deep = (min(64, max(16, triton.next_power_of_2(width))) for width in (cin, cout))
    each = -(-rows // (parts * TILE)) * TILE
    grid = (offsets * parts, -(-cin // wide), -(-cout // deep))
    with _on(features.device):
        _weight_kernel[grid](
            features, grad, order, table, partial, len(features), len(grad), rows, each, cin, cout, offsets,
            SETS=sets, TILE=TILE, WIDE=wide, DEEP=deep, PRECISION=_precision(), num_warps=4,
        )  # fmt: skip
    return partial.sum(0)


def _blocks(cin: int, cout: int, dtype: torch.dtype) -> tuple[int, int]:
    """Output channels a program, and input channels a step: what the tensor cores and the shared memory like."""
    block = min(128, max(16, triton.next_power_of_2(cout)))
    depth = min(32 if dtype == torch.float32 else 64, max(16, triton.next_power_of_2(cin)))
    return block, depth


def _precision() -> str:
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


def _on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


@jit
def _keys_kernel(neighbours, keys, inputs, outputs, offsets, TILE: tl.constexpr, WIDTH: tl.constexpr):
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    offset = tl.arange(0, WIDTH)
    known = (row[:, None] < outputs) & (offset[None, :] < offsets)
    there = tl.load(neighbours + row[:, None] * offsets + offset[None, :], mask=known, other=inputs) < inputs
    bits = there.to(tl.int64) << offset[None, :].to(tl.int64)
    tl.store(keys + row, tl.sum(bits, 1), mask=row < outputs)


@jit
def _tiles_kernel(
    neighbours, rows, order, table, active, counts, inputs, outputs, offsets,
    SORTED: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    place = tile * TILE + tl.arange(0, TILE)
    offset = tl.arange(0, WIDTH)
    row = tl.load(rows + place, mask=place < outputs, other=outputs) if SORTED else place.to(tl.int64)
    row = tl.minimum(row, outputs)
    tl.store(order + place, row.to(tl.int32))
    known = (row[:, None] < outputs) & (offset[None, :] < offsets)
    source = tl.load(neighbours + row[:, None] * offsets + offset[None, :], mask=known, other=inputs)
    padded = tl.num_programs(0) * TILE
    tl.store(table + offset[None, :].to(tl.int64) * padded + place[:, None], source, mask=offset[None, :] < offsets)
    there = tl.max((source < inputs).to(tl.int32), 0)
    tl.store(active + tile * offsets + tl.cumsum(there, 0) - there, offset, mask=there > 0)
    tl.store(counts + tile, tl.sum(there, 0))


@jit
def _convolution_kernel(
    x, w, order, table, active, counts, out, mean, variance, scale, shift, eps, residual,
    inputs, outputs, padded, cin, cout, offsets,
    TILE: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr, NORM: tl.constexpr, RESIDUAL: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    tile, part, each = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    sets = tl.num_programs(2)
    place = tile * TILE + tl.arange(0, TILE)
    column = part * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((TILE, BLOCK), tl.float32)
    count = tl.load(counts + tile)
    for i in range(count):
        offset = tl.load(active + tile * offsets + i).to(tl.int64)
        source = tl.load(table + offset * padded + place).to(tl.int64)
        there = source < inputs
        for start in range(0, cin, DEPTH):
            channel = start + tl.arange(0, DEPTH)
            rows = x + (source[:, None] * sets + each) * cin + channel[None, :]
            left = tl.load(rows, mask=there[:, None] & (channel[None, :] < cin), other=0.0)
            kernel = w + (offset * cin + channel[:, None]) * cout + column[None, :]
            right = tl.load(kernel, mask=(channel[:, None] < cin) & (column[None, :] < cout), other=0.0)
            total = tl.dot(left, right.to(left.dtype), total, input_precision=PRECISION)
    row = tl.load(order + place).to(tl.int64)
    kept = (row[:, None] < outputs) & (column[None, :] < cout)
    where = (row[:, None] * sets + each) * cout + column[None, :]
    if NORM:
        known = column < cout
        spread = tl.load(variance + column, mask=known, other=1.0).to(tl.float32) + eps
        factor = tl.load(scale + column, mask=known, other=0.0).to(tl.float32) / tl.sqrt(spread)
        middle = tl.load(mean + column, mask=known, other=0.0).to(tl.float32)
        added = tl.load(shift + column, mask=known, other=0.0).to(tl.float32)
        total = (total - middle[None, :]) * factor[None, :] + added[None, :]
        if RESIDUAL:
            total += tl.load(residual + where, mask=kept, other=0.0).to(tl.float32)
        total = tl.maximum(total, 0.0)
    tl.store(out + where, total.to(out.dtype.element_ty), mask=kept)


@jit
def _weight_kernel(
    x, grad, order, table, partial, inputs, outputs, rows, each, cin, cout, offsets,
    SETS: tl.constexpr, TILE: tl.constexpr, WIDE: tl.constexpr, DEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    offset, part = (tl.program_id(0) % offsets).to(tl.int64), tl.program_id(0) // offsets
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    column = tl.program_id(2) * DEEP + tl.arange(0, DEEP)
    total = tl.zeros((WIDE, DEEP), tl.float32)
    for start in range(part * each, tl.minimum(rows, (part + 1) * each), TILE):
        place = start + tl.arange(0, TILE)
        source = tl.load(table + offset * rows + place, mask=place < rows, other=inputs).to(tl.int64)
        target = tl.load(order + place, mask=place < rows, other=outputs).to(tl.int64)
        there = (source < inputs) & (target < outputs)
        if tl.max(there.to(tl.int32), 0) > 0:
            for k in range(SETS):
                left = tl.load(x + (source[None, :] * SETS + k) * cin + channel[:, None],
                               mask=there[None, :] & (channel[:, None] < cin), other=0.0)  # fmt: skip
                right = tl.load(grad + (target[:, None] * SETS + k) * cout + column[None, :],
                                mask=there[:, None] & (column[None, :] < cout), other=0.0)  # fmt: skip
                total = tl.dot(left, right, total, input_precision=PRECISION)
    where = partial + ((part * offsets + offset) * cin + channel[:, None]) * cout + column[None, :]
    tl.store(where, total, mask=(channel[:, None] < cin) & (column[None, :] < cout))
