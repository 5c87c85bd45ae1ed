"""Threads on a CPU: measured, unless somebody says how many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from iseg3d_ros.sparse import threads


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("of_one", "of_two", "wanted"), [(1.0, 0.5, 2), (1.0, 0.95, 1), (1.0, 1.6, 1)])
def test_more_threads_are_taken_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, of_one: float, of_two: float, wanted: int
) -> None:
    monkeypatch.setattr(threads, "_seconds", {1: of_one, 2: of_two}.__getitem__)
    assert threads.settle() == wanted == torch.get_num_threads()


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(threads, "_seconds", {}.__getitem__)
    assert threads.settle() == 2


def test_it_is_measured_in_a_moment() -> None:
    assert threads.settle() in (1, 2)
    assert 0 < threads._seconds(1) < 1
