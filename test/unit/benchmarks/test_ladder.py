"""The cost of every size: smaller networks of fewer parameters and less work, without weights."""

from __future__ import annotations

import pytest

from iseg3d_ros.benchmarks import ladder
from iseg3d_ros.commands import main


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ladder.ladder
    monkeypatch.setattr(ladder, "ladder", lambda *_: whole(600, "cpu", 1, "tiny", (0.2, 0.1)))


def test_smaller_sizes_cost_less(small: None) -> None:
    rows = ladder.ladder()
    assert list(rows) == ["40.5M", "0.2M", "0.1M"]
    for figure in ("parameters", "megabytes", "work_share"):
        values = [row[figure] for row in rows.values()]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 3
    assert rows["0.1M"]["parameters"] <= 100_000
    assert all(row["click_seconds"] > 0 for row in rows.values())


def test_the_command_names_what_makes_the_missing_weights(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--ladder"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "size"
    assert "--parameters 0.1M" in lines[3]
