"""The list of what was done: told with the objects' colours, gone along at once, and kept as the work is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import table
from works import told, walker

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.page import Console
from iseg3d_ros.console.protocol import AddClick, Clear, GoTo, Redo, Remove, Rename, Setup, Undo
from iseg3d_ros.console.requests import command_of
from iseg3d_ros.console.updates import HistoryUpdate, StateUpdate

RED, BLUE, GROUND = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.4, -0.4, 0.0)
BEGUN = (AddClick(Click(RED, ""), new=True), Rename("object_1", "chair"), AddClick(Click(GROUND, "")))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    work = LocalWork(Cloud(*table()[:2]), walker, "", tmp_path)
    yield work
    work.close()


def history(work: LocalWork) -> HistoryUpdate:
    """What a reader that comes now is told."""
    return next(update for update in work.subscribe().take(60)[0] if isinstance(update, HistoryUpdate))


def test_what_was_done_is_listed_in_the_objects_colours(work: LocalWork) -> None:
    state, _, _ = told(work, *BEGUN, AddClick(Click(BLUE, ""), new=True), Remove("object_2"), Undo(), Undo())
    list = history(work)
    assert [(step.verb, step.name) for step in list.steps] == [
        ("new", "object_1"), ("name", "chair"), ("against", "chair"), ("new", "object_2"), ("delete", "object_2")
    ]  # fmt: skip
    assert list.present == 3 and {step.colour for step in list.steps[:3]} == {state.objects[0].colour}
    gone = {step.colour for step in list.steps[3:]}
    assert len(gone) == 1 and gone != {state.objects[0].colour} and () not in gone


def test_one_command_goes_where_as_many_undos_would_and_runs_no_model(
    work: LocalWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, labels, _ = told(work, BEGUN[0])
    told(work, *BEGUN[1:])
    last, filled, _ = told(work, AddClick(Click(BLUE, ""), new=True))
    session = work._session
    assert session is not None
    asked: list[Any] = []
    segment = session.predictor.segment
    monkeypatch.setattr(session.predictor, "segment", lambda *given, **more: asked.append(1) or segment(*given, **more))
    revision = history(work).revision
    back, found, _ = told(work, GoTo(revision, 1))
    assert [item.name for item in back.objects] == ["object_1"] and back.can_undo and back.can_redo
    assert np.array_equal(found.labels, labels.labels) and back.objects[0].points == first.objects[0].points
    assert history(work).present == 1 and history(work).revision == revision
    again, found, messages = told(work, GoTo(revision, 4), GoTo(revision, 5))
    assert np.array_equal(found.labels, filled.labels) and again.objects[1].colour == last.objects[1].colour
    assert [message.refused for message in messages] == [True], "there is no fifth step"
    assert not asked


def test_a_list_that_has_changed_meanwhile_is_refused(work: LocalWork) -> None:
    told(work, *BEGUN)
    old = history(work).revision
    state, _, messages = told(work, Clear(), GoTo(old, 1))
    assert not state.objects and "choose again" in messages[-1].text and history(work).present == 4


def test_another_model_and_another_process_keep_the_list(work: LocalWork, tmp_path: Path) -> None:
    told(work, *BEGUN, AddClick(Click(BLUE, ""), new=True), Remove("object_1"), Undo(), Redo())
    before = history(work)
    told(work, Setup("random_walker", 0.03))
    assert history(work) == before
    work.close()
    other = LocalWork(Cloud(*table()[:2]), walker, "", tmp_path)
    try:
        told(other)
        after = history(other)
        assert (after.steps, after.present) == (before.steps, before.present)
        state, _, _ = told(other, GoTo(after.revision, 1))
        assert [item.name for item in state.objects] == ["object_1"]
    finally:
        other.close()


def test_pages_are_told_of_it_only_where_it_has_changed(work: LocalWork, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(work, None)
    heard: list[HistoryUpdate] = []
    try:
        monkeypatch.setattr(console, "_tell", lambda told: heard.append(told) if told["kind"] == "history" else None)
        told(work, *BEGUN)
        told(work)
        end = time.monotonic() + 60
        while not (heard and len(heard[-1]["steps"]) == 3) and time.monotonic() < end:  # type: ignore[index]
            time.sleep(0.05)
        count = len(heard)
        told(work)
        assert len(heard) == count and 1 <= count <= 4
    finally:
        console.close()


def test_what_a_page_asks_for_is_checked() -> None:
    def asked(**request: Any) -> Any:
        return command_of({"do": "history", **request}, StateUpdate(), lambda _: RED, np.zeros(3))

    assert asked(revision=3, to=2) == GoTo(3, 2)
    assert asked(revision="3", to=2) is None and asked(revision=3) is None
    assert asked(revision=-1, to=2) is None and asked(revision=3, to=-5) is None
    far = asked(revision=1 << 70, to=1 << 40)  # refused by whoever works, and small enough for a message
    assert 0 <= far.revision < 1 << 64 and far.to == limits.HISTORY + 1
