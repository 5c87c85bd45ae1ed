"""Labels to correct, and edits of points: import, lock, split, brush, outline, classes, after a restart."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import table
from works import told, walker

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.label_import import GivenLabels, GivenObject, labels_of
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import (
    AddClick,
    Classify,
    Clear,
    Describe,
    Lock,
    Merge,
    Open,
    Paint,
    Redo,
    Remove,
    Save,
    SetBox,
    Split,
    TakeLabels,
    Undo,
)
from iseg3d_ros.console.regions import Stroke, in_front, inside, region_of
from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.io.exports import ExportedObject, LabelledResult, export

CUBE, OTHER = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105)


def given() -> GivenLabels:
    """The table's truth: its things as objects."""
    truth = table()[2].astype(np.int32)
    names = {1: GivenObject(1, "cube", "box", attributes=(("state", "open"),))}
    return GivenLabels(truth, tuple(names.get(n, GivenObject(n)) for n in range(1, truth.max() + 1)), "truth")


def opened(folder: Path, labels: GivenLabels | None = None) -> LocalWork:
    """Work on the table."""
    xyz, rgb, _ = table()
    return LocalWork(Cloud(xyz, rgb), walker, "", folder, (), labels)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[LocalWork]:
    work = opened(tmp_path, given())
    yield work
    work.close()


def test_given_labels_are_objects_that_clicks_correct_and_outlive_a_crash(work: LocalWork, tmp_path: Path) -> None:
    truth = given().labels
    state, labels, said = told(work)
    assert (labels.labels == truth).all() and any("clicks correct them" in message.text for message in said)
    assert [(item.name, item.category) for item in state.objects][:1] == [("cube", "box")]
    ground = table()[0][(truth == 0) & (np.abs(table()[0][:, 2]) < 0.01)][0]
    state, labels, _ = told(work, AddClick(Click(tuple(map(float, ground)), "object_1")))
    changed = labels.labels != truth
    assert (labels.labels[changed] == 1).all() and changed.any(), "only what the click concerned changed"
    # A crash: what is on the disk at this moment, opened by another one; the labels are not taken again.
    shutil.copytree(tmp_path / ".work", tmp_path / "after" / ".work")
    again = opened(tmp_path / "after", given())
    same, kept, said = told(again)
    assert (kept.labels == labels.labels).all() and [item.name for item in same.objects][0] == "cube"
    assert not any("clicks correct them" in message.text for message in said)
    state, kept, _ = told(again, Undo(), Undo())
    assert not state.objects and not kept.labels.any() and state.can_redo
    again.close()


@pytest.mark.parametrize("kind", ["npz", "ply", "pcd", "label"])
def test_labels_of_files_are_read_with_what_they_know(kind: str, tmp_path: Path) -> None:
    xyz, rgb, truth = table()
    objects = (ExportedObject(1, "cube", "car", (("state", "open"),)), ExportedObject(2, "other"))
    export(tmp_path / f"a.{kind}", kind, LabelledResult(Cloud(xyz, rgb, None, truth.astype(np.int32)), objects))
    write_cloud(tmp_path / "a.bin", Cloud(xyz))
    found = labels_of(Cloud(xyz), tmp_path / "a.bin", tmp_path)  # the folder's file of that name
    assert found is not None and len(found.objects) == truth.max()
    assert ((found.labels > 0) == (truth > 0)).all()
    first = found.objects[0]
    assert first.category == "car"
    if kind != "label":
        assert first.name == "cube" and (found.labels == truth).all()
    if kind in ("ply", "pcd"):
        assert first.attributes == (("state", "open"),)


def test_labels_that_do_not_fit_are_refused_with_a_sentence(tmp_path: Path) -> None:
    xyz, _, truth = table()
    write_cloud(tmp_path / "b.npz", Cloud(xyz[:100], None, None, truth[:100].astype(np.int32)))
    write_cloud(tmp_path / "c.npz", Cloud(xyz))
    for name in ("b.npz", "c.npz"):
        with pytest.raises(ValueError, match=r"scan\.ply"):
            labels_of(Cloud(xyz), tmp_path / "scan.ply", tmp_path / name)
    assert labels_of(Cloud(xyz), tmp_path / "scan.ply") is None, "it carries none"
    assert labels_of(Cloud(xyz), tmp_path / "scan.ply", tmp_path) is None, "the folder has none of that name"


def test_a_saved_cloud_is_opened_as_labels(work: LocalWork) -> None:
    state, labels, _ = told(work, Save("mine", "ply"), Clear(), Open("mine.ply"))
    assert (labels.labels == given().labels).all() and state.objects[0].name == "cube"


def test_given_labels_never_replace_work(work: LocalWork) -> None:
    before, _, _ = told(work, Remove("object_2"))
    state, _, _ = told(work, TakeLabels(given()))
    assert [item.id for item in state.objects] == [item.id for item in before.objects]


def test_a_locked_object_keeps_its_points(work: LocalWork) -> None:
    stroke = Stroke(np.array([CUBE]), 0.05)
    state, before, said = told(
        work, Lock("object_1", True), AddClick(Click(CUBE, ""), new=True), Paint(stroke, "object_2"),
        Remove("object_1"), Merge("object_2", "object_1"), Split("object_1"), AddClick(Click(CUBE, "")),
    )  # fmt: skip
    assert len([message for message in said if message.refused]) == 6 and state.objects[0].locked
    assert (before.labels == given().labels).all()
    state, after, _ = told(work, Lock("object_1", False), Paint(stroke, "object_2"))
    assert not state.objects[0].locked and (after.labels == 2).sum() > (before.labels == 2).sum()


def test_a_brush_adds_takes_away_and_begins_and_all_of_it_is_undone(work: LocalWork) -> None:
    xyz = table()[0]
    near = np.linalg.norm(xyz - np.array(CUBE), axis=1) <= 0.05
    stroke = Stroke(np.array([CUBE]), 0.05)
    _, first, _ = told(work, Paint(stroke, "object_1", takes=True))
    assert not (first.labels[near] == 1).any() and (first.labels[~near] == given().labels[~near]).all()
    state, second, _ = told(work, Paint(stroke, ""))
    assert len(state.objects) == given().labels.max() + 1
    assert (second.labels[near] == len(state.objects)).all()
    _, third, said = told(work, Undo(), Undo(), Paint(stroke, "", takes=True, hidden=(1,)))
    assert (third.labels == given().labels).all() and any("Nothing changes" in message.text for message in said)
    _, fourth, _ = told(work, Redo())
    assert (fourth.labels == first.labels).all()


def test_connected_parts_become_objects(work: LocalWork) -> None:
    _, _, _ = told(work, Merge("object_1", "object_2"))
    state, labels, said = told(work, Split("object_1"))
    assert any("2 parts" in message.text for message in said)
    assert (state.objects[-1].name, state.objects[-1].category) == ("cube 2", "box")
    assert {int((labels.labels == item.index).sum()) for item in state.objects} == {
        int((given().labels == number).sum()) for number in range(1, given().labels.max() + 1)
    }
    _, _, said = told(work, Split("object_1"))
    assert any("hangs together" in message.text and message.refused for message in said)


def test_classes_and_attributes_are_undone_and_outlive_a_crash(work: LocalWork, tmp_path: Path) -> None:
    state, _, _ = told(work, Classify("object_2", "lamp"), Describe("object_2", "lit", "yes"))
    shutil.copytree(tmp_path / ".work", tmp_path / "after" / ".work")
    again = opened(tmp_path / "after")
    state, _, _ = told(again)
    assert (state.objects[1].category, state.objects[1].attributes) == ("lamp", (("lit", "yes"),))
    state, _, _ = told(again, Describe("object_2", "lit", ""), Undo(), Undo())
    assert state.objects[1].attributes == () and state.objects[1].category == "lamp"
    again.close()


# What was drawn


def test_a_point_is_in_an_outline_that_goes_around_it() -> None:
    hook = np.array([[0, 0], [10, 0], [10, 10], [6, 10], [6, 4], [0, 4.0]])
    points = np.array([[1, 1], [8, 9], [3, 8], [11, 5], [-1, 2.0]])
    assert inside(points, hook).tolist() == [True, True, False, False, False]


def test_what_lies_behind_is_not_meant() -> None:
    pixels = np.array([[10, 10], [11, 10], [60, 60.0]])
    assert in_front(pixels, np.array([1.0, 2.0, 5.0])).tolist() == [True, False, True]


def test_an_outline_takes_what_is_seen_and_not_cut_away() -> None:
    """A camera that looks down along z from 10 m, and two planes."""
    side = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 40)), -1).reshape(-1, 2)
    xyz = np.concatenate([np.c_[side, np.full(len(side), z)] for z in (0.0, 1.0, 2.0)])
    matrix = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, -1, 10], [0, 0, -1, 10.0]])
    far = [1e9] * 3
    cut = {"centre": [0, 0, 0], "axes": np.eye(3).ravel().tolist(), "low": [-1e9] * 3, "high": far, "faces": [1e9] * 5}
    told = {"polygon": [[0, 0], [300, 0], [300, 300], [0, 300]], "matrix": matrix.T.ravel().tolist(),
            "window": [600, 600], "cut": cut}  # fmt: skip
    chosen = region_of(told, np.zeros(3)).points(xyz, np.ones(len(xyz), bool))
    assert (xyz[chosen, 2] == 2).all() and (xyz[chosen, 0] <= 0.01).all() and (xyz[chosen, 1] >= -0.01).all()
    assert len(chosen) == 400
    told["cut"] = {**cut, "high": [1e9, 1e9, 1.5]}
    chosen = region_of(told, np.zeros(3)).points(xyz, np.ones(len(xyz), bool))
    assert (xyz[chosen, 2] == 1).all() and len(chosen) == 400


@pytest.mark.parametrize(
    "drawn",
    [None, {}, {"places": [], "radius": 1}, {"places": [[1, 2]], "radius": 1}, {"places": [[1, 2, 3]], "radius": 0},
     {"places": [[1, 2, None]], "radius": 1}, {"places": [[1, 2, 3]] * 501, "radius": 1}, {"polygon": [[1, 2]]}],
)  # fmt: skip
def test_other_drawings_are_refused(drawn: object) -> None:
    with pytest.raises(ValueError):
        region_of(drawn, np.zeros(3))


def test_the_disk_holds_no_classes_file(work: LocalWork, tmp_path: Path) -> None:
    told(work, Classify("object_2", "lamp"))
    assert "classes.json" not in {name for _, _, names in os.walk(tmp_path) for name in names}


def test_a_box_by_hand_is_undone_exported_and_outlives_a_crash(tmp_path: Path) -> None:
    work = opened(tmp_path, given())
    box = Box(np.array([0.0, 0.0, 0.2]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.5, 0.4, 0.3]))
    state, _, _ = told(work, SetBox("object_1", box.numbers()))
    made = state.objects[0].box
    assert state.objects[0].boxed and made is not None and made.numbers() == box.numbers()
    _, _, messages = told(work, SetBox("object_1", (0.0,) * 15), Save("cube", "npz"), Save("kitti", "kitti"))
    assert any("longer than 0" in message.text for message in messages if message.refused)
    with np.load(tmp_path / "cube.npz") as arrays:
        assert np.allclose(arrays["box_size"][0], box.size) and np.allclose(arrays["box_rotation"][0], box.rotation)
        assert not np.allclose(arrays["box_size"][1], box.size), "the other's follows its points"
    row = (tmp_path / "kitti" / "training" / "label_2" / "000000.txt").read_text().splitlines()[0].split()
    assert [float(value) for value in row[8:11]] == [0.3, 0.4, 0.5]
    state, _, _ = told(work, SetBox("object_1", "aligned"))
    aligned = state.objects[0].box
    assert aligned is not None and (aligned.rotation == np.eye(3)).all() and np.allclose(aligned.size, 0.1, atol=0.01)
    steps = (Lock("object_1", True), SetBox("object_1", ""), Lock("object_1", False), Undo(), Undo(), Undo())
    state, _, _ = told(work, *steps)
    assert state.objects[0].box is not None and state.objects[0].box.numbers() == box.numbers()
    work.close()
    work = opened(tmp_path)
    state, _, _ = told(work)
    assert state.objects[0].box is not None and state.objects[0].box.numbers() == box.numbers()
    work.close()
