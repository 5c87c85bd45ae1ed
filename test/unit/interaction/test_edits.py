"""Points given by hand and by labels made elsewhere: kept as given, corrected by clicks, undone, saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import table

from iseg3d_ros.interaction.point_edits import FREE, Edit, Pins, pack, unpack
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.predictor import Predictor

CUBE, TOP, OTHER, GROUND = (0.0, 0.0, 0.105), (0.0, -0.05, 0.06), (0.35, 0.1, 0.105), (-0.4, -0.4, 0.0)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("random_walker", "cpu", 0.02)


@pytest.fixture
def session(predictor: Predictor) -> InteractiveSession:
    xyz, rgb, _ = table()
    session = InteractiveSession(predictor)
    session.set_cloud(xyz, rgb)
    return session


def imported(session: InteractiveSession, labels: np.ndarray) -> None:
    with session.step():
        for number in range(1, labels.max() + 1):
            session.edit(session.add(id=f"thing {number}"), np.flatnonzero(labels == number))
        session.edit("", np.flatnonzero(labels == 0))
        session.select("")


def test_points_are_packed_and_foreign_text_is_refused() -> None:
    points = np.array([7, 3, 3, 1_000_000])
    assert unpack(pack(points)).tolist() == [3, 7, 1_000_000] and len(pack(np.arange(100_000))) < 1000
    for text in ("", "ä", "AAAA", pack(points)[:-8]):
        with pytest.raises(ValueError):
            unpack(text)


def test_a_later_edit_goes_before_an_earlier_one() -> None:
    pins = Pins.of([Edit("a", pack(np.array([0, 1])), 2), Edit("", pack(np.array([1, 9])), 3)], ["a"], 3)
    assert pins.label.tolist() == [1, 0, FREE] and pins.since.tolist() == [2, 3, 0]


def test_imported_masks_stay_until_clicks_correct_them(session: InteractiveSession) -> None:
    xyz, _, truth = table()
    leak = (truth == 0) & (np.abs(xyz[:, 0]) < 0.2) & (np.abs(xyz[:, 1] + 0.3) < 0.08)  # a patch of the table
    wrong = np.where(leak, 1, np.where(truth == 2, 0, truth)).astype(np.int32)
    wrong[(truth == 1) & (xyz[:, 0] < 0)] = 0  # and half of the thing is missing
    wrong[wrong == 3] = 2
    imported(session, wrong)
    assert (session.segment().labels == wrong).all() and session.can_undo
    session.click(tuple(xyz[leak].mean(0)), "")  # snaps to the table
    corrected = session.segment().labels
    assert (corrected[leak] == 1).mean() < 0.7 and (corrected[~leak] == wrong[~leak]).all()
    missing = (truth == 1) & (xyz[:, 0] < 0)
    session.click(xyz[missing & (xyz[:, 2] > 0.09)][0], "thing 1")
    grown = session.segment().labels
    assert (grown[missing] == 1).mean() > 0.7 and ((grown == 1) & (truth != 1)).mean() < 0.02
    session.undo()
    assert (session.segment().labels == corrected).all()
    session.undo()
    session.undo()
    assert session.objects == () and not session.segment().labels.any()


def test_a_new_object_is_found_beside_imported_ones(session: InteractiveSession) -> None:
    _, _, truth = table()
    imported(session, np.where(truth == 1, 1, 0).astype(np.int32))
    session.click(OTHER, session.add(id="new"))
    labels = session.segment().labels
    assert ((labels == 2) & (truth == 2)).sum() > 0.7 * (truth == 2).sum()
    assert ((labels == 1) == (truth == 1)).all()


def test_a_brush_changes_what_it_touches_and_a_later_click_elsewhere_does_not_undo_it(
    session: InteractiveSession,
) -> None:
    session.click(CUBE, session.add(id="cube"))
    before = session.segment().labels
    some = np.flatnonzero(before == 1)[:40]
    session.edit("", some)
    assert set(np.flatnonzero(session.segment().labels != before)) == set(some)
    session.click(GROUND, "")
    assert not session.segment().labels[some].any()
    session.remove("cube")
    assert not session.segment().labels.any() and session.edits[0].after == 0


def test_locked_points_stay(session: InteractiveSession) -> None:
    session.click(CUBE, session.add(id="cube"))
    mine = np.flatnonzero(session.segment().labels == 1)
    with session.step():
        session.edit("cube", mine)
        session.describe("cube", locked=True)
    session.click(TOP, session.add(id="other"))
    session.click(GROUND, "")
    assert (np.flatnonzero(session.segment().labels == 1) == mine).all()


def test_edits_and_details_are_saved_and_read_with_all_of_their_history(
    session: InteractiveSession, predictor: Predictor, tmp_path: Path
) -> None:
    session.click(CUBE, session.add(id="cube"))
    session.edit("", np.flatnonzero(session.segment().labels == 1)[:40])
    session.describe("cube", category="box", attributes={"state": "open"})
    session.save(tmp_path / "work.json")
    other = InteractiveSession(predictor)
    xyz, rgb, _ = table()
    other.set_cloud(xyz, rgb)
    other.restore(tmp_path / "work.json")
    assert other.objects == session.objects and other.edits == session.edits
    assert (other.segment().labels == session.segment().labels).all()
    session.undo()
    other.undo()
    assert other.objects == session.objects and other.objects[0].category == ""


def test_what_is_done_can_be_replayed(session: InteractiveSession, predictor: Predictor) -> None:
    actions: list[dict[str, object]] = []
    session.on_change = actions.append
    imported(session, np.where(table()[2] == 1, 1, 0).astype(np.int32))
    session.describe("thing 1", category="box", locked=True)
    again = InteractiveSession(predictor)
    for action in actions:
        again.replay(action)
    assert again.objects == session.objects and again.edits == session.edits


@pytest.mark.parametrize("details", [{"colour": "red"}, {"locked": "yes"}, {"attributes": []}, {"category": "a\nb"}])
def test_other_details_are_refused(session: InteractiveSession, details: dict[str, object]) -> None:
    session.add(id="a")
    with pytest.raises(ValueError):
        session.describe("a", **details)
