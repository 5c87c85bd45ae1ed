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

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, read_cloud
from iseg3d_ros.console.display import Display, palette, thin
from iseg3d_ros.console.local_backend import LocalWork, upright_box
from iseg3d_ros.console.picking import pick
from iseg3d_ros.console.protocol import (
    AddClick,
    Command,
    Redo,
    Remove,
    Rename,
    Save,
    Setup,
    Undo,
)
from iseg3d_ros.console.updates import Board, CloudUpdate, LabelsUpdate, LinkUpdate, Message, ObjectState, StateUpdate
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


# Picking and drawing


def test_a_ray_picks_the_nearest_surface() -> None:
    grid = np.stack(np.meshgrid(np.arange(50), np.arange(50), indexing="ij"), -1).reshape(-1, 2) * 0.01
    near, far = (np.c_[grid, np.full(len(grid), z)].astype(np.float32) for z in (1.0, 0.0))
    points = np.concatenate([near, far])
    eye = (0.25, 0.25, 3.0)
    index = pick(points, eye, (0, 0, -1), 0.005)
    assert index is not None and np.allclose(points[index], (0.25, 0.25, 1.0))
    allowed = np.arange(len(points)) >= len(near)
    index = pick(points, eye, (0, 0, -1), 0.005, allowed)
    assert index is not None and np.allclose(points[index], (0.25, 0.25, 0.0)), "what is hidden is not in the way"
    assert pick(points, eye, (1, 0, 0), 0.005) is None
    assert pick(points, (0.25, 0.25, -1.0), (0, 0, -1), 0.005) is None, "what is behind the eye is not met"


def test_millions_of_points_are_drawn_as_some_and_picked_as_all() -> None:
    rng = np.random.default_rng(0)
    xyz = np.c_[rng.uniform(-5, 5, (2_000_000, 2)), rng.normal(0, 0.002, 2_000_000)].astype(np.float32)
    start = time.process_time()
    display = Display.of(CloudUpdate(1, xyz, None), most=100_000)
    made = time.process_time() - start
    assert 40_000 < len(display.chosen) <= 100_000
    assert len(np.unique(display.chosen)) == len(display.chosen)
    counts = np.histogram2d(*display.local[display.chosen][:, :2].T, bins=10)[0]
    assert counts.min() > 0.6 * counts.mean(), "spread evenly"
    start = time.process_time()
    index = pick(display.local, (0, 0, 4), (0.1, 0.1, -1), 0.001)
    assert index is not None and np.linalg.norm(xyz[index, :2] - 0.4) < 0.03
    assert time.process_time() - start < 5 and made < 20


def test_far_clouds_keep_their_millimetres_and_holes_are_left_out() -> None:
    xyz = np.array([[4e5, 5e6, 10.0], [4e5 + 0.001, 5e6, 10.0], [np.nan, 0, 0], [4e5, 5e6 + 1, 11.0]])
    display = Display.of(CloudUpdate(1, xyz, None))
    assert list(display.chosen) == [0, 1, 3]
    assert display.place(1)[0] - display.place(0)[0] == pytest.approx(0.001, abs=2e-5)


def test_objects_have_their_colours_and_hidden_ones_are_not_shown() -> None:
    xyz, rgb, truth = table()
    display = Display.of(CloudUpdate(1, xyz, rgb))
    values = np.zeros(len(xyz), np.float32)
    labels = LabelsUpdate(1, truth.astype(np.int32), values, values + np.float32(np.log(3)))
    state = StateUpdate((ObjectState("a", "a", 1, (0, 255, 0)), ObjectState("b", "b", 2, (255, 255, 0))))
    colours = display.colours(labels, palette(state)).astype(int)
    red = colours[truth[display.chosen] == 1].mean(axis=0)
    assert red[1] > red[0] and red[1] > red[2], "the red cube is tinted green"
    assert (colours[truth[display.chosen] == 0] == 120).all()
    assert not display.shown(labels, np.array([False, True, False]), np.inf)[truth == 1].any()
    assert display.doubts(labels, 2).mean() > 150 > display.doubts(LabelsUpdate(1, truth, values, values), 2).mean()


def test_thinning_keeps_few_points_as_they_are() -> None:
    points = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    assert list(thin(points, 50)) == list(range(50))


def test_a_box_stands_on_the_ground_and_is_turned_with_its_object() -> None:
    rng = np.random.default_rng(0)
    turn = np.radians(24)
    axes = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    xyz = (rng.uniform(-0.5, 0.5, (4000, 3)) * [2.0, 0.6, 1.0]) @ axes.T + [3, 4, 5]
    box = upright_box(xyz, np.eye(3))
    assert np.allclose(sorted(box.size), [0.6, 1.0, 2.0], atol=0.03) and np.allclose(box.centre, [3, 4, 5], atol=0.02)


# A session behind it


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    xyz, rgb, _ = table()

    def load(model: str, size: float) -> Predictor:
        return Predictor.load(model or "random_walker", "cpu", size or 0.02)

    work = LocalWork(Cloud(xyz, rgb), load, "", tmp_path)
    yield work
    work.close()


def told(work: LocalWork, *commands: Command) -> tuple[StateUpdate, LabelsUpdate, list[Message]]:
    """The state after the commands: when a last, refused one has been answered."""
    mailbox = work.subscribe()
    for command in (*commands, Remove("the end")):
        work.send(command)
    state, labels, messages, end = StateUpdate(), None, [], time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for update in mailbox.take(0.2)[0]:
            match update:
                case StateUpdate():
                    state = update
                case LabelsUpdate():
                    labels = update
                case Message():
                    messages.append(update)
        if labels is not None and any("the end" in message.text for message in messages):
            time.sleep(0.3)
            for update in mailbox.take(0.2)[0]:
                state = update if isinstance(update, StateUpdate) else state
                labels = update if isinstance(update, LabelsUpdate) else labels
            return state, labels, [message for message in messages if "the end" not in message.text]
    raise AssertionError(f"no answer: {messages}")


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
