"""SuperLU's factors are freed on the thread that made them, whoever lets them go: elsewhere SciPy loses the memory."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from iseg3d_ros.models import factors


class AllocatedBytes(ctypes.Structure):
    """glibc's mallinfo2."""

    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(10)]

    @staticmethod
    def now() -> int:
        """What all threads together hold of the C library."""
        info = ctypes.CDLL(None).mallinfo2
        info.restype = AllocatedBytes
        found = info()
        return int(found.field4 + found.field7)  # mapped, and from the heaps


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc 2.33 counts what is allocated")
def test_factors_made_and_let_go_on_many_threads_leave_nothing_allocated() -> None:
    noise = sparse.random(1500, 1500, 0.002, format="csc", random_state=0)
    matrix = (noise + noise.T + 10 * sparse.eye(1500)).tocsc()
    kept: list[Any] = [factors.Factors(matrix)]
    before = AllocatedBytes.now()
    kept.append(factors.Factors(matrix))
    one = AllocatedBytes.now() - before
    assert one > 1e6, "large enough to be told from everything else"
    for number in range(20):
        thread = threading.Thread(target=lambda: kept.append(factors.Factors(matrix)))
        thread.start()
        thread.join()
        cycle: list[Any] = [kept.pop()]
        if number % 2:
            cycle.append(cycle)  # the garbage collector frees this one, on whatever thread it runs
        del cycle
    gc.collect()
    factors.Factors(matrix)  # the thread has done all that was asked before
    assert AllocatedBytes.now() - before < 3 * one


def test_a_matrix_without_factors_is_an_error_here_and_the_thread_goes_on() -> None:
    with pytest.raises(RuntimeError, match="singular"):
        factors.Factors(sparse.csc_matrix((3, 3)))
    assert factors.Factors(2 * sparse.eye(3, format="csc")).solve(np.ones(3)) == pytest.approx(0.5)


def _solved(results: Any) -> None:
    results.put(float(factors.Factors(4 * sparse.eye(2, format="csc")).solve(np.ones(2))[0]))


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    factors.Factors(sparse.eye(2, format="csc"))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_solved, args=(results,))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and results.get() == 0.25
