"""Prometheus' text format, read back by its own rules."""

from __future__ import annotations

import re
from pathlib import Path

from iseg3d_ros import metrics

LINE = re.compile(r'([a-z_0-9]+)\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\} (\S+)$')


def read(text: str) -> dict[tuple[str, str], float]:
    """Name and labels to value; every line must be understood."""
    rows = [LINE.match(line) for line in text.splitlines() if not line.startswith("# TYPE ")]
    assert all(rows), text
    return {(row[1], row[2]): float(row[3]) for row in rows if row}


def test_figures_and_histograms(tmp_path: Path) -> None:
    histogram = metrics.Histogram()
    for value in (0.5, 1.0, 7.0, 99_999.0):
        histogram.observe(value)
    figures = {"clouds dropped": 3, "total ms (median)": 1.5, "model": "words are no figure", "nothing": float("nan")}
    metrics.write(tmp_path / "a.prom", metrics.as_text('/a"b\\\n', figures, {"answer seconds": histogram}))
    found = read((tmp_path / "a.prom").read_text())
    label = 'node="/a\\"b\\\\\\n"'
    assert found["iseg3d_clouds_dropped", label] == 3
    assert ("iseg3d_model", label) not in found
    buckets = {name[1].split('le="')[1][:-1]: v for name, v in found.items() if name[0].endswith("_bucket")}
    assert buckets["0.001"] == 2 and buckets["0.01"] == 3 and buckets["10"] == 3 and buckets["+Inf"] == 4
    assert list(buckets.values()) == sorted(buckets.values())
    assert found["iseg3d_answer_seconds_count", label] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]
