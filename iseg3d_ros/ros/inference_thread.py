"""The one thread on which the model runs. Callbacks hand it work and never wait; of clouds only the newest is kept."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from iseg3d_ros import limits

INFERENCE = "inference"  # the thread's name
POLL, LONG_POLL = 0.01, 0.05  # seconds between two looks at transforms that are late, for few and for many
MANY = 10
IDLE = 3.0  # seconds without work after which what was freed is given back
ENDS = "the node is shutting down: nothing was done"
Result = TypeVar("Result")
Cloud = TypeVar("Cloud")


class NotYet(Exception):
    """What a call needs may still come, a transform above all: it is made again, and nobody waits for it meanwhile."""


class Answer(Generic[Result]):
    """What a call will return: a callback of rclpy awaits it, so that the executor goes on meanwhile."""

    def __init__(self, function: Callable[[], Result], wake: Callable[[], None]) -> None:
        self._function = function
        self._wake = wake
        self.asked = time.perf_counter()
        self._begun = False
        self.refusal = ""  # why it was not made at all
        self._done = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Makes the call, on the worker's thread; one that waits for a transform is made again later."""
        self._begun = True
        if self.done:
            return
        try:
            self._result = self._function()
        except NotYet:
            self._begun = False
            return
        except Exception as error:  # the caller gets it, the thread goes on
            self._error = error
        self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Lets the awaiting callback go on."""
        self._error = error or self._error
        self._done.set()
        self._wake()

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error."""
        return self._done.is_set()

    def refuse(self, reason: str) -> None:
        """Answers with an error, unless it is being made."""
        if not self._begun and not self.done:
            self.refusal = reason
            self.finish(RuntimeError(reason))

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
    begins no turn, but is kept as the newest. `arrived` is told of every cloud, before its turn, and `rests` is called
    once nothing has come for a while. A cloud and calls that wait for transforms are handed over again; newer clouds
    wait behind, and of them only the newest.
    """

    def __init__(
        self,
        turn: Callable[[Cloud | None, float, list[Answer[Any]]], bool],
        wake: Callable[[], None],
        wanted: Callable[[], bool] = lambda: True,
        arrived: Callable[[], object] = lambda: None,
        rests: Callable[[], object] = lambda: None,
    ) -> None:
        self._turn, self._wanted, self._arrived, self._rests = turn, wanted, arrived, rests
        self.wake = wake  # the executor, so that its coroutines look whether what they await is done
        self._calls: deque[Answer[Any]] = deque()
        self._batch: list[Answer[Any]] = []  # those of the present turn
        self._waiting = self._stop = False  # whether the newest cloud waits for a turn; whether to end
        self._late = False  # whether the cloud of the last turn waits for its transform
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=INFERENCE, daemon=True)
        self.enabled = True
        self.newest: Cloud | None = None
        self.newest_at = 0.0  # time.perf_counter()
        self.received = self.dropped = 0

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the call under way, or leaves it; all others are answered with an error."""
        with self._something:
            self._stop = True
            self._something.notify()
            waiting = [*self._batch, *self._calls]
        for answer in waiting:
            answer.refuse(ENDS)
        self._thread.join(limits.STOP)

    def call(self, function: Callable[[], Result]) -> Answer[Result]:
        """Queues a call and returns at once."""
        answer = Answer(function, self.wake)
        with self._something:
            if self._stop or len(self._calls) >= limits.CALLS:
                answer.refuse(ENDS if self._stop else f"the segmenter is busy: {limits.CALLS} requests wait already")
                return answer
            self._calls.append(answer)
            self._something.notify()
        return answer

    @property
    def crowded(self) -> bool:
        """Whether, seen from a call that is being made, further calls or a cloud wait. On the worker's thread."""
        with self._something:
            return sum(not call.done for call in self._batch) + len(self._calls) > 1 or self._waiting

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

    def _has_work(self) -> bool:
        return self._stop or bool(self._calls) or (self._waiting and not self._late)

    def _run(self) -> None:
        cloud, at, worked = None, 0.0, False
        while True:
            waits = len(self._batch) + self._late
            rest = (IDLE if worked else None) if not waits else POLL if waits < MANY else LONG_POLL
            with self._something:
                come = self._something.wait_for(self._has_work, rest)
                if self._stop:
                    return
                if not self._late:
                    cloud, at = self.newest if self._waiting else None, self.newest_at
                    self._waiting = False
                self._batch += [self._calls.popleft() for _ in range(len(self._calls))]
            worked = come or waits > 0
            if not worked:
                self._rests()
                continue
            self._late = self._turn(cloud, at, self._batch)
            self._batch = [answer for answer in self._batch if not answer.done]
