"""Memory that is freed stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from iseg3d_ros.sparse.freed_memory import keep_freed
kept = {keep} and keep_freed()
def touch():
    for _ in range(20):
        first, second = np.ones(1 << 20), np.ones(1 << 22)  # 8 and 32 MB
        del first, second
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

GIVEN_BACK = """
import gc
from pathlib import Path
import numpy as np
from iseg3d_ros.sparse.freed_memory import give_back, keep_freed
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
keep_freed()
gc.disable()
held = [np.ones(8000) for _ in range(2000)]  # 128 MB
held.append(held)
few = held[:2000:100]  # so that the free space is between what stays
before = pages()
del held
print((before - pages()) // 256)
give_back()
print((before - pages()) // 256)
"""


def faults(keep: bool) -> tuple[bool, int]:
    """Whether memory is kept, and the pages fetched anew while arrays come and go."""
    words = [sys.executable, "-c", FAULTS.format(keep=keep)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    kept, count = done.stdout.split()
    return kept == "1", int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_arrays_get_the_pages_that_others_gave_back() -> None:
    kept, count = faults(True)
    assert kept and count < 1000
    assert faults(False)[1] > 10 * count


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_refers_to_itself_and_free_pages_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    kept, given = map(int, done.stdout.split())  # megabytes
    assert kept < 10 and given > 90
