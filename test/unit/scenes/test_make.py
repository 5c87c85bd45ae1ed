"""Made scenes: deterministic, labelled, resumable; without the furniture package, from plain bodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.commands import main
from iseg3d_ros.data.folder import SceneFolder, read_scene
from iseg3d_ros.scenes.make import Order, complete, make, make_scene, path_of
from iseg3d_ros.scenes.room import _in_company

pytest.importorskip("open3d", reason="scenes are scanned with Open3D, which is not installed")


@pytest.mark.parametrize("kind", ["tabletop", "room"])
def test_a_scene_depends_on_seed_and_number_alone(kind: str) -> None:
    first, again, other = (make_scene(Order(kind, 3, Path(), None), index) for index in (1, 1, 2))
    assert np.array_equal(first.xyz, again.xyz)
    assert np.array_equal(first.instance, again.instance)
    assert first.xyz.shape != other.xyz.shape or not np.array_equal(first.xyz, other.xyz)


def test_table_tops_hold_separate_things_on_an_unlabelled_table() -> None:
    scene = make_scene(Order("tabletop", 0, Path(), None), 0)
    assert scene.kind == "tabletop"
    assert len(scene.xyz) > 20_000
    assert 1 <= len(np.unique(scene.instance[scene.instance > 0])) <= len(scene.classes)
    assert (scene.instance == 0).mean() > 0.3
    for index in np.unique(scene.instance[scene.instance > 0])[:5]:
        span = np.ptp(np.percentile(scene.xyz[scene.instance == index], [2, 98], axis=0), axis=0)
        assert span.max() < 0.6  # a thing, not two


def test_a_heap_is_a_table_top_that_is_never_a_shelf() -> None:
    heaps = [make_scene(Order("heap", 5, Path(), None), index) for index in range(3)]
    assert {cloud.kind for cloud in heaps} == {"tabletop"}
    assert [cloud.name for cloud in heaps] == ["heap_000000", "heap_000001", "heap_000002"]
    assert min(len(np.unique(cloud.instance)) for cloud in heaps) >= 4


def test_rooms_label_walls_and_floors_too() -> None:
    scene = make_scene(Order("room", 0, Path(), None), 0)
    assert {"floor", "wall"} <= set(scene.classes)
    assert (scene.instance > 0).all()
    floor = scene.xyz[scene.instance == scene.classes.index("floor") + 1]
    assert np.abs(np.median(floor[:, 2])) < 0.05


def test_every_tenth_scene_is_held_out() -> None:
    splits = [make_scene(Order("tabletop", 0, Path(), None), index).split for index in (8, 9, 10)]
    assert splits == ["train", "val", "train"]


def test_making_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    order = Order("tabletop", 0, tmp_path, None)
    assert len(list(make(order, 2, 1))) == 2
    broken = path_of(order, 1)
    broken.write_bytes(broken.read_bytes()[:-100])  # as a kill in the middle of writing might have left it
    kept = path_of(order, 0).stat().st_mtime_ns
    assert not complete(broken)
    assert list(make(order, 2, 1)) == [broken]
    assert path_of(order, 0).stat().st_mtime_ns == kept
    assert len(SceneFolder(tmp_path)) == 2


def test_workers_change_nothing(tmp_path: Path) -> None:
    for workers in (1, 2):
        list(make(Order("tabletop", 5, tmp_path / str(workers), None), 2, workers))
    for index in range(2):
        one, two = (read_scene(path_of(Order("tabletop", 5, tmp_path / w, None), index)) for w in ("1", "2"))
        assert np.array_equal(one.xyz, two.xyz)


def test_the_command_makes_scenes_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["scenes", "--kind", "tabletop", "--count", "1", "--procedural", "--workers", "1"]
    assert main([*words, "--out", str(tmp_path), "--picture", str(tmp_path / "sheet.png")]) == 0
    assert "1 scenes of kind tabletop" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_missing_furniture_is_said_with_the_way_to_get_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["scenes", "--count", "1", "--out", str(tmp_path), "--furniture", str(tmp_path / "none.models")]
    assert main(words) == 1
    assert "apt-get install sweethome3d-furniture" in capsys.readouterr().err


def test_a_count_that_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "--count", "0", "--procedural", "--out", str(tmp_path)]) == 1
    assert "--count must be at least 1" in capsys.readouterr().err


def test_points_that_float_alone_are_left_out() -> None:
    surface = np.random.default_rng(0).uniform(0, 1, (3000, 3)) * [1, 1, 0]
    alone = np.array([[0.5, 0.5, 0.7], [0.2, 0.9, -0.6]])
    kept = _in_company(np.r_[surface, alone], 0.02)
    assert kept[:3000].mean() > 0.98 and not kept[3000:].any()
