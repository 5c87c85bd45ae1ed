"""Which input row meets which output row at each kernel offset, and the order in which to visit the pairs.

Blocks, parts and windows are lists of pairs for a CPU's caches. An accelerator takes the table itself, or its plan
(`implicit_gemm`), so that nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from iseg3d_ros.sparse.implicit_gemm import Plan, plan

# Output rows a block: fewer where rows are wide (many feature sets).
ROWS, ROWS_WIDE = 4096, 512
WIDE = 256
WINDOW = 8192  # output rows whose inputs are multiplied together before they are gathered
GATHERED = 1 << 19  # numbers gathered at once: two megabytes, a tenth of a block's products


def block_rows(width: int) -> int:
    """Output rows a block for gathered rows of `width` numbers."""
    return ROWS if width <= WIDE else ROWS_WIDE


def gathered_rows(width: int) -> int:
    """Rows of `width` numbers that are gathered at once."""
    return max(1, GATHERED // width)


@dataclass(frozen=True, eq=False)
class Part:
    """Consecutive kernel offsets of a block that are gathered together: their pairs' rows, and how many each has."""

    offsets: slice
    pairs: slice
    sources: Tensor
    targets: Tensor
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """The pairs of consecutive output rows, sorted by kernel offset: what is gathered at once and fits in the cache.

    `sources` int32 input rows, `targets` int32 output rows; `counts[k]` pairs of offset k; `order` int32 the pairs
    sorted by output row, and `begin` int32 (rows,) where each output row's pairs begin in `order`. Pairs of the centre
    offset are left out: they need no gather.
    """

    rows: slice
    sources: Tensor
    targets: Tensor
    counts: tuple[int, ...]
    order: Tensor
    begin: Tensor
    _parts: dict[int, tuple[Part, ...]] = field(default_factory=dict)

    def parts(self, rows: int) -> tuple[Part, ...]:
        """The pairs in parts of whole offsets, of `rows` rows at most where an offset alone has no more."""
        if rows not in self._parts:
            self._parts[rows] = tuple(self._part(first, last) for first, last in self._spans(rows))
        return self._parts[rows]

    def _spans(self, rows: int) -> Iterator[tuple[int, int]]:
        first, together = 0, 0
        for offset, count in enumerate(self.counts):
            if together and together + count > rows:
                yield first, offset
                first, together = offset, 0
            together += count
        if together:
            yield first, len(self.counts)

    def _part(self, first: int, last: int) -> Part:
        start, counts = sum(self.counts[:first]), self.counts[first:last]
        pairs = slice(start, start + sum(counts))
        return Part(slice(first, last), pairs, self.sources[pairs], self.targets[pairs], counts)


@dataclass(frozen=True, eq=False)
class Window:
    """Consecutive output rows and the range of input rows that they meet, for products taken before they are gathered.

    `order` int32 the pairs sorted by output row, each as (input row within the range) * K + offset; `begin` int32
    (rows,) where each output row's pairs begin.
    """

    rows: slice
    inputs: slice
    order: Tensor
    begin: Tensor


@dataclass(eq=False)
class KernelMap:
    """The input row of every output row at every kernel offset: `neighbours` int32 (outputs, K), `inputs` for none.

    `centre` is the offset at which every output meets itself; `symmetric` says that offset k read backwards is offset
    K - 1 - k. What is derived from the table is built on first use and kept.
    """

    neighbours: Tensor
    inputs: int
    centre: int | None = None
    symmetric: bool = False
    _blocks: dict[int, tuple[Block, ...]] = field(default_factory=dict)
    _transposed: KernelMap | None = None
    _windows: tuple[Window, ...] | None = None
    _plan: Plan | None = None

    @property
    def outputs(self) -> int:
        """Number of output rows."""
        return len(self.neighbours)

    @property
    def pairs(self) -> int:
        """Number of (input, output) pairs, over all offsets: what the work of a convolution is proportional to."""
        return int((self.neighbours < self.inputs).sum())

    @property
    def transposed(self) -> KernelMap:
        """The map of the transposed convolution: the same pairs, read backwards."""
        if self._transposed is None:
            self._transposed = KernelMap(self._reversed(), self.outputs, self.centre, self.symmetric)
        return self._transposed

    def blocks(self, rows: int) -> tuple[Block, ...]:
        """The pairs in blocks of `rows` output rows."""
        rows = max(1, min(rows, self.outputs))
        if rows not in self._blocks:
            starts = range(0, self.outputs, rows)
            self._blocks[rows] = tuple(self._block(slice(i, min(i + rows, self.outputs))) for i in starts)
        return self._blocks[rows]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The pairs by windows of output rows; where voxels are sorted, neighbours are in nearly the same range."""
        if self._windows is None:
            starts = range(0, self.outputs, WINDOW)
            self._windows = tuple(self._window(slice(i, min(i + WINDOW, self.outputs))) for i in starts)
        return self._windows

    @property
    def plan(self) -> Plan:
        """How one kernel visits the output rows."""
        if self._plan is None:
            self._plan = plan(self.neighbours, self.inputs)
        return self._plan

    @property
    def local(self) -> bool:
        """Whether the windows' ranges of inputs overlap by half at most."""
        return 2 * sum(w.inputs.stop - w.inputs.start for w in self.windows) <= 3 * (self.inputs + WINDOW)

    def to(self, device: torch.device | str) -> KernelMap:
        """The same map and its transpose on another device, which derives from them what suits it."""
        transposed = None if self._transposed is None else self._transposed.to(device)
        return KernelMap(self.neighbours.to(device), self.inputs, self.centre, self.symmetric, _transposed=transposed)

    def _window(self, rows: slice) -> Window:
        table, offsets = self.neighbours[rows], self.neighbours.shape[1]
        paired = table < self.inputs
        numbered = torch.add(torch.arange(offsets, dtype=torch.int32, device=table.device), table, alpha=offsets)
        order = numbered.view(-1).index_select(0, paired.view(-1).nonzero().view(-1))
        first, last = (end // offsets for end in torch.stack(order.aminmax()).tolist()) if len(order) else (0, -1)
        each = paired.sum(1, dtype=torch.int32)
        begin = each.cumsum(0, dtype=torch.int32) - each
        return Window(rows, slice(first, last + 1), order.sub_(first * offsets), begin)

    def _reversed(self) -> Tensor:
        if self.symmetric:
            return self.neighbours.flip(1)
        # One spare row takes what has no neighbour.
        rows = torch.arange(self.outputs, dtype=torch.int32, device=self.neighbours.device)
        out = self.neighbours.new_full((self.inputs + 1, self.neighbours.shape[1]), self.outputs)
        out.scatter_(0, self.neighbours.to(torch.int64), rows[:, None].expand_as(self.neighbours))
        return out[: self.inputs]

    def _block(self, rows: slice) -> Block:
        count = rows.stop - rows.start
        table = self.neighbours[rows]
        by_row = table < self.inputs
        if self.centre is not None:
            by_row[:, self.centre] = False
        by_offset = by_row.T.contiguous()
        place = by_offset.view(-1).nonzero().view(-1)
        sources = table.T.reshape(-1).index_select(0, place)
        targets = (place % count + rows.start).to(torch.int32)
        position = by_offset.view(-1).cumsum(0, dtype=torch.int32).sub_(1).view(-1, count).T.reshape(-1)
        order = position.index_select(0, by_row.view(-1).nonzero().view(-1))
        each = by_row.sum(1, dtype=torch.int32)
        begin = each.cumsum(0, dtype=torch.int32) - each
        return Block(rows, sources, targets, tuple(by_offset.sum(1).tolist()), order, begin)
