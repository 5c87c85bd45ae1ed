"""Parts of an object at the console: begun and corrected within it, taken back, locked, kept and opened again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import stool
from works import told

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console import wire
from iseg3d_ros.console.label_import import GivenLabels, GivenObject
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.peeking import Peeks
from iseg3d_ros.console.protocol import AddClick, Clear, Lock, Merge, Open, Paint, Peek, Save, Undo
from iseg3d_ros.console.regions import Stroke
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.predictor import Predictor

SEAT, LEG, FLOOR = (0.1, 0.1, 0.48), (0.03, 0.0, 0.2), (0.7, 0.7, 0.0)
XYZ, TRUTH = stool()
WHOLE, PART = "object_1", "object_2"


def opened(folder: Path) -> LocalWork:
    """A stool that is one object already."""
    given = GivenLabels((TRUTH > 0).astype(np.int32), (GivenObject(1, "stool"),), "truth")
    return LocalWork(Cloud(XYZ), lambda model, size: Predictor.load("random_walker", "cpu"), "", folder, (), given)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    work = opened(tmp_path)
    told(work)
    yield work
    work.close()


def begin(place: tuple[float, float, float] = SEAT) -> AddClick:
    return AddClick(Click(place, ""), True, "seat", WHOLE)


def overlap(labels: LabelsUpdate, label: int, truth: int) -> float:
    mine = labels.labels == label
    return float((mine & (truth == TRUTH)).sum() / (mine | (truth == TRUTH)).sum())


def test_a_part_is_corrected_within_its_object_and_outlives_a_crash(work: LocalWork, tmp_path: Path) -> None:
    state, labels, _ = told(work, begin(), AddClick(Click(LEG, "")))  # right click on the part: not the part's
    assert [(item.name, item.within) for item in state.objects] == [("stool", ""), ("seat", WHOLE)]
    assert [len(item.clicks) for item in state.objects] == [1, 1] and not state.background
    assert ((labels.labels > 0) == (TRUTH > 0)).all()
    assert overlap(labels, 2, 1) > 0.9 and overlap(labels, 1, 2) > 0.85
    assert wire.state_message(state, np.zeros(3))["objects"][1]["within"] == WHOLE
    shutil.copytree(tmp_path / ".work", tmp_path / "after" / ".work")
    again = opened(tmp_path / "after")
    same, kept, _ = told(again)
    assert (kept.labels == labels.labels).all() and same.objects[1].within == WHOLE
    state, kept, _ = told(again, Undo(), Undo())
    assert [item.name for item in state.objects] == ["stool"] and set(kept.labels[TRUTH > 0]) == {1}
    again.close()


def test_a_saved_session_keeps_its_parts(work: LocalWork) -> None:
    before, labels, _ = told(work, begin(), AddClick(Click(LEG, WHOLE)), Save("mine", "session"))
    state, kept, _ = told(work, Clear(), Open("mine"))
    assert (kept.labels == labels.labels).all() and [item.within for item in state.objects] == ["", WHOLE]


def test_a_click_beside_the_object_is_refused(work: LocalWork) -> None:
    state, _, said = told(work, begin(FLOOR))
    assert len(state.objects) == 1 and any(each.refused and "not on stool" in each.text for each in said)
    state, _, said = told(work, begin(), AddClick(Click(FLOOR, PART)))
    assert len(state.objects[1].clicks) == 1 and any(each.refused and "not on stool" in each.text for each in said)


def test_a_locked_object_keeps_its_parts_and_what_is_taken_from_a_part_is_its_objects(work: LocalWork) -> None:
    _, before, _ = told(work, begin(), AddClick(Click(LEG, "")))
    state, after, _ = told(work, Lock(WHOLE, True))
    assert (after.labels == before.labels).all() and state.objects[0].locked
    _, after, _ = told(work, Lock(WHOLE, False), Paint(Stroke(np.array([SEAT]), 0.05), PART, takes=True))
    changed = after.labels != before.labels
    assert changed.any() and set(after.labels[changed]) == {1} and set(before.labels[changed]) == {2}


def test_a_part_is_merged_into_its_object_and_not_the_other_way(work: LocalWork) -> None:
    _, _, said = told(work, begin(), Merge(PART, WHOLE))
    assert any(each.refused and "has parts" in each.text for each in said)
    state, labels, _ = told(work, Merge(WHOLE, PART))
    assert [item.id for item in state.objects] == [WHOLE] and set(labels.labels[TRUTH > 0]) == {1}


def test_nothing_is_shown_ahead_of_a_click_on_a_part() -> None:
    session = InteractiveSession(Predictor.load("random_walker", "cpu"))
    session.set_cloud(XYZ, up=(0, 0, 1))
    session.click(SEAT, session.add(id=WHOLE))
    session.click(SEAT, session.add(id=PART, within=WHOLE))
    peeks = Peeks(session, CloudUpdate(1, XYZ, None))
    assert peeks.look(Peek(Click(LEG, PART))) is None and peeks.look(Peek(Click(LEG, WHOLE))) is not None
