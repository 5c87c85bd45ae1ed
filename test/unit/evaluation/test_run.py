"""Evaluations of many samples: parallel, resumed, with bad data, and the command that runs them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.commands import main
from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.evaluation import results_store
from iseg3d_ros.evaluation.config import EvaluationConfig, Part
from iseg3d_ros.evaluation.run import outcomes, plan
from iseg3d_ros.evaluation.worker import peak_mb, rule_of, seed_of, task_of

BUDGET = 2
CONFIG = EvaluationConfig(budget=BUDGET, voxel_size=0.02)
COMMAND = ["--budget", str(BUDGET), "--voxel-size", "0.02", "--workers", "0"]


def made(name: str, seed: int, boxes: int = 2, split: str = "val") -> LabelledCloud:
    """A level board with boxes on it."""
    rng = np.random.default_rng(seed)
    board = np.c_[rng.uniform(-0.4, 0.4, (2500, 2)), np.zeros(2500)]
    parts = [board] + [rng.uniform(0, 0.12, (500, 3)) + [0.35 * k - 0.3, 0.1 * k, 0.0] for k in range(boxes)]
    instance = np.repeat(np.arange(boxes + 1), [2500] + [500] * boxes).astype(np.int32)
    colour = rng.integers(0, 255, (boxes + 1, 3))[instance].astype(np.uint8)
    xyz = np.concatenate(parts).astype(np.float32)
    origin = np.zeros(3, np.float32)
    return LabelledCloud(name, xyz, colour, None, instance, ("box",) * boxes, "tabletop", origin, split)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    for k in range(3):
        write_scene(folder / f"s{k}.scene", made(f"s{k}", k, boxes=1 + k))
    return folder


def ious(found: list) -> list[tuple]:
    return [(outcome.name, [(row.clicks, row.ious) for row in outcome.rows]) for outcome in found]


def test_any_number_of_workers_gives_the_same_rows_in_the_same_order(scenes: Path) -> None:
    config = replace(CONFIG, rule="random_positive")  # the rule that draws most from its seed
    parts = plan([str(scenes)], config)
    ballast = np.ones(120 << 20, np.uint8)
    one, two = (outcomes("random_walker", parts, config, workers) for workers in (0, 2))
    assert ious(one) == ious(two)
    assert [outcome.name for outcome in one] == ["s0", "s1", "s2"]
    # Peak memory is that of the processes that evaluate, not this one's.
    assert 50 < two[0].peak_mb < peak_mb() - 60
    assert ballast[-1] == 1


def test_an_interrupted_run_goes_on_where_it_was(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = tmp_path / "rows.jsonl"
    first = plan([str(scenes)], replace(CONFIG, limit=2))
    outcomes("random_walker", first, CONFIG, 0, rows)
    text = rows.read_text()
    rows.write_text(text[: len(text) - 40])  # killed in the middle of a line
    capsys.readouterr()
    whole = outcomes("random_walker", plan([str(scenes)], CONFIG), CONFIG, 0, rows)
    said = capsys.readouterr().err
    assert "1 of 3 were evaluated before" in said
    assert len(whole) == 3
    assert len(results_store.ResultsStore(rows).rows) == 3  # the cut line did not spoil the one after it
    outcomes("random_walker", first, CONFIG, 0, rows)
    assert "2 of 2 were evaluated before" in capsys.readouterr().err


def test_kept_rows_belong_to_settings_weights_and_data(scenes: Path, tmp_path: Path) -> None:
    part = Part(str(scenes), 0, "s0")
    from iseg3d_ros.evaluation.run import _key

    key = _key("random_walker", part, CONFIG)
    assert key == _key("random_walker", part, replace(CONFIG, limit=7, device="cpu"))
    assert key != _key("random_walker", part, replace(CONFIG, voxel_size=0.03))
    (tmp_path / "other.safetensors").write_bytes(b"other weights")
    assert key != _key(str(tmp_path / "other.safetensors"), part, CONFIG)
    before = results_store.hash_of_data(str(scenes))
    write_scene(scenes / "s0.scene", made("s0", 9))
    results_store.hash_of_data.cache_clear()
    assert before != results_store.hash_of_data(str(scenes))
    changed = results_store.hash_of_data(str(scenes))
    (scenes / "result.json").write_text("{}")  # what an evaluation writes beside the data changes nothing
    results_store.hash_of_data.cache_clear()
    assert changed == results_store.hash_of_data(str(scenes))


def test_kept_rows_survive_lines_that_are_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"key": "a", "x": 1}\nnonsense\n[1, 2]\n{"x": 2}\n3\n{"key": "b", "x": 3}\n')
    assert results_store.ResultsStore(file).rows == {"a": {"x": 1}, "b": {"x": 3}}


def test_rows_that_cannot_be_kept_do_not_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "rows.jsonl").symlink_to("/dev/full")
    rows = results_store.ResultsStore(None)
    rows.path = tmp_path / "rows.jsonl"
    rows.add("a", {"x": 1})
    rows.add("b", {"x": 2})
    assert list(rows.rows) == ["a", "b"]
    assert capsys.readouterr().err.count("rows.jsonl: No space left on device; the evaluation goes on") == 1


def test_samples_that_cannot_be_evaluated_are_named(scenes: Path, capsys: pytest.CaptureFixture) -> None:
    write_scene(scenes / "s1.scene", made("s1", 1, boxes=0))
    parts = plan([str(scenes)], CONFIG)
    (scenes / "s0.scene").write_bytes(b"half")  # damaged after the plan was made
    found = outcomes("random_walker", parts, CONFIG, 0)
    said = capsys.readouterr().err
    assert [(outcome.name, outcome.objects) for outcome in found] == [("s2", 3)]
    assert "left out: s1: it has no object of at least 50 points" in said
    assert f"left out: s0: {scenes} holds it no longer, or its file is damaged" in said
    assert "2 of 3 were left out" in said


def test_single_object_evaluation_asks_for_each_object_alone(scenes: Path) -> None:
    config = replace(CONFIG, protocol="single")
    parts = plan([str(scenes)], config)
    assert [part.name for part in parts] == ["s0 #1", "s1 #1", "s1 #2", "s2 #1", "s2 #2", "s2 #3"]
    task = task_of(parts[2], config)
    assert task.objects == 1 and task.truth.sum() == 500
    (outcome,) = outcomes("random_walker", parts[:1], config, 0)
    assert [row.clicks for row in outcome.rows] == [0, 1, 2]


def test_held_out_scenes_are_taken_where_there_are_some(scenes: Path) -> None:
    write_scene(scenes / "t.scene", made("t", 8, split="train"))
    assert [part.name for part in plan([str(scenes)], CONFIG)] == ["s0", "s1", "s2"]
    assert [part.name for part in plan([str(scenes)], replace(CONFIG, split="train"))] == ["t"]


def test_objects_that_the_data_set_prescribes_are_the_targets(tmp_path: Path) -> None:
    cloud = made("scene0011_00", 0, boxes=3)
    labels = np.where(cloud.instance == 3, 30, cloud.instance).astype(np.int32)
    (tmp_path / "scans").mkdir()
    write_cloud(tmp_path / "scans" / "scene0011_00.ply", Cloud(cloud.xyz, cloud.rgb, None, labels))
    entry = {"obj": {"1": 30, "2": 1}, "clicks": {"0": [4], "1": [7]}}
    (tmp_path / "val_list.json").write_text(json.dumps({"scene0011_00_obj_2": entry}))
    config = replace(CONFIG, least_points=100000, most_objects=1)  # do not apply here
    (part,) = plan([str(tmp_path)], config)
    task = task_of(part, config)
    assert task.objects == 2
    assert np.bincount(task.truth).tolist() == [3000, 500, 500]
    assert (task.truth[-500:] == 1).all()
    (outcome,) = outcomes("random_walker", [part], config, 0)
    assert [row.clicks for row in outcome.rows] == [0, 1, 1.5, 2]


def test_rules_and_temperature_follow_the_settings() -> None:
    part = Part("x", 0, "a")
    points = np.zeros((40, 3), np.float32)
    points[:, 0] = np.arange(40)
    truth = np.repeat([0, 1, 2], [10, 20, 10])
    wild = rule_of(part, replace(CONFIG, temperature=1.0))(points, truth, np.zeros(40, np.int64))
    assert [region.truth for region in wild] == [1, 2]  # round 0: every object gets its click
    assert [truth[region.voxel] for region in wild] == [1, 2]
    assert seed_of(part, CONFIG) != seed_of(Part("x", 0, "b"), CONFIG) != seed_of(part, replace(CONFIG, seed=1))


@pytest.mark.parametrize(
    "change, words",
    [({"budget": 0}, "--budget must be at least 1"), ({"limit": 0}, "--limit must be at least 1"),
     ({"temperature": 1.5}, "between 0 and 1"), ({"rule": "interobject3d"}, "add --protocol single"),
     ({"protocol": "double"}, "The protocols are multi, single")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **change)


def test_the_command_prints_the_table_and_writes_figures_and_pictures(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    target, plots = tmp_path / "new" / "figures.json", tmp_path / "new" / "plots"
    words = ["evaluate", str(scenes), "--limit", "1", *COMMAND, "--json", str(target), "--plot", str(plots)]
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["model", "parameters", "IoU@1"]
    figures = json.loads(target.read_text())
    assert list(figures) == ["random_walker"]
    walker = figures["random_walker"]
    assert {"IoU@1", "IoU@2", "NoC@80", "NoC@90", "parameters", "peak_mb", "AP50@1", "ECE@1"} <= set(walker)
    assert 0 < walker["IoU@1"] <= 1
    assert {path.name for path in plots.iterdir()} == {"confidence.png", "iou_over_clicks.png", "random_walker_s0.png"}


def test_the_command_says_what_is_wrong(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for words, said in (
        ([str(scenes), "--models", "nonsense"], "There are no weights called 'nonsense'"),
        ([str(tmp_path / "absent")], "absent does not exist"),
        ([str(scenes), "--split", "train"], "holds no sample"),
        ([str(scenes), "--workers", "-1"], "--workers must be at least 0"),
        ([str(scenes), "--device", "tpu9"], "no device 'tpu9'"),
        ([str(scenes), "--voxel-size", "-1"], "voxel size must be a positive number"),
    ):
        assert main(["evaluate", *words]) == 1
        assert said in capsys.readouterr().err


def test_nothing_evaluated_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_scene(tmp_path / "empty.scene", made("empty", 0, boxes=0))
    assert main(["evaluate", str(tmp_path), *COMMAND]) == 1
    assert "empty: it has no object" in capsys.readouterr().err


def test_a_full_disk_leaves_the_table_and_the_last_figures(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "figures.json"
    words = ["evaluate", str(scenes), "--limit", "1", *COMMAND, "--json", str(target)]
    assert main(words) == 0
    before = target.read_text()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)  # where a full disk shows at the latest
    capsys.readouterr()
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("model")
    assert "figures.json: could not be written (No space left on device). The table above is whole" in printed.err
    assert target.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "figures.rows.jsonl", "scenes"]


def test_two_weights_of_one_name_keep_apart(tmp_path: Path) -> None:
    from iseg3d_ros.commands.evaluate import _models
    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import build, parameters, settings_of

    network = build(settings_of("interobject3d", "tiny"))
    for folder in "ab":
        checkpoint.save(tmp_path / folder / "net.safetensors", network)
    first, second = (str(tmp_path / folder / "net.safetensors") for folder in "ab")
    assert list(_models(first, CONFIG)) == ["net", "random_walker"]
    both = _models(f"{first},{second}", CONFIG)
    assert list(both) == [first, second, "random_walker"]
    assert both[first] == (first, parameters(network))


def spawned(parent: int) -> Iterator[Path]:
    """The places in /proc of the workers that a process has started."""
    for children in Path("/proc", str(parent), "task").glob("*/children"):
        for number in children.read_text().split():
            place = Path("/proc", number)
            if "spawn_main" in (place / "cmdline").read_text():
                yield place


def test_workers_end_when_their_parent_is_killed(scenes: Path) -> None:
    command = [sys.executable, "-m", "iseg3d_ros.commands", "evaluate", str(scenes), "--workers", "1"]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    workers: list[Path] = []
    while not workers and parent.poll() is None:
        time.sleep(0.1)
        with contextlib.suppress(OSError):  # one that has ended meanwhile
            workers = list(spawned(parent.pid))
    parent.kill()
    parent.wait()
    end = time.monotonic() + 60
    while any(worker.exists() for worker in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert workers and not [worker for worker in workers if worker.exists()]


def test_single_objects_of_a_benchmark_are_asked_for_one_by_one(tmp_path: Path) -> None:
    cloud = made("scene0011_00", 0, boxes=2)
    (tmp_path / "scans").mkdir()
    labels = np.where(cloud.instance == 2, 40, cloud.instance).astype(np.int32)
    write_cloud(tmp_path / "scans" / "scene0011_00.ply", Cloud(cloud.xyz, cloud.rgb, None, labels))
    (tmp_path / "single").mkdir()
    np.save(tmp_path / "single" / "object_ids.npy", np.array([["scene0011_00", "40"], ["scene0011_00", "1"]]))
    config = replace(CONFIG, protocol="single", least_points=100000)
    parts = plan([str(tmp_path / "single")], config)
    assert [part.sample for part in parts] == ["scene0011_00_40", "scene0011_00_1"]
    assert [np.flatnonzero(task_of(part, config).truth).min() for part in parts] == [3000, 2500]
