"""Voxel coordinates as integers: packing, uniqueness, and finding neighbours without a loop over voxels."""

from __future__ import annotations

from dataclasses import dataclass

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
class Packing:
    """How (batch, x, y, z) becomes one int64: row-major in a box with `margin` free cells on every side.

    With the margin a neighbour's key is the voxel's key plus a constant, and never wraps into another row.
    """

    low: Tensor
    strides: Tensor
    cells: int

    @staticmethod
    def of(coords: Tensor, margin: int) -> Packing:
        """The tightest box around `coords` int64 (V, 4)."""
        if len(coords) == 0:
            return Packing(torch.zeros(4, dtype=torch.int64, device=coords.device), coords.new_ones(4), 1)
        low, high = coords.amin(0), coords.amax(0)
        pad = torch.tensor([0, margin, margin, margin], device=coords.device)
        low = low - pad
        extent = [int(e) for e in (high + pad - low + 1).tolist()]
        cells = extent[0] * extent[1] * extent[2] * extent[3]
        if cells > KEY_LIMIT:
            raise ValueError(
                f"The voxels span {extent[1:]} cells, too many to index; crop the cloud or use larger voxels."
            )
        steps = [extent[1] * extent[2] * extent[3], extent[2] * extent[3], extent[3], 1]
        return Packing(low, torch.tensor(steps, device=coords.device), cells)

    def keys(self, coords: Tensor) -> Tensor:
        """Key int64 (V,) of every coordinate int64 (V, 4)."""
        return ((coords - self.low) * self.strides).sum(1)

    def deltas(self, steps: Tensor) -> Tensor:
        """What to add to a key to move by each of `steps` (K, 3)."""
        return (steps.to(self.strides.device) * self.strides[1:]).sum(1)


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
