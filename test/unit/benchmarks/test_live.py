"""The benchmark of a live cloud names every stage, for whole clouds and for what is around the objects."""

from __future__ import annotations

import pytest

from iseg3d_ros.benchmarks import live
from iseg3d_ros.benchmarks._tracking_scenes import camera


def test_every_stage_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(live.SENSORS, "table", camera(96, 72))
    figures = live.run(model="random_walker", scenes="table", frames=2)
    stages = {f"cpu_ms_{stage}_table" for stage in ("convert", "track", "encode", "decode", "publish")}
    assert stages <= set(figures) and figures["objects_table"] >= 2
    assert figures["cpu_ms_table"] == pytest.approx(sum(figures[stage] for stage in stages))
    assert 0.3 < figures["iou_table"] <= 1.0
    assert "cpu_ms_room" not in figures
