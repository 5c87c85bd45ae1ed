"""Prometheus' text format, read back by its own rules."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

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


def test_the_last_figures_are_served_and_the_port_is_free_afterwards() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = [""]
    for number in range(2):
        server = metrics.Server(str(port), lambda: text[0])
        try:
            text[0] = metrics.as_text("/a", {"clouds dropped": number}, {})
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                assert read(answer.read().decode())["iseg3d_clouds_dropped", 'node="/a"'] == number
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/etc/passwd", timeout=30)
        finally:
            server.close()
    with pytest.raises(ValueError, match="HOST:PORT"):
        metrics.Server("here", lambda: "")
