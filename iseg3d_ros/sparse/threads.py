"""How many threads are worth it on a CPU: where they wait long for one another, small products are faster in one."""

from __future__ import annotations

import os
import time

import torch
from torch.nn import functional as F

GAIN = 1.15  # times as fast more threads must be
TURNS = 8  # of each, the least counts
ROWS, WIDTH, OFFSETS = 4096, 32, 27  # of a block, as a U-Net's convolution works on


def settle() -> int:
    """Let this thread's products run in as many threads as are worth it, and say how many; for programs of one's own.

    Nothing is measured, and nothing changed, where OMP_NUM_THREADS says how many.
    """
    most = torch.get_num_threads()
    if most > 1 and "OMP_NUM_THREADS" not in os.environ:
        least = {count: _seconds(count) for count in (1, most)}
        torch.set_num_threads(most if least[most] * GAIN < least[1] else 1)
    return torch.get_num_threads()


def _seconds(threads: int) -> float:
    """Of a convolution's block: rows gathered, multiplied offset by offset, and summed."""
    torch.set_num_threads(threads)
    rows = torch.arange(ROWS, dtype=torch.int32)
    features, weight = torch.ones(ROWS, WIDTH), torch.ones(WIDTH, WIDTH)
    gathered, products = torch.empty(ROWS, WIDTH), torch.empty(ROWS, WIDTH)
    least = float("inf")
    with torch.inference_mode():
        for _ in range(TURNS):
            start = time.perf_counter()
            torch.index_select(features, 0, rows, out=gathered)
            for part, into in zip(gathered.chunk(OFFSETS), products.chunk(OFFSETS), strict=True):
                torch.mm(part, weight, out=into)
            F.embedding_bag(rows, products, rows[::8], mode="sum")
            least = min(least, time.perf_counter() - start)
    return least
