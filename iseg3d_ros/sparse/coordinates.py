"""Voxel coordinates as integers: packing, uniqueness, and finding neighbours without a loop over voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# A dense table of cells is the fastest way to find a neighbour, as long as it stays a moderate multiple of the voxels.
DENSE_CELLS = 1 << 25
DENSE_CELLS_PER_VOXEL = 512
KEY_LIMIT = 1 << 62
CPU_CHUNK, DEVICE_CHUNK = 2048, 1 << 17


def offsets(kernel_size: int) -> Tensor:
    """Kernel offsets (K^3, 3), lexicographic in x, y, z, from -((K - 1) // 2): -1..1 for 3, 0..1 for 2."""
    steps = torch.arange(kernel_size, dtype=torch.int64) - (kernel_size - 1) // 2
    return torch.cartesian_prod(steps, steps, steps)


@dataclass(frozen=True)
class Box:
    """The smallest and largest batch, x, y, z of some voxels, on the host: a level's box follows from the finest's."""

    low: tuple[int, ...]
    high: tuple[int, ...]

    @staticmethod
    def of(coords: Tensor) -> Box:
        """The tightest box around `coords` (V, 4); it waits for a device."""
        if len(coords) == 0:
            return Box((0,) * 4, (0,) * 4)
        ends = torch.stack([coords.amin(0), coords.amax(0)]).tolist()
        return Box(tuple(ends[0]), tuple(ends[1]))

    def coarser(self, factor: int) -> Box:
        """The box of the voxels' parents."""
        return Box(*((end[0], *(e // factor for e in end[1:])) for end in (self.low, self.high)))

    def joined(self, other: Box) -> Box:
        """The box around both."""
        return Box(tuple(map(min, self.low, other.low)), tuple(map(max, self.high, other.high)))


@dataclass(frozen=True)
class Packing:
    """How (batch, x, y, z) becomes one int64: row-major in a box with `margin` free cells on every side.

    With the margin a neighbour's key is the voxel's key plus a constant, and never wraps into another row.
    """

    low: tuple[int, ...]
    strides: tuple[int, ...]
    cells: int

    @staticmethod
    def of(box: Box, margin: int) -> Packing:
        """The packing of a box."""
        pad = (0, margin, margin, margin)
        low = tuple(end - p for end, p in zip(box.low, pad))
        extent = [end + p - start + 1 for end, p, start in zip(box.high, pad, low)]
        cells = extent[0] * extent[1] * extent[2] * extent[3]
        if cells > KEY_LIMIT:
            raise ValueError(
                f"The voxels span {extent[1:]} cells, too many to index; crop the cloud or use larger voxels."
            )
        return Packing(low, (extent[1] * extent[2] * extent[3], extent[2] * extent[3], extent[3], 1), cells)

    def keys(self, coords: Tensor) -> Tensor:
        """Key int64 (V,) of every coordinate (V, 4)."""
        low, strides = torch.tensor([self.low, self.strides], device=coords.device).unbind(0)
        return ((coords - low) * strides).sum(1)

    def deltas(self, steps: Tensor) -> Tensor:
        """What to add to a key to move by each of `steps` (K, 3); both on the host."""
        return (steps * torch.tensor(self.strides[1:])).sum(1)


class Lookup:
    """Finds the row that holds a key: a dense table where the box is small, else binary search in sorted keys."""

    def __init__(self, keys: Tensor, cells: int) -> None:
        self.rows = len(keys)
        self.dense = cells <= min(DENSE_CELLS, max(DENSE_CELLS_PER_VOXEL * self.rows, 1 << 20))
        if self.dense:
            self.table = torch.full((cells,), self.rows, dtype=torch.int32, device=keys.device)
            self.table[keys] = torch.arange(self.rows, dtype=torch.int32, device=keys.device)
        else:
            self.sorted, order = keys.sort()
            self.order = order.to(torch.int32)

    def around(self, keys: Tensor, deltas: Tensor) -> Tensor:
        """Row of key + delta, int32 (keys, deltas), `rows` where no voxel is; in chunks that stay in the cache."""
        out = torch.empty(len(keys), len(deltas), dtype=torch.int32, device=keys.device)
        chunk = CPU_CHUNK if keys.device.type == "cpu" else DEVICE_CHUNK
        if self.dense:  # every key fits
            keys, deltas = keys.to(torch.int32), deltas.to(torch.int32)
        deltas = deltas.to(keys.device)
        for part, found in zip(torch.split(keys, chunk), torch.split(out, chunk), strict=True):
            wanted = (part[:, None] + deltas).view(-1)
            if self.dense:
                torch.index_select(self.table, 0, wanted, out=found.view(-1))
            elif self.rows:
                found.view(-1).copy_(self._search(wanted))
        return out

    def has_duplicates(self, keys: Tensor) -> bool:
        """Whether two voxels share one key."""
        if not self.dense:
            return bool((self.sorted[1:] == self.sorted[:-1]).any())
        rows = torch.arange(self.rows, dtype=torch.int32, device=keys.device)
        return bool((self.table.index_select(0, keys) != rows).any())

    def _search(self, keys: Tensor) -> Tensor:
        place = torch.searchsorted(self.sorted, keys).clamp_(max=self.rows - 1)
        return torch.where(self.sorted[place] == keys, self.order[place], self.rows)


def levels(coords: Tensor, box: Box, factors: Sequence[int]) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """The voxels at coarser strides, all found together so that a device is waited for once.

    By factor: their coordinates int32 (Vs, 4), sorted; int64 (V,) the row there of every voxel of `coords`; and int64
    (Vs,) a voxel in each.
    """
    if coords.device.type == "cpu":
        return _levels_in_turn(coords, box, factors)
    packings = [Packing.of(box.coarser(factor), 0) for factor in factors]
    numbers = [[[1, f, f, f], p.low, p.strides] for f, p in zip(factors, packings)]
    divisors, low, strides = torch.tensor(numbers, device=coords.device).unbind(1)
    coarse = torch.div(coords, divisors[:, None], rounding_mode="floor")
    ranked, order = ((coarse - low[:, None]) * strides[:, None]).sum(2).sort(dim=1)
    rank = torch.zeros_like(order)
    torch.cumsum(ranked[:, 1:] != ranked[:, :-1], 1, out=rank[:, 1:])
    rows = torch.empty_like(order).scatter_(1, order, rank)
    members = torch.empty_like(order).scatter_(1, rank, order)
    counts = (rank[:, -1] + 1).tolist() if len(coords) else [0] * len(factors)
    found = zip(factors, coarse, rows, members, counts)
    return {f: (c[member[:n]].to(torch.int32), row, member[:n]) for f, c, row, member, n in found}


def _levels_in_turn(coords: Tensor, box: Box, factors: Sequence[int]) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """The same where nothing waits: each stride from the next finer one that divides it, which has fewer voxels."""
    everything = np.arange(len(coords))
    found = {1: (coords.numpy(), everything, everything)}
    for factor in sorted(factors):
        finer = max(f for f in found if factor % f == 0)
        given, rows, members = found[finer]
        coarse = given // np.array([1, *[factor // finer] * 3], given.dtype)
        packing = Packing.of(box.coarser(factor), 0)
        keys = (coarse.astype(np.int64) - np.array(packing.low)) @ np.array(packing.strides)
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        found[factor] = coarse[first], inverse.ravel()[rows], members[first]
    tensors = {f: [torch.from_numpy(part) for part in found[f]] for f in factors}
    return {f: (coarse.to(torch.int32), rows, members) for f, (coarse, rows, members) in tensors.items()}
