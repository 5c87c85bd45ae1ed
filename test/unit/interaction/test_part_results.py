"""Objects that are parts of others in a session: within their object's points, undone, saved, removed with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import stool

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.part_level import PartLevel
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.predictor import Predictor

SEAT, RIM, LEG, FLOOR = (0.1, 0.1, 0.48), (-0.15, 0.1, 0.48), (0.03, 0.0, 0.2), (0.7, 0.7, 0.0)
XYZ, TRUTH = stool()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("random_walker", "cpu")


@pytest.fixture
def session(predictor: Predictor) -> InteractiveSession:
    """A stool that is one object, its points as labels gave them."""
    session = InteractiveSession(predictor)
    session.set_cloud(XYZ, up=(0, 0, 1))
    with session.step():
        session.edit(session.add(id="stool"), np.flatnonzero(TRUTH > 0))
    return session


def part(session: InteractiveSession, id: str, place: tuple[float, float, float], within: str = "stool") -> None:
    with session.step():
        session.click(place, session.add(id=id, within=within))


def share(labels: np.ndarray, label: int, truth: int) -> float:
    both = ((labels == label) & (truth == TRUTH)).sum()
    return float(both / ((labels == label) | (truth == TRUTH)).sum())


def test_a_part_takes_points_of_its_object_alone_which_keeps_the_rest(session: InteractiveSession) -> None:
    before = session.segment()
    part(session, "seat", SEAT)
    session.click(LEG, "stool")  # on the object once it has parts: this is not the seat
    result = session.segment()
    assert (result.labels > 0).tolist() == (before.labels > 0).tolist(), "nothing outside has changed"
    assert share(result.labels, 2, 1) > 0.9 and share(result.labels, 1, 2) > 0.9
    assert result.objects == 2 and (result.probability <= 1).all() and (result.uncertainty >= 0).all()
    assert session.segment() is result, "computed once"
    session.undo()
    session.undo()
    assert (session.segment().labels == before.labels).all() and session.ids == ["stool"]
    session.redo()
    assert session.ids == ["stool", "seat"] and (session.segment().labels == 2).any()


def test_a_part_is_what_the_object_alone_gives(session: InteractiveSession, predictor: Predictor) -> None:
    """As `iseg3d segment --within` computes it."""
    part(session, "seat", SEAT)
    session.click(LEG, "stool")
    alone = PartLevel.of(predictor, XYZ, None, TRUTH > 0, (0, 0, 1)).segment([Click(SEAT, 2), Click(LEG, 0)])
    assert ((session.segment().labels == 2) == (alone.labels == 2)).all()


def test_a_clicked_object_has_parts_too_and_what_it_loses_they_lose(predictor: Predictor) -> None:
    session = InteractiveSession(predictor)
    session.set_cloud(XYZ, up=(0, 0, 1))
    with session.step():
        session.click(SEAT, session.add(id="stool"))
        session.click(LEG, "stool")
        session.click(FLOOR, "")
    whole = session.segment().labels == 1
    part(session, "leg", LEG)
    session.click(SEAT, "stool")
    labels = session.segment().labels
    assert ((labels > 0) == whole).all() and share(labels, 2, 2) > 0.8
    session.edit("", np.flatnonzero(TRUTH == 2))
    assert not (session.segment().labels[TRUTH == 2] > 0).any()


def test_points_given_by_hand_to_a_part_are_its_objects_too(session: InteractiveSession) -> None:
    part(session, "seat", SEAT)
    session.click(LEG, "stool")
    floor = np.flatnonzero(TRUTH == 0)[:30]
    session.edit("seat", floor)
    assert (session.segment().labels[floor] == 2).all()
    seat = np.flatnonzero(session.segment().labels == 2)[:50]
    session.edit("stool", seat)
    assert (session.segment().labels[seat] == 1).all()
    session.remove("seat")
    labels = session.segment().labels
    assert set(labels[TRUTH > 0]) == {1} and session.edits[-1].id == "stool"


def test_parts_of_parts(session: InteractiveSession) -> None:
    part(session, "seat", SEAT)
    session.click(LEG, "stool")
    seat = session.segment().labels == 2
    part(session, "rim", RIM, "seat")
    session.click(SEAT, "seat")
    labels = session.segment().labels
    assert ((labels == 2) | (labels == 3)).tolist() == seat.tolist()
    assert (labels == 2).any() and (labels == 3).any()
    session.remove("stool")
    assert not session.objects and not session.clicks and not session.edits
    session.undo()
    assert (session.segment().labels == labels).all()


def test_parts_are_saved_and_replayed(session: InteractiveSession, predictor: Predictor, tmp_path: Path) -> None:
    part(session, "seat", SEAT)
    session.click(LEG, "stool")
    labels = session.segment().labels
    session.save(tmp_path / "work.json")
    other = InteractiveSession(predictor)
    other.set_cloud(XYZ, up=(0, 0, 1))
    other.restore(tmp_path / "work.json")
    assert other.objects == session.objects and (other.segment().labels == labels).all()
    actions: list[dict[str, object]] = []
    told, again = InteractiveSession(predictor, actions.append), InteractiveSession(predictor)
    for each in (told, again):
        each.set_cloud(XYZ, up=(0, 0, 1))
    told.edit(told.add(id="stool"), np.flatnonzero(TRUTH > 0))
    part(told, "seat", SEAT)
    for action in actions:
        again.replay(action)
    assert again.objects == told.objects and again.clicks == told.clicks


def test_what_cannot_be_a_part_is_refused(session: InteractiveSession, predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="no object 'chair'"):
        session.add(id="seat", within="chair")
    with pytest.raises(ValueError, match="begin another one"):
        session.describe("stool", within="stool")
    part(session, "seat", SEAT)
    content = session.content()
    content["states"][-1]["objects"][1][-1][2]["within"] = "seat"
    with pytest.raises(ValueError, match="no object before it"):
        InteractiveSession(predictor).take_content(content)
