"""Which input row meets which output row at each kernel offset, and the order in which to visit the pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """Pairs sorted by (block of output rows, kernel offset, output row): a block's gathered rows fit in the cache.

    Of block b: `sources[b]` int32 input rows, `targets[b]` int32 output rows, `counts[b][k]` pairs of offset k (on the
    host, so that no device is waited for), `order[b]` the pairs sorted by output row, `begin[b]` int32 (rows,) where
    each output row's pairs begin in `order[b]`. Pairs of the centre offset are left out: they need no gather.
    """

    rows: int
    sources: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    counts: tuple[tuple[int, ...], ...]
    order: tuple[Tensor, ...]
    begin: tuple[Tensor, ...]

    def to(self, device: torch.device | str) -> Layout:
        """The same layout on another device."""

        def move(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(t.to(device) for t in tensors)

        return Layout(
            self.rows, move(self.sources), move(self.targets), self.counts, move(self.order), move(self.begin)
        )


@dataclass(eq=False)
class KernelMap:
    """The input row of every output row at every kernel offset: `neighbours` int32 (K, outputs), -1 for none.

    `centre` is the offset at which every output meets itself; `symmetric` says that offset k read backwards is offset
    K - 1 - k. What is derived from the table is built on first use and kept.
    """

    neighbours: Tensor
    inputs: int
    centre: int | None = None
    symmetric: bool = False
    _layouts: dict[int, Layout] = field(default_factory=dict)
    _columns: Tensor | None = None
    _transposed: KernelMap | None = None

    @property
    def outputs(self) -> int:
        """Number of output rows."""
        return self.neighbours.shape[1]

    @property
    def pairs(self) -> int:
        """Number of (input, output) pairs, over all offsets: what the work of a convolution is proportional to."""
        return int((self.neighbours >= 0).sum())

    @property
    def transposed(self) -> KernelMap:
        """The map of the transposed convolution: the same pairs, read backwards."""
        if self._transposed is None:
            self._transposed = KernelMap(self._reversed(), self.outputs, self.centre, self.symmetric)
            self._transposed._transposed = self
        return self._transposed

    def columns(self) -> Tensor:
        """The table as (outputs * K,) int32 rows to gather, `inputs` (a row of zeros) where there is no neighbour."""
        if self._columns is None:
            table = self.neighbours.T.reshape(-1)
            self._columns = torch.where(table < 0, self.inputs, table)
        return self._columns

    def layout(self, rows: int) -> Layout:
        """The pairs in blocks of `rows` output rows."""
        rows = max(1, min(rows, self.outputs))
        if rows not in self._layouts:
            self._layouts[rows] = _layout(self.neighbours, self.centre, rows)
        return self._layouts[rows]

    def to(self, device: torch.device | str) -> KernelMap:
        """The same map, and what was derived from it, on another device."""
        layouts = {rows: layout.to(device) for rows, layout in self._layouts.items()}
        columns = None if self._columns is None else self._columns.to(device)
        return KernelMap(self.neighbours.to(device), self.inputs, self.centre, self.symmetric, layouts, columns)

    def _reversed(self) -> Tensor:
        if self.symmetric:
            return self.neighbours.flip(0)
        # One spare column takes what has no neighbour.
        table = self.neighbours.to(torch.int64)
        rows = torch.arange(self.outputs, dtype=torch.int32, device=table.device).expand_as(table)
        out = self.neighbours.new_full((len(table), self.inputs + 1), -1)
        out.scatter_(1, torch.where(table < 0, self.inputs, table), rows)
        return out[:, : self.inputs].contiguous()


def _layout(neighbours: Tensor, centre: int | None, rows: int) -> Layout:
    offsets, outputs = neighbours.shape
    blocks = -(-outputs // rows) if outputs else 0
    table = torch.nn.functional.pad(neighbours, (0, blocks * rows - outputs), value=-1)
    table = table.view(offsets, blocks, rows).transpose(0, 1).contiguous()
    hit = table >= 0
    if centre is not None:
        hit[:, centre] = False
    counts = hit.sum(2).tolist()
    sizes = [sum(c) for c in counts]
    row = torch.arange(blocks * rows, dtype=torch.int32, device=table.device).view(blocks, 1, rows)
    order, begin = _by_output(hit)
    return Layout(
        rows,
        table[hit].split(sizes),
        row.expand_as(table)[hit].split(sizes),
        tuple(tuple(c) for c in counts),
        order.split(sizes),
        tuple(begin.view(-1)[:outputs].split(rows)),
    )


def _by_output(hit: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs' positions in their block, sorted by output row, and where each output row's begin; `hit` is (B, K, R)."""
    blocks, offsets, rows = hit.shape
    running = hit.view(blocks, -1).cumsum(1, dtype=torch.int32) - 1
    by_row = hit.transpose(1, 2).contiguous()
    order = running.view(blocks, offsets, rows).transpose(1, 2)[by_row]
    per_row = by_row.sum(2)
    return order, (per_row.cumsum(1) - per_row).to(torch.int32)
