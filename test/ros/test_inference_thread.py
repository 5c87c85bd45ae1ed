"""The inference thread: order, newest wins, batches, errors, shutting down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from iseg3d_ros import limits
from iseg3d_ros.ros import inference_thread
from iseg3d_ros.ros.inference_thread import Answer, NotYet, Worker


class Recorder:
    """A worker whose clouds are numbers, and what it did with them."""

    def __init__(self) -> None:
        self.clouds: list[int] = []
        self.settled = 0
        self.woken = 0
        self.gate = threading.Event()
        self.wanted = True
        self.late: set[int] = set()
        self.rests = threading.Semaphore(0)
        self.worker: Worker[int] = Worker(self.turn, self.wake, lambda: self.wanted, rests=self.rests.release)

    def turn(self, cloud: int | None, at: float, calls: Sequence[Answer[Any]]) -> bool:
        if cloud is not None:
            self.clouds.append(cloud)
        for call in calls:
            call.run()
        self.settled += 1
        return cloud is not None and cloud in self.late

    def wake(self) -> None:
        self.woken += 1


def test_calls_keep_their_order_and_many_take_one_turn() -> None:
    recorder = Recorder()
    done: list[int] = []

    def job(i: int) -> int:
        done.append(i)
        return i

    answers = [recorder.worker.call(partial(job, i)) for i in range(1000)]
    recorder.worker.start()
    assert [answer.result(5) for answer in answers] == list(range(1000)) == done
    recorder.worker.stop()
    assert recorder.settled <= 2 and recorder.woken == 1000


def test_a_call_knows_whether_others_wait() -> None:
    recorder = Recorder()
    worker, crowded = recorder.worker, list[bool]()

    def look() -> None:
        crowded.append(worker.crowded)

    worker.start()
    worker.call(look).result(5)
    blocked = worker.call(lambda: recorder.gate.wait(60))
    last = [worker.call(look), worker.call(lambda: None)][-1]
    recorder.gate.set()
    assert blocked.result(5) and last.result(5) is None
    worker.call(look).result(5)
    worker.stop()
    assert crowded == [False, True, False]


def test_newest_cloud_wins_and_the_rest_is_counted() -> None:
    recorder = Recorder()
    for cloud in range(5):
        recorder.worker.offer(cloud)
    recorder.worker.start()
    recorder.worker.call(lambda: None).result(5)
    recorder.worker.stop()
    assert recorder.clouds == [4] and recorder.worker.dropped == 4


def test_offering_never_waits_for_the_model() -> None:
    recorder = Recorder()
    recorder.worker.start()
    slow = recorder.worker.call(lambda: recorder.gate.wait(60))
    for cloud in range(1000):
        recorder.worker.offer(cloud)
    recorder.gate.set()
    assert slow.result(5), "the gate was opened while clouds were offered, not by its end of waiting"
    recorder.worker.call(lambda: None).result(5)
    recorder.worker.stop()
    assert recorder.clouds == [999] and recorder.worker.dropped == 999


def test_errors_reach_the_caller_and_the_thread_goes_on() -> None:
    recorder = Recorder()
    recorder.worker.start()

    def fail() -> None:
        raise ValueError("no such object")

    with pytest.raises(ValueError, match="no such object"):
        recorder.worker.call(fail).result(5)
    assert recorder.worker.call(lambda: 3).result(5) == 3
    recorder.worker.stop()


def test_a_cloud_that_is_not_wanted_is_kept_and_begins_no_turn() -> None:
    recorder = Recorder()
    recorder.wanted = False
    recorder.worker.start()
    recorder.worker.offer(7)
    recorder.worker.call(lambda: None).result(5)
    recorder.worker.enabled = False
    recorder.worker.offer(8)
    recorder.worker.stop()
    assert recorder.worker.newest == 7 and recorder.worker.received == 2
    assert recorder.clouds == [] and recorder.worker.dropped == 0


def test_awaiting_yields_until_done() -> None:
    recorder = Recorder()
    answer = recorder.worker.call(lambda: 7)
    waiting = answer.__await__()
    assert next(waiting) is None and next(waiting) is None
    recorder.worker.start()
    assert answer.result(5) == 7
    with pytest.raises(StopIteration) as stop:
        next(waiting)
    assert stop.value.value == 7
    recorder.worker.stop()


def test_nothing_hangs_after_stop() -> None:
    recorder = Recorder()
    recorder.worker.start()
    begun = threading.Event()
    busy = recorder.worker.call(lambda: begun.set() or recorder.gate.wait(5))  # type: ignore[func-returns-value]
    assert begun.wait(5)
    waiting = recorder.worker.call(lambda: 1)
    threading.Timer(0.1, recorder.gate.set).start()
    recorder.worker.stop()
    assert busy.result(1)
    for answer in (waiting, recorder.worker.call(lambda: 2)):
        try:
            assert answer.result(1) == 1
        except RuntimeError as error:
            assert "shutting down" in str(error)


def test_a_call_that_waits_for_a_transform_holds_nobody() -> None:
    recorder, there, tried = Recorder(), threading.Event(), threading.Event()

    def bad() -> str:
        tried.set()
        if not there.is_set():
            raise NotYet
        return "late"

    waiting = [recorder.worker.call(bad) for _ in range(200)]
    recorder.worker.start()
    assert tried.wait(10)
    assert recorder.worker.call(lambda: "good").result(10) == "good"
    assert not any(answer.done for answer in waiting)
    there.set()
    assert [answer.result(10) for answer in waiting] == ["late"] * 200
    recorder.worker.stop()


def test_a_cloud_that_waits_for_its_transform_is_not_displaced_by_newer_ones() -> None:
    recorder = Recorder()
    recorder.late = {0}
    recorder.worker.offer(0)
    recorder.worker.start()
    until(lambda: len(recorder.clouds) > 3)
    for cloud in (1, 2, 3):
        recorder.worker.offer(cloud)
    assert recorder.worker.call(lambda: set(recorder.clouds)).result(10) == {0}
    recorder.late = set()
    until(lambda: recorder.clouds[-1] == 3)
    recorder.worker.stop()
    assert set(recorder.clouds) == {0, 3} and recorder.worker.dropped == 2


def test_a_full_queue_refuses_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLS", 3)
    recorder = Recorder()
    answers = [recorder.worker.call(lambda: None) for _ in range(5)]
    assert [answer.refusal for answer in answers[:3]] == [""] * 3 and "3 requests wait" in answers[4].refusal
    with pytest.raises(RuntimeError, match="3 requests wait"):
        answers[3].result(0)


def test_the_end_does_not_wait_for_the_batch_nor_for_ever_for_a_call() -> None:
    recorder, begun, free = Recorder(), threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        free.wait(60)

    recorder.worker.call(long)
    behind = [recorder.worker.call(lambda: None) for _ in range(100)]
    recorder.worker.start()
    assert begun.wait(10)
    recorder.worker.stop()  # returns, although the call never ends
    for answer in behind:
        with pytest.raises(RuntimeError, match="shutting down"):
            answer.result(0)
    free.set()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_rests_once_after_work_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_thread, "IDLE", 0.05)
    recorder = Recorder()
    recorder.worker.start()
    assert not recorder.rests.acquire(timeout=0.2)  # nothing was done yet
    for _ in range(2):
        recorder.worker.call(lambda: None).result(5)
        assert recorder.rests.acquire(timeout=5)
        assert not recorder.rests.acquire(timeout=0.2)
    recorder.worker.stop()
