"""`iseg3d bench node` in small: every figure is there and in its range. Times are not judged here."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros.commands import main
from iseg3d_ros.ros import benchmark as measure
from iseg3d_ros.ros import testbed

pytestmark = pytest.mark.timeout(120)


def test_memory_over_live_clouds(ros_domain: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "node", "--json", "--option", "memory_clouds=40"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["memory_clouds"] == 40, "every cloud was segmented"
    assert figures["memory_found_share"] == 1.0, "the object stays in sight"
    assert abs(figures["memory_growth_mb"]) < 40, "clouds are not kept"


def test_layouts_and_overhead(ros_domain: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "POINTS", 20_000)
    parsed, written = measure.parsing(1), measure.writing(1)
    assert parsed["parse_memcpy_ratio"] == min(parsed.values()) > 0 and len(parsed) == 6
    assert written["write_memcpy_ratio"] > 0
    figures = measure.overhead(2, "random_walker", str(tmp_path))
    assert 0 < figures["overhead_click_least_ms"] <= figures["overhead_click_ms"]
    assert figures["library_cloud_ms"] > figures["library_click_ms"] > 0


def test_the_bench_leaves_nothing_in_the_domain(ros_node: Any, tmp_path: Path) -> None:
    """Else whoever comes into the domain next hears its last messages and waits for its services."""

    def seen() -> set[str]:
        services = {name for name, _ in ros_node.get_service_names_and_types() if not name.startswith("/test/")}
        return services | set(ros_node.get_node_names()) - {"test"}

    def wait(condition: Any) -> None:
        end = time.monotonic() + 20
        while not condition() and time.monotonic() < end:
            time.sleep(0.1)

    with testbed.segmenter("random_walker", str(tmp_path), scene="frozen"):
        wait(lambda: {"segmenter", "bench", "/segmenter/change_state"} <= seen())
        assert {"segmenter", "bench", "/segmenter/change_state"} <= seen()
    wait(lambda: not seen())
    assert not seen()
