"""The last seconds of sweeps merged in one frame, thinned to one point a cell."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Sweep:
    """One cloud, already in the fixed frame."""

    stamp: int
    xyz: np.ndarray
    rgb: np.ndarray | None


class Accumulator:
    """Sweeps in, one cloud out; of several points in a cell the newest stays."""

    def __init__(self, seconds: float, cell: float, largest: int) -> None:
        self.seconds, self.cell, self.largest = seconds, cell, largest
        self._sweeps: deque[Sweep] = deque()

    def __len__(self) -> int:
        return len(self._sweeps)

    def add(self, sweep: Sweep) -> None:
        """Thins a sweep, keeps it, and forgets those that are too old; a clock that jumped back begins anew."""
        if self._sweeps and sweep.stamp < self._sweeps[-1].stamp:
            self._sweeps.clear()
        self._sweeps.append(thinned(sweep, self.cell))
        oldest = sweep.stamp - int(self.seconds * SECOND)
        while self._sweeps[0].stamp < oldest or self._points() > 4 * self.largest and len(self) > 1:
            self._sweeps.popleft()

    def merged(self) -> Sweep:
        """All of them as one; colour only if every sweep has it."""
        if not self._sweeps:
            raise ValueError("no cloud has arrived yet: check that ~/points is published")
        newest_first = list(reversed(self._sweeps))
        coloured = all(sweep.rgb is not None for sweep in newest_first)
        rgb = np.concatenate([sweep.rgb for sweep in newest_first]) if coloured else None  # type: ignore[misc]
        xyz = np.concatenate([sweep.xyz for sweep in newest_first])
        return thinned(Sweep(newest_first[0].stamp, xyz, rgb), self.cell)

    def _points(self) -> int:
        return sum(len(sweep.xyz) for sweep in self._sweeps)


def thinned(sweep: Sweep, cell: float) -> Sweep:
    """The first point of every cell."""
    keys = np.floor(sweep.xyz / np.float32(cell)).astype(np.int64)
    packed = (keys[:, 0] << 42) ^ ((keys[:, 1] & 0x1FFFFF) << 21) ^ (keys[:, 2] & 0x1FFFFF)
    first = np.sort(np.unique(packed, return_index=True)[1])
    return Sweep(sweep.stamp, sweep.xyz[first], None if sweep.rgb is None else sweep.rgb[first])
