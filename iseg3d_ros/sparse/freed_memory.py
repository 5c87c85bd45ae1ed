"""The process keeps the memory that it frees: a page given back and fetched anew costs as much as filling it."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
KEPT = 1 << 28  # bytes that may lie free at the heap's end, a quarter of a gigabyte
FROM_HEAP = (1 << 26, 1 << 25)  # largest arrays that come from the heap; older glibc allows no more than the second


def keep_freed() -> bool:
    """Ask the C library for it, and say whether it does; for processes of one's own, since it holds for all of it.

    At its fullest the process takes up to an eighth more. Only Linux with glibc knows how.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT)) and any(mallopt(MMAP_THRESHOLD, size) for size in FROM_HEAP)
