"""The process keeps the memory that it frees: a page given back and fetched anew costs as much as filling it."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # of glibc's mallopt
KEPT = 1 << 28  # bytes that may lie free at a heap's end, a quarter of a gigabyte
ARENAS = 2  # each keeps as much; glibc's own limit is eight for each processor, filled as threads come and go
FROM_HEAP = (1 << 26, 1 << 25)  # largest arrays that come from the heap; older glibc allows no more than the second


def keep_freed() -> bool:
    """Ask the C library for it, and say whether it does; for processes of one's own, since it holds for all of it.

    At its fullest the process takes up to an eighth more. Only Linux with glibc knows how.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None or not mallopt(ARENA_MAX, ARENAS) or not mallopt(TRIM_THRESHOLD, KEPT):
        return False
    return any(mallopt(MMAP_THRESHOLD, size) for size in FROM_HEAP)


def give_back() -> None:
    """Collects what refers to itself, and gives the system all free pages: for when a model and its clouds are let go.

    The interpreter by itself looks for such garbage only when a quarter more objects are there than at its last look:
    few objects that hold large arrays would wait for hundreds of others.
    """
    gc.collect()
    trim()


def trim() -> None:
    """Give the system all free pages: for when nothing is to be done for a while."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):  # another C library
        return None
