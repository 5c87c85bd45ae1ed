"""Voxels as a sequence: the z-order and Hilbert curves of Point Transformer V3, and the cutting into patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CURVES = ("z", "z-trans", "hilbert", "hilbert-trans")  # "trans" walks the axes in another order
DEPTH = 18  # bits an axis: 2.6 km at 1 cm; leaves nine bits of an int64 for the cloud's index
LIMIT = (1 << DEPTH) - 1


def codes(coords: Tensor) -> Tensor:
    """Position along each of the four curves, int64 (4, V), of coordinates (V, 4) [cloud, x, y, z], from 0.

    Voxels of one parent share their code up to its last three bits: shifted right by three it serves the coarser level.
    """
    cells = coords[:, 1:].to(torch.int64).clamp(0, LIMIT)
    both = torch.stack([cells, cells[:, [1, 0, 2]]])
    along = torch.cat([interleave(both), interleave(hilbert_axes(both))])
    return along | coords[:, 0].to(torch.int64) << 3 * DEPTH


def interleave(cells: Tensor) -> Tensor:
    """The bits of x, y, z (..., 3) woven into one number: the z-order curve."""
    spread = cells
    for shift, mask in SPREAD:
        spread = (spread | spread << shift) & mask
    return spread[..., 0] << 2 | spread[..., 1] << 1 | spread[..., 2]


# Moves bit i to bit 3 i, in five steps of half the distance each (21 bits).
SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def hilbert_axes(cells: Tensor) -> Tensor:
    """Coordinates (..., 3) whose interleaved bits are the position along the Hilbert curve.

    J. Skilling, "Programming the Hilbert curve" (AIP 2004): undo the excess work from the highest bit down, then
    Gray-encode. All voxels at once; the loop runs over bits. Three leading zero bits turn the axes full circle, so
    they are skipped in threes without a change to the result.
    """
    used = int(cells.max()).bit_length()
    highest = DEPTH - 1 - (DEPTH - used) // 3 * 3
    x, *others = cells.unbind(-1)
    for bit in range(highest, 0, -1):
        below = (1 << bit) - 1
        x = x ^ (-(x >> bit & 1) & below)
        for i, other in enumerate(others):
            flip = -(other >> bit & 1)  # all ones where the bit is set: invert x, else exchange with it
            swap = (x ^ other) & below & ~flip
            x, others[i] = x ^ swap ^ (flip & below), other ^ swap
    y, z = others
    y = y ^ x
    z = z ^ y
    parity = torch.zeros_like(x)
    for bit in range(highest, 0, -1):
        parity = parity ^ (-(z >> bit & 1) & ((1 << bit) - 1))
    return torch.stack([x, y, z], -1) ^ parity[..., None]


@dataclass(frozen=True)
class Patches:
    """A sequence of voxels, cloud after cloud, cut into patches of equal length.

    `slots` int64 (P, K): which voxel sits in each slot; `place` int64 (V,): the slot, of P x K, that each voxel is
    read back from; `empty` bool (P, K), or None where every slot is filled. The last patch of a cloud is filled up
    with the voxels before it, so only a cloud shorter than a patch leaves slots empty.
    """

    slots: Tensor
    place: Tensor
    empty: Tensor | None


def patches(order: Tensor, counts: Sequence[int], size: int) -> Patches:
    """Cut `order` int64 (V,), which lists the voxels of one cloud after another, into patches of at most `size`."""
    size = min(size, max(counts))
    first, own = (part.to(order.device) for part in _cut(counts, size))
    slots = first[:, None] + torch.arange(size, device=order.device)
    place = torch.empty_like(order)
    place[order] = own * size + torch.arange(len(order), device=order.device) - first[own]
    if min(counts) >= size:
        return Patches(order[slots], place, None)
    ends = torch.tensor(counts).cumsum(0).repeat_interleave(torch.tensor([-(-n // size) for n in counts]))
    empty = slots >= ends.to(order.device)[:, None]
    return Patches(order[torch.where(empty, first[:, None], slots)], place, empty)


def _cut(counts: Sequence[int], size: int) -> tuple[Tensor, Tensor]:
    """The first position that each patch covers, and the patch that each position is read back from."""
    first, own, start, before = [], [], 0, 0
    for count in counts:
        number = -(-count // size)
        first.append((torch.arange(number) * size).clamp(max=max(0, count - size)) + start)
        own.append(torch.arange(count) // size + before)
        start, before = start + count, before + number
    return torch.cat(first), torch.cat(own)
