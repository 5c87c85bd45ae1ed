"""Factors of sparse matrices, made and given up on one thread of their own.

SciPy's SuperLU notes by thread what it allocates, and frees nothing on another one: factors that are made on one thread
and let go on another stay in memory for good, some megabytes for each cloud.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

Jobs = SimpleQueue[Callable[[], object]]


class Maker:
    """The thread: begun by the first who asks, and anew in a forked process, which has no threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: Jobs = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.made: weakref.WeakSet[Factors] = weakref.WeakSet()
        atexit.register(self.end)

    def end(self) -> None:
        """Gives up all factors while the thread still is: the interpreter's end would do so on another one."""
        if self._thread is None or not self._thread.is_alive():
            return
        done = threading.Event()
        for factors in self.made:
            factors.free()
        self._jobs.put(done.set)
        done.wait(2.0)

    def jobs(self) -> Jobs:
        """What the thread does one after the other."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._jobs = SimpleQueue()
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name="factors", daemon=True)
                self._thread.start()
            return self._jobs


def _work(jobs: Jobs) -> None:
    while True:
        jobs.get()()


MAKER = Maker()


class Factors:
    """LU factors of a symmetric positive definite matrix; any thread may solve with them, and let them go."""

    def __init__(self, matrix: csc_matrix) -> None:
        self._held: list[Any] = []  # the only reference to SuperLU's object: who empties the list frees it
        self._jobs, self._lock = MAKER.jobs(), threading.Lock()
        held, failed, done = self._held, [], threading.Event()

        def make() -> None:
            try:
                symmetric = {"SymmetricMode": True}  # positive definite: pivots stay on the diagonal
                held.append(splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric))
            except Exception as error:
                failed.append(error)
            finally:
                done.set()

        MAKER.made.add(self)
        self._jobs.put(make)
        done.wait()
        if failed:
            raise failed[0]

    def solve(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """The solution for one right side."""
        with self._lock:
            solved: NDArray[np.float64] = self._held[0].solve(right)
        return solved

    def free(self) -> None:
        """Gives them up, on their thread."""
        self._jobs.put(self._held.clear)

    __del__ = free
