"""Sparse convolution as one Triton kernel: outputs stay in registers while their neighbours' rows are multiplied.

Output rows are visited in tiles of rows that have the same neighbours as far as possible (sorted by the bits of their
occupied offsets), and each tile has the list of offsets at which any of its rows has a neighbour, so that empty ones
cost nothing and no list of pairs is built: nothing waits for the device. Normalisation, residual and ReLU of inference
are done before the result is written. Sums are in fp32; widths are padded to what the tensor cores want on loading.

Each kernel is one operator of torch (`iseg3d::…`). On a CPU they run in Triton's interpreter (TRITON_INTERPRET=1), for
tests, or else in plain torch.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

TILE = 64  # output rows a program
SPLIT = 4096  # rows that one program of the weight gradient sums over, at least
SPLITS = 16
ORDERED = 62  # offsets up to which rows are sorted by the bits of their occupied ones


@lru_cache(maxsize=4)
def available(device: str) -> bool:
    """Whether Triton is installed and compiles for this type of device (on a CPU: whether it is interpreted)."""
    if importlib.util.find_spec("triton") is None:
        return False
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device == "cpu":
        return interpreted
    return device == "cuda" and not interpreted and torch.cuda.get_device_capability()[0] >= 7


@dataclass(frozen=True, eq=False)
class Plan:
    """How a map's output rows are visited: `order` int32 (tiles * TILE,) rows, `outputs` where a tile is not full;
    `table` int32 (K, tiles * TILE) their inputs; `active` int32 (tiles, K) and `counts` int32 (tiles,) the offsets that
    a tile has, first ones first."""

    order: Tensor
    table: Tensor
    active: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Ending:
    """What inference does with a convolution's result: batch normalisation by running statistics, a residual, ReLU."""

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    eps: float
    residual: Tensor | None = None


def plan(neighbours: Tensor, inputs: int) -> Plan:
    """The plan of a map's table int32 (outputs, K)."""
    return Plan(*torch.ops.iseg3d.convolution_plan(neighbours, inputs))


def product(features: Tensor, weight: Tensor, plan: Plan, outputs: int, sets: int, end: Ending | None = None) -> Tensor:
    """(outputs, sets * cout) of features (inputs, sets * cin) and a weight (K, cin, cout)."""
    rest = () if end is None else (end.mean, end.variance, end.weight, end.bias, end.eps, end.residual)
    each = plan.order, plan.table, plan.active, plan.counts
    return torch.ops.iseg3d.convolution(features, weight, *each, outputs, sets, *rest)  # type: ignore[no-any-return]


def weight_gradient(features: Tensor, grad: Tensor, plan: Plan, sets: int) -> Tensor:
    """(K, cin, cout) in fp32: the sum over pairs of features^T grad."""
    return torch.ops.iseg3d.convolution_weight(features, grad, plan.order, plan.table, sets)  # type: ignore[no-any-return]


def _plan(neighbours: Tensor, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if available(neighbours.device.type):
        from iseg3d_ros.sparse import triton_kernels

        return triton_kernels.plan(neighbours, inputs)
    outputs, offsets = neighbours.shape
    tiles = -(-outputs // TILE)
    order = torch.full((tiles * TILE,), outputs, dtype=torch.int32, device=neighbours.device)
    if offsets <= ORDERED:
        bits = torch.pow(2, torch.arange(offsets, device=neighbours.device))
        keys = ((neighbours < inputs) * bits).sum(1)
        order[:outputs] = keys.argsort(stable=True)
    else:
        torch.arange(outputs, dtype=torch.int32, device=neighbours.device, out=order[:outputs])
    padded = torch.nn.functional.pad(neighbours, (0, 0, 0, 1), value=inputs)
    table = padded.index_select(0, order).T.contiguous()
    occupied = (table < inputs).view(offsets, tiles, TILE).any(2).T.contiguous()
    active = occupied.to(torch.int8).argsort(dim=1, descending=True, stable=True).to(torch.int32)
    return order, table, active, occupied.sum(1, dtype=torch.int32)


def _convolution(
    features: Tensor, weight: Tensor, order: Tensor, table: Tensor, active: Tensor, counts: Tensor,
    outputs: int, sets: int, mean: Tensor | None = None, variance: Tensor | None = None, scale: Tensor | None = None,
    shift: Tensor | None = None, eps: float = 0.0, residual: Tensor | None = None,
) -> Tensor:  # fmt: skip
    if not available(features.device.type):
        return _plain(features, weight, order, table, outputs, sets, mean, variance, scale, shift, eps, residual)
    from iseg3d_ros.sparse import triton_kernels

    return triton_kernels.convolution(
        features, weight, Plan(order, table, active, counts), outputs, sets,
        None if mean is None else Ending(mean, variance, scale, shift, eps, residual),  # type: ignore[arg-type]
    )  # fmt: skip


def _plain(
    features: Tensor, weight: Tensor, order: Tensor, table: Tensor, outputs: int, sets: int, mean: Tensor | None,
    variance: Tensor | None, scale: Tensor | None, shift: Tensor | None, eps: float, residual: Tensor | None,
) -> Tensor:  # fmt: skip
    """The same in plain torch, for a CPU without the interpreter."""
    offsets, cin, cout = weight.shape
    padded = torch.nn.functional.pad(features.float(), (0, 0, 0, 1)).view(-1, sets, cin)
    columns = padded[table.T.clamp(max=len(features)).long()].permute(0, 2, 1, 3).reshape(-1, offsets * cin)
    out = (columns @ weight.float().reshape(-1, cout)).view(-1, sets, cout)
    rows = out.new_empty(outputs + 1, sets, cout).index_copy_(0, order.long(), out)[:outputs]
    if mean is not None and variance is not None and scale is not None and shift is not None:
        rows = (rows - mean) * (variance + eps).rsqrt() * scale + shift
        rows = (rows if residual is None else rows + residual.view_as(rows)).relu()
    return rows.reshape(outputs, sets * cout).to(features.dtype)


def _convolution_weight(features: Tensor, grad: Tensor, order: Tensor, table: Tensor, sets: int) -> Tensor:
    if available(features.device.type):
        from iseg3d_ros.sparse import triton_kernels

        return triton_kernels.weight_gradient(features, grad, order, table, sets)
    cin, cout = features.shape[1] // sets, grad.shape[1] // sets
    left = torch.nn.functional.pad(features.float(), (0, 0, 0, 1)).view(-1, sets, cin)
    right = torch.nn.functional.pad(grad.float(), (0, 0, 0, 1)).view(-1, sets, cout)[order.long()]
    return torch.einsum("kmsi,mso->kio", left[table.long()], right)


_LIBRARY = torch.library.Library("iseg3d", "DEF")
_LIBRARY.define("convolution_plan(Tensor neighbours, SymInt inputs) -> (Tensor, Tensor, Tensor, Tensor)")
_LIBRARY.define(
    "convolution(Tensor features, Tensor weight, Tensor order, Tensor table, Tensor active, Tensor counts, "
    "SymInt outputs, SymInt sets, Tensor? mean=None, Tensor? variance=None, Tensor? scale=None, Tensor? shift=None, "
    "float eps=0.0, Tensor? residual=None) -> Tensor"
)
_LIBRARY.define("convolution_weight(Tensor features, Tensor grad, Tensor order, Tensor table, SymInt sets) -> Tensor")
for _key in ("CPU", "CUDA"):
    _LIBRARY.impl("convolution_plan", _plan, _key)
    _LIBRARY.impl("convolution", _convolution, _key)
    _LIBRARY.impl("convolution_weight", _convolution_weight, _key)
