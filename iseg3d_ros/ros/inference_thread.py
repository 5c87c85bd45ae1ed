"""The one thread on which the model runs. Callbacks hand it work and never wait; of clouds only the newest is kept."""

from __future__ import annotations

import threading
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
    """Runs calls in order; before them the newest cloud, if one is waiting; after each batch `update_masks`.

    `update_masks` is where a change becomes masks and messages: a thousand clicks in the queue cost one inference.
    """

    def __init__(
        self,
        take_cloud: Callable[[Cloud], None],
        update_masks: Callable[[], None],
        wake: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._take_cloud, self._update_masks, self._failed = take_cloud, update_masks, failed
        self.wake = wake  # the executor, so that its coroutines look whether what they await is done
        self._calls: deque[Answer[Any]] = deque()
        self._cloud: Cloud | None = None
        self._stop = False
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self.dropped = 0

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
        """Hands over a cloud; one that still waits is dropped for it, and counted."""
        with self._something:
            self.dropped += self._cloud is not None
            self._cloud = cloud
            self._something.notify()

    def _run(self) -> None:
        while True:
            with self._something:
                self._something.wait_for(lambda: self._stop or self._calls or self._cloud is not None)
                if self._stop:
                    return
                cloud, self._cloud = self._cloud, None
                calls = [self._calls.popleft() for _ in range(len(self._calls))]
            if cloud is not None:
                self._guarded(lambda cloud=cloud: self._take_cloud(cloud))  # type: ignore[misc]
            for answer in calls:
                answer.run()
            self._guarded(self._update_masks)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # a cloud on which the model fails must not end the node
            self._failed(error)
