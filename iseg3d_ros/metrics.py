"""Figures in Prometheus' text format, for a node exporter's textfile collector, or scraped from a port."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import accumulate
from pathlib import Path
from threading import Thread

from iseg3d_ros.io.atomic_write import replacing

MILLISECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
PREFIX = "iseg3d_"


class Histogram:
    """How many values were at most so many milliseconds, since the start."""

    def __init__(self) -> None:
        self._counts = [0] * (len(MILLISECONDS) + 1)
        self._sum = 0.0

    def observe(self, milliseconds: float) -> None:
        """One more."""
        self._counts[bisect_left(MILLISECONDS, milliseconds)] += 1
        self._sum += milliseconds

    def lines(self, name: str, labels: str) -> list[str]:
        """Its buckets, each with all below it, as seconds."""
        bounds = [f"{each / 1000:g}" for each in MILLISECONDS] + ["+Inf"]
        total = [*accumulate(self._counts)]
        rows = [f'{name}_bucket{{{labels},le="{bound}"}} {count}' for bound, count in zip(bounds, total, strict=True)]
        return [*rows, f"{name}_sum{{{labels}}} {self._sum / 1000:g}", f"{name}_count{{{labels}}} {total[-1]}"]


def as_text(node: str, figures: Mapping[str, object], histograms: Mapping[str, Histogram]) -> str:
    """Numbers as gauges (words are left out), and histograms; `node` is their label."""
    escaped = node.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    labels, lines = f'node="{escaped}"', []
    for name, value in figures.items():
        if isinstance(value, int | float):
            lines += [f"# TYPE {_name(name)} gauge", f"{_name(name)}{{{labels}}} {float(value):g}"]
    for name, histogram in histograms.items():
        lines += [f"# TYPE {_name(name)} histogram", *histogram.lines(_name(name), labels)]
    return "\n".join([*lines, ""])


def write(path: Path, text: str) -> None:
    """The file, replaced as a whole: a reader sees the old one or the new one."""
    with replacing(path) as stream:
        stream.write(text.encode())


class Server:
    """Answers GET /metrics, one connection after the other, and nothing else."""

    def __init__(self, address: str, text: Callable[[], str]) -> None:
        """`address` is HOST:PORT, or a port of 127.0.0.1."""
        host, _, port = address.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"metrics_listen is HOST:PORT or a port, 127.0.0.1:9464 for example, but is {address!r}.")

        class Answer(BaseHTTPRequestHandler):
            timeout = 2  # seconds for who connects and says nothing

            def do_GET(self) -> None:
                known = self.path == "/metrics"
                body = text().encode() if known else b""
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = HTTPServer((host or "127.0.0.1", int(port)), Answer)
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Frees the port."""
        self._server.shutdown()
        self._server.server_close()


def _name(words: str) -> str:
    return PREFIX + re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
