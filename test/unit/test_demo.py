"""`iseg3d demo`: its scenes, its script on the library, and the whole of it over DDS with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_ros

from iseg3d_ros.commands import main
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.demo.scenes import FOLDER, SHIPPED, open_scene
from iseg3d_ros.demo.script import OBJECTS, SURFACES, play, targets_of
from iseg3d_ros.predictor import Predictor

COMMAND = [sys.executable, "-m", "iseg3d_ros.commands", "demo", "tabletop", "--model", "random_walker"]


@pytest.mark.parametrize("name", SHIPPED)
def test_scenes_are_small_and_labelled(name: str) -> None:
    scene = open_scene(name)
    assert (FOLDER / f"{name}.npz").stat().st_size < 1_500_000
    assert scene.cloud.labels is not None and scene.cloud.labels.max() == len(scene.names)
    assert len(scene.cloud) > 30_000 and np.isfinite(scene.cloud.xyz).all()
    targets = targets_of(scene)
    assert len({target.id for target in targets}) == OBJECTS
    for target in targets:
        assert scene.names[target.label - 1] not in SURFACES
        nearest = np.linalg.norm(scene.cloud.xyz - np.array(target.point), axis=1).argmin()
        assert scene.cloud.labels[nearest] == target.label, "the first click is on its object"


def test_a_scene_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "cellar"]) == 1
    assert "room, tabletop, street" in capsys.readouterr().err


def test_the_script_runs_on_the_library(tmp_path: Path) -> None:
    scene = open_scene("tabletop")
    work = LocalWork(scene.cloud, lambda *_: Predictor.load("random_walker", "cpu"), "", tmp_path)
    try:
        result = play(work, scene, lambda _: None)
    finally:
        work.close()
    assert len(result.last) == OBJECTS and len(result.rows) > OBJECTS, "three objects, and a correction"
    assert all(row.points > 0 and row.iou is not None for row in result.last.values())


@pytest.mark.parametrize(("name", "least"), [("room", 900), ("tabletop", 1000), ("street", 1000)])
def test_without_labels_the_script_picks_large_things(name: str, least: int) -> None:
    """None of the targets is a crumb, the floor, a wall or the ceiling, and no two are on the same thing."""
    scene = open_scene(name)
    labels = scene.cloud.labels
    assert labels is not None
    bare = type(scene)(scene.path, type(scene.cloud)(scene.cloud.xyz, scene.cloud.rgb), ())
    hit = []
    for target in targets_of(bare):
        nearest = np.linalg.norm(scene.cloud.xyz - np.array(target.point), axis=1).argmin()
        hit.append(int(labels[nearest]))
        assert labels[nearest] > 0 and (labels == labels[nearest]).sum() >= least
        assert scene.names[hit[-1] - 1] not in {"floor", "ceiling", "wall", "road", "ground", "table"}
    assert len(set(hit)) == OBJECTS


def children(parent: int) -> set[int]:
    """Processes that a process has started."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.add(int(status.parent.name))
    return found


def alive(processes: set[int]) -> set[int]:
    """Those that still run."""
    return {number for number in processes if Path(f"/proc/{number}/cmdline").exists()}


@needs_ros
@pytest.mark.timeout(300)
def test_the_whole_over_dds_ends_by_itself_without_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("websockets", reason="viser is not installed")
    done = subprocess.run([*COMMAND, "--port", "18400"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "processes over DDS" in done.stdout and "http://127.0.0.1:" in done.stdout
    assert "needs no training" in done.stdout and "IoU" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["demo.png"]


@needs_ros
@pytest.mark.timeout(300)
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("websockets", reason="viser is not installed")
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    with (tmp_path / "log").open("w") as log:
        demo = subprocess.Popen([*COMMAND, "--port", "18410"], cwd=tmp_path, stdout=log, stderr=log, env=environment)
    started, end = set[int](), time.monotonic() + 90
    while len(started) < 3 and time.monotonic() < end:
        started = children(demo.pid)
        time.sleep(0.1)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 130, (tmp_path / "log").read_text()
    end = time.monotonic() + 20
    while alive(started) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(started) == 3 and not alive(started)
    assert not (tmp_path / "out").exists() and not list((tmp_path / "tmp").glob("iseg3d_demo_*"))
