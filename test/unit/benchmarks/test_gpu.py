"""The GPU's benchmark, rehearsed on the CPU: every part runs, with nothing that a bare GPU machine lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from iseg3d_ros.benchmarks import gpu

ABSENT = ("open3d", "rclpy", "viser", "ray", "spconv", "cumm", "rosbags", "trimesh", "pytransform3d", "iseg3d_ros.msg")
REHEARSAL = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
from iseg3d_ros.commands import main
sys.exit(main(["bench", "gpu", "--json", "--device", "cpu", "--quick"]))
"""


def test_rehearsal_in_an_empty_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REHEARSAL], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures, report = json.loads(done.stdout), json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert figures["failed_parts"] == 0, report["errors"]
    assert figures["equal_least"] >= 0.995 and figures["loss_ratio"] < 1
    assert {f"seconds_{part}" for part in gpu.PARTS} <= set(figures)
    assert figures.keys() == report["figures"].keys()
    assert report["goals"]["equal_least"] == "passed"
    assert report["goals"]["live_ms"] == "estimated until measured on a GPU" and "estimated" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["gpu.json"]


def test_a_failing_part_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> dict[str, float]:
        raise RuntimeError("out of memory")

    there: list[Any] = []

    def later(device: torch.device, quick: bool) -> dict[str, float]:
        there.append(json.loads((tmp_path / "gpu.json").read_text()))  # what was found before is written
        return {"live_ms": 50.0}

    monkeypatch.setattr(gpu, "PARTS", {"first": fails, "second": later})
    figures = gpu.run("cpu", out=str(tmp_path / "gpu.json"))
    assert figures["failed_parts"] == 1 and figures["live_ms"] == 50.0
    assert "out of memory" in there[0]["errors"]["first"]


def test_goals_of_time_are_judged_on_a_gpu_alone() -> None:
    goal = gpu.Goal("live_ms", 40, at_most=True)
    assert goal.verdict({"live_ms": 39.0}, on_gpu=True) == "passed"
    assert goal.verdict({"live_ms": 41.0}, on_gpu=True) == "FAILED"
    assert "estimated" in goal.verdict({"live_ms": 41.0}, on_gpu=False)
    assert goal.verdict({}, on_gpu=True) == "not measured"


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(ValueError, match="no part 'walker'"):
        gpu.run("cpu", only="walker")
