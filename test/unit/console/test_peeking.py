"""What a click would hold: shown, kept nowhere, and never before what somebody wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import table
from works import told, walker

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import AddClick, Peek
from iseg3d_ros.console.updates import Mailbox, PeekUpdate
from iseg3d_ros.interaction import looking_ahead

CUBE, OTHER = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    xyz, rgb, _ = table()
    work = LocalWork(Cloud(xyz, rgb), walker, "", tmp_path)
    yield work
    work.close()


def answer(inbox: Mailbox, seconds: float = 60) -> PeekUpdate | None:
    """The next peek that a reader is told; None where none comes."""
    while True:
        updates, _ = inbox.take(seconds)
        if not updates:
            return None
        for update in updates:
            if isinstance(update, PeekUpdate):
                return update


def test_a_peek_is_answered_and_changes_nothing(work: LocalWork) -> None:
    told(work)
    inbox = work.subscribe()
    inbox.take(1)
    work.send(Peek(Click(CUBE, ""), new=True))
    seen = answer(inbox)
    assert seen is not None and seen.point == CUBE
    assert 50 < len(seen.points) <= looking_ahead.SHOWN
    truth, xyz = table()[2], table()[0]
    rows = [int(np.abs(xyz - point).sum(1).argmin()) for point in seen.points[:50]]
    assert np.mean(truth[rows] == 1) > 0.9
    state, _, _ = told(work, AddClick(Click(OTHER, ""), new=True))
    assert len(state.objects) == 1 and len(state.objects[0].clicks) == 1


def test_of_peeks_that_wait_the_newest_is_answered_and_none_behind_a_click(work: LocalWork) -> None:
    told(work)
    inbox = work.subscribe()
    inbox.take(1)
    for command in (Peek(Click(CUBE, ""), True), Peek(Click(OTHER, ""), True), AddClick(Click(CUBE, ""), True)):
        work.send(command)
    told(work)
    work.send(Peek(Click(OTHER, ""), True))
    places = []
    while (seen := answer(inbox, 5)) is not None:
        places.append(seen.point)
        if seen.point == OTHER:
            break
    assert places[-1] == OTHER and len(places) <= 2


def test_a_model_that_learns_from_clicks_is_not_asked(work: LocalWork, monkeypatch: pytest.MonkeyPatch) -> None:
    told(work)
    assert work._session is not None
    monkeypatch.setattr(work._session.predictor.network, "reset", lambda _: None, raising=False)
    inbox = work.subscribe()
    inbox.take(1)
    work.send(Peek(Click(CUBE, ""), True))
    assert answer(inbox, 3) is None


def test_a_slow_model_is_asked_no_more(work: LocalWork, monkeypatch: pytest.MonkeyPatch) -> None:
    told(work)
    monkeypatch.setattr(looking_ahead, "SLOW", 0.0)
    inbox = work.subscribe()
    inbox.take(1)
    answers = []
    for place in (CUBE, OTHER, CUBE):
        work.send(Peek(Click(place, ""), True))
        answers.append(answer(inbox, 3 if len(answers) == 2 else 60))
    assert answers[0] is not None and answers[1] is not None and answers[2] is None
