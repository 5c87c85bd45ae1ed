"""The console without a browser: who may enter, what is picked and drawn, newest wins, a session behind it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import table
from works import told

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, read_cloud
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import (
    AddClick,
    Classify,
    Clear,
    Merge,
    Open,
    Redo,
    Remove,
    Rename,
    Save,
    Select,
    Setup,
    Undo,
)
from iseg3d_ros.console.updates import Board, CloudUpdate, LinkUpdate, Message, StateUpdate
from iseg3d_ros.interaction.storage import inside
from iseg3d_ros.predictor import Predictor

PATIENCE = 60.0


def test_the_console_imports_no_ros() -> None:
    code = "import iseg3d_ros.console.page, iseg3d_ros.console.local_backend, sys; print('rclpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Updates


def test_a_newer_update_replaces_an_older_one_and_calls_do_not() -> None:
    board = Board()
    board.publish(StateUpdate(active="before"))
    mailbox = board.subscribe()
    for number in range(1000):
        board.publish(CloudUpdate(number, np.zeros((1, 3)), None))
        board.publish(StateUpdate(active=str(number)))
    mailbox.call(lambda: None)
    mailbox.call(lambda: None)
    updates, calls = mailbox.take()
    assert [type(update).__name__ for update in updates] == ["CloudUpdate", "StateUpdate"]
    assert isinstance(updates[1], StateUpdate) and updates[1].active == "999" and len(calls) == 2
    assert board.subscribe().take()[0][1] is updates[1], "a reader that comes later has what holds"


# A session behind it


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    xyz, rgb, _ = table()

    def load(model: str, size: float) -> Predictor:
        return Predictor.load(model or "random_walker", "cpu", size or 0.02)

    work = LocalWork(Cloud(xyz, rgb), load, "", tmp_path)
    yield work
    work.close()


def test_clicks_make_objects_and_every_verb_works(work: LocalWork, tmp_path: Path) -> None:
    _, _, truth = table()
    red, ground = (0.0, 0.0, 0.105), (-0.4, -0.4, 0.0)
    state, labels, _ = told(work, AddClick(Click(red, ""), new=True), AddClick(Click(ground, "")))
    assert [item.id for item in state.objects] == ["object_1"] and state.active == "object_1"
    assert len(state.background) == 1 and state.objects[0].points == (labels.labels == 1).sum()
    assert ((labels.labels == 1) & (truth == 1)).sum() > 0.7 * (truth == 1).sum()
    assert state.objects[0].box is not None and state.can_undo
    state, _, _ = told(work, Undo(), Rename("object_1", "cube"))
    assert state.background == () and state.objects[0].name == "cube"
    state, _, _ = told(work, Setup("random_walker", 0.03))
    assert state.objects[0].name == "cube", "another voxel size keeps the work"
    state, _, messages = told(work, Save("a/cube", "ply"), Save("../b", "ply"), Save("w", "session"), Redo())
    assert (read_cloud(tmp_path / "a" / "cube.ply").labels == 1).any() and (tmp_path / "w.json").is_file()
    assert not (tmp_path.parent / "b.ply").exists()
    refused = [message.text for message in messages if message.refused]
    assert any("outside the folder" in text for text in refused) and any("redo" in text for text in refused)
    state, labels, _ = told(work, Remove("object_1"))
    assert state.objects == () and not labels.labels.any()


def test_classes_that_a_model_knows_are_told(work: LocalWork) -> None:
    state, _, _ = told(work, AddClick(Click((0.0, 0.0, 0.105), ""), new=True), Setup("fewclick", 0.02))
    ((name, chance), *others) = state.objects[0].guesses
    assert isinstance(name, str) and 0 < chance <= 1 and len(others) == 2


def test_a_saved_session_is_taken_up_and_can_be_undone(work: LocalWork, tmp_path: Path) -> None:
    first, _, _ = told(work, AddClick(Click((0.0, 0.0, 0.105), "cube"), new=True), Rename("cube", "the cube"))
    _, _, messages = told(work, Save("mine", "session"), Save("mine", "session"), Clear())
    assert any("is there already" in message.text for message in messages if message.refused)
    state, labels, _ = told(work, Open("mine"))
    assert [(item.id, item.name, item.points) for item in state.objects] == [
        (item.id, item.name, item.points) for item in first.objects
    ]
    assert labels.labels.any()
    state, _, messages = told(work, Undo(), Open("nothing"), Open("../mine"))
    assert not state.objects and len([message for message in messages if message.refused]) == 2


def test_names_and_choices_cost_no_segmentation(work: LocalWork, monkeypatch: pytest.MonkeyPatch) -> None:
    told(work, AddClick(Click((0.0, 0.0, 0.105), "cube"), new=True))
    calls = []
    segment = Predictor.segment
    monkeypatch.setattr(Predictor, "segment", lambda *given, **more: calls.append(1) or segment(*given, **more))
    steps = (Rename("cube", "box"), Select(""), Select("cube"), Undo(), Redo(), Classify("cube", "thing"))
    state, _, _ = told(work, *steps)
    assert not calls and state.objects[0].name == "box" and state.objects[0].category == "thing"


def test_two_objects_become_one(work: LocalWork) -> None:
    given = [AddClick(Click((0.0, 0.0, 0.105), "a"), new=True), AddClick(Click((0.35, 0.1, 0.105), "b"), new=True)]
    state, labels, _ = told(work, *given, Merge("a", "b"))
    assert [item.id for item in state.objects] == ["a"] and len(state.objects[0].clicks) == 2
    _, _, truth = table()
    assert all((labels.labels[truth == number] == 1).mean() > 0.5 for number in (1, 2))
    state, _, messages = told(work, Undo(), Merge("a", "a"))
    assert len(state.objects) == 2 and any(message.refused for message in messages)


def test_a_restart_brings_the_work_back(work: LocalWork, tmp_path: Path) -> None:
    before, _, _ = told(work, AddClick(Click((0.0, 0.0, 0.105), "cube"), new=True), Rename("cube", "the cube"))
    work.close()
    xyz, rgb, _ = table()

    def load(model: str, size: float) -> Predictor:
        return Predictor.load(model or "random_walker", "cpu", size or 0.02)

    again, other = LocalWork(Cloud(xyz, rgb), load, "", tmp_path), LocalWork(Cloud(xyz + 1), load, "", tmp_path)
    state, labels, _ = told(again)
    assert [(item.id, item.name) for item in state.objects] == [("cube", "the cube")]
    assert state.objects[0].points == before.objects[0].points == (labels.labels == 1).sum() > 0
    assert told(other)[0].objects == (), "another cloud's work is its own"
    again.close()
    other.close()


def test_what_cannot_be_done_is_said(work: LocalWork) -> None:
    _, _, messages = told(work, AddClick(Click((9.0, 9.0, 9.0), ""), new=True), Setup("no_such_model"))
    assert any("from the nearest point" in message.text and message.refused for message in messages)
    assert any("no_such_model" in message.text for message in messages)
    state, _, _ = told(work, AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    assert len(state.objects) == 1, "it goes on with the model it had"


def test_no_model_is_said_on_the_page(tmp_path: Path) -> None:
    def load(model: str, size: float) -> Predictor:
        raise ValueError("there are no weights")

    work = LocalWork(Cloud(table()[0]), load, "", tmp_path)
    mailbox, heard, end = work.subscribe(), [], time.monotonic() + 10
    while time.monotonic() < end and not any(
        isinstance(item, LinkUpdate) and "choose" in item.sentence for item in heard
    ):
        heard += mailbox.take(0.2)[0]
    work.close()
    assert any(isinstance(item, LinkUpdate) and not item.connected and "choose" in item.sentence for item in heard)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "..", "a\0b", "link/out"])
def test_names_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError):
        inside(folder, name, "ply")


def test_a_name_without_suffix_gets_one(tmp_path: Path) -> None:
    assert inside(tmp_path, "scan.v2", "ply").name == "scan.v2.ply"
    assert inside(tmp_path, "scan.ply", "ply").name == "scan.ply"
    assert inside(tmp_path, "", "ply").suffix == ".ply"


# The gate


def test_threads_do_not_wait_for_the_reader() -> None:
    board = Board()
    board.subscribe()  # nobody takes from it
    threads = [threading.Thread(target=lambda: [board.publish(Message("x")) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
