"""The one thread on which the model runs. Callbacks hand it work and never wait; of clouds only the newest is kept."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
Cloud = TypeVar("Cloud")


class Answer(Generic[Result]):
    """What a call will return: a callback of rclpy awaits it, so that the executor goes on meanwhile."""

    def __init__(self, function: Callable[[], Result], wake: Callable[[], None]) -> None:
        self._function = function
        self._wake = wake
        self._done = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Makes the call, on the worker's thread."""
        try:
            self._result = self._function()
        except Exception as error:  # the caller gets it, the thread goes on
            self._error = error
        self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Lets the awaiting callback go on."""
        self._error = error or self._error
        self._done.set()
        self._wake()

    def __await__(self) -> Generator[None, None, Result]:
        while not self._done.is_set():
            yield  # rclpy resumes its tasks whenever the executor wakes
        return self.result()

    def result(self, timeout: float | None = None) -> Result:
        """Waits for the result: for threads other than the executor's."""
        if not self._done.wait(timeout):
            raise RuntimeError(f"the segmenter gave no answer within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Worker(Generic[Cloud]):
    """Hands over to `turn` whatever has come: the newest cloud, when it came, and the calls in their order.

    Everything that waits is one turn: a thousand clicks in the queue cost one inference. A cloud that is not `wanted`
    begins no turn, but is kept as the newest. `arrived` is told of every cloud, before its turn.
    """

    def __init__(
        self,
        turn: Callable[[Cloud | None, float, list[Answer[Any]]], None],
        wake: Callable[[], None],
        wanted: Callable[[], bool] = lambda: True,
        arrived: Callable[[], object] = lambda: None,
    ) -> None:
        self._turn, self._wanted, self._arrived = turn, wanted, arrived
        self.wake = wake  # the executor, so that its coroutines look whether what they await is done
        self._calls: deque[Answer[Any]] = deque()
        self._waiting = self._stop = False  # whether the newest cloud waits for a turn; whether to end
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self.enabled = True
        self.newest: Cloud | None = None
        self.newest_at = 0.0  # time.perf_counter()
        self.received = self.dropped = 0

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the call under way; calls still waiting are answered with an error."""
        with self._something:
            self._stop = True
            self._something.notify()
        self._thread.join()
        for answer in self._calls:
            answer.finish(RuntimeError("the node is shutting down: nothing was done"))

    def call(self, function: Callable[[], Result]) -> Answer[Result]:
        """Queues a call and returns at once."""
        answer = Answer(function, self.wake)
        with self._something:
            if self._stop:
                answer.finish(RuntimeError("the node is shutting down: nothing was done"))
                return answer
            self._calls.append(answer)
            self._something.notify()
        return answer

    def offer(self, cloud: Cloud) -> None:
        """A cloud has come; one that still waits for its turn is dropped for it, and counted."""
        self.received += 1
        if not self.enabled:
            return
        with self._something:
            self.newest, self.newest_at = cloud, time.perf_counter()
            self._arrived()
            if self._wanted():
                self.dropped += self._waiting
                self._waiting = True
                self._something.notify()

    def _run(self) -> None:
        while True:
            with self._something:
                self._something.wait_for(lambda: self._stop or self._calls or self._waiting)
                if self._stop:
                    return
                cloud, at = self.newest if self._waiting else None, self.newest_at
                self._waiting = False
                calls = [self._calls.popleft() for _ in range(len(self._calls))]
            self._turn(cloud, at, calls)
