"""What was done, told step by step; and going back to any of it as undo would, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import table

from iseg3d_ros import Predictor, Session, limits
from iseg3d_ros.console.label_import import GivenLabels, GivenObject
from iseg3d_ros.console.session_edits import lock, merge, paint, set_attribute, set_box, split, take_labels, take_up
from iseg3d_ros.interaction.replay import Replay
from iseg3d_ros.interaction.session import Action
from iseg3d_ros.interaction.session_states import StateHistory
from iseg3d_ros.interaction.steps import Step, steps_of

CUBE, OTHER, GROUND = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.4, -0.4, 0.0)


@pytest.fixture
def session() -> Session:
    session = Session(Predictor.load("random_walker", voxel_size=0.02))
    session.set_cloud(*table()[:2])
    return session


def last(session: Session) -> Step:
    return steps_of(session.history)[session.history.present - 1]


def test_every_step_is_told_with_the_object_it_concerns(session: Session, tmp_path: Path) -> None:
    told: list[Step] = []
    with session.step():
        session.click(CUBE, session.add(id="a"))
    told.append(last(session))
    session.rename("a", "chair")
    told.append(last(session))
    for point, id in ((OTHER, "a"), (GROUND, "")):
        session.click(point, id)
        told.append(last(session))
    session.select("")
    session.click(GROUND, "")
    told.append(last(session))
    assert told == [
        Step("new", "a", "a"), Step("name", "a", "chair", "a"), Step("click", "a", "chair"),
        Step("against", "a", "chair"), Step("ground"),
    ]  # fmt: skip

    cube = np.flatnonzero(table()[2] == 2)
    labels = session.segment().labels
    paint(session, np.zeros_like(labels), cube, "", takes=False)
    made = session.active
    assert last(session) == Step("new", made, made)
    session.describe(made, category="box")
    assert last(session) == Step("class", made, made, "box")
    set_attribute(session, made, "seen", "wholly")
    assert last(session) == Step("attribute", made, made, "seen")
    paint(session, session.segment().labels, cube[:5], made, takes=True)
    assert last(session) == Step("erase", made, made)
    paint(session, session.segment().labels, cube[:5], made, takes=False)
    assert last(session) == Step("paint", made, made)
    lock(session, session.segment().labels, made, True)
    assert last(session) == Step("lock", made, made)
    lock(session, session.segment().labels, made, False)
    assert last(session) == Step("unlock", made, made)
    set_box(session, table()[0], session.segment().labels, made, "aligned")
    assert last(session) == Step("box", made, made)
    set_box(session, table()[0], session.segment().labels, made, "")
    assert last(session) == Step("unbox", made, made)
    session.select("a")
    assert last(session) == Step("choose", "a", "chair")
    session.save(tmp_path / "kept.json")
    np.savez(tmp_path / "kept.npz", xyz=table()[0])
    merge(session, "a", made)
    assert last(session) == Step("merge", "a", "chair", made)
    with session.step():
        session.click(CUBE, session.add(id="b"))
    session.remove("b")
    assert last(session) == Step("delete", "b", "b")
    session.clear()
    assert last(session) == Step("clear")
    take_up(session, tmp_path / "kept.json", len(labels))
    assert last(session) == Step("take", more="2")


def test_objects_that_come_together_and_parts_are_told(session: Session) -> None:
    xyz = table()[0]
    ends = np.flatnonzero((xyz[:, 0] < -0.35) | (xyz[:, 0] > 0.45))
    labels = np.zeros(len(xyz), np.int64)
    labels[ends], labels[0] = 1, 2
    take_labels(session, GivenLabels(labels, (GivenObject(1, "ends"), GivenObject(2, "dot")), "a file"))
    assert last(session) == Step("take", more="2")
    parts = split(session, session.segment().labels, session.ids[0])
    assert last(session) == Step("split", session.ids[0], "ends", str(parts)) and parts > 1


def test_going_somewhere_is_as_many_undos_or_redos(session: Session) -> None:
    actions: list[Action] = []
    with session.step():
        session.click(CUBE, session.add(id="a"))
    session.click(OTHER, "a")
    session.rename("a", "chair")
    states = session.history.states
    session.on_change = actions.append
    for to in (0, 3, 1, 2, 3):
        session.go(session.history.way(session.history.revision, to))
        assert (session.objects, session.clicks) == (states[to].objects, states[to].clicks)
        assert (session.can_undo, session.can_redo) == (to > 0, to < 3)
        assert session.history.states == states
    assert actions == [{"action": "go", "by": -3}, {"action": "go", "by": 3}, {"action": "go", "by": -2},
                       {"action": "redo"}, {"action": "redo"}]  # fmt: skip
    session.go(0)
    assert len(actions) == 5, "where one is already nothing is done"
    for by, word in ((-4, "undo"), (1, "redo")):
        with pytest.raises(ValueError, match=f"nothing to {word}"):
            session.go(by)


def test_a_list_that_has_changed_is_not_gone_along(session: Session) -> None:
    session.add(id="a")
    seen = session.history.revision
    session.undo()
    assert session.history.way(seen, 1) == 1, "undo leaves the list as it is"
    session.add(id="b")
    for revision, to in ((seen, 0), (session.history.revision, 2), (session.history.revision, -1)):
        with pytest.raises(ValueError, match="choose again"):
            session.history.way(revision, to)


def test_going_back_and_forth_computes_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with session.step():
        session.click(CUBE, session.add(id="a"))
    results = [session.segment().labels]
    for point, id in ((OTHER, "a"), (GROUND, "")):
        session.click(point, id)
        results.append(session.segment().labels)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was run again")

    monkeypatch.setattr(session.predictor, "segment", refuse)
    for to in (1, 3, 2, 1):
        session.go(to - session.history.present)
        assert np.array_equal(session.segment().labels, results[to - 1])


def test_a_replayed_way_is_the_same(session: Session) -> None:
    actions: list[Action] = []
    session.on_change = actions.append
    for number in range(5):
        session.add(id=f"o{number}")
    session.click(CUBE, "o4")
    session.go(-4)
    session.go(3)
    replay = Replay(Session(session.predictor))
    for action in actions:
        replay.action(action, None)
    other = replay.session
    assert (other.objects, other.clicks, other.history) == (session.objects, session.clicks, session.history)
    assert other.history.undone == 1 and not replay.notes
    replay.action({"action": "go", "by": -99}, None)
    assert other.history == session.history, "a damaged way leads nowhere"
    for action in ({"action": "redo"}, {"action": "clear"}):
        replay.action(action, None)
    assert not replay.held, "the next click takes a new cloud"
    replay.action({"action": "go", "by": -1}, None)
    assert replay.held and len(other.clicks) == 1, "the clicks that are back are on the cloud that was there"


def test_the_list_is_bounded(session: Session) -> None:
    for number in range(limits.HISTORY + 20):
        session.add(id=f"o{number}")
    assert len(steps_of(session.history)) == limits.HISTORY and steps_of(session.history)[0].id == "o20"
    many = [*session.history.states, *session.history.states, *session.history.states]
    for present in (0, 30, 150):
        kept = StateHistory.bounded(many, present)
        assert len(steps_of(kept)) == limits.HISTORY and kept.state is many[present]
