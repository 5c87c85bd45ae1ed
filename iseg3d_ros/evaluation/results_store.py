"""What an evaluation keeps on disk while it runs: a JSON line a sample, so that an interrupted run goes on from there.

Each line has a key made of everything that decides it: model and weights, sample and data, settings, and the code.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROWS = ".rows.jsonl"
_PACKAGE = Path(__file__).resolve().parents[1]
_WITHOUT_EFFECT = ("benchmarks", "commands", "console", "pruning", "ros", "scenes", "training")  # they decide no figure


class ResultsStore:
    """Rows by key; in memory alone where there is no file, or where it can no longer be written."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = dict(_lines(path)) if path and path.exists() else {}

    def add(self, key: str, values: dict[str, Any]) -> None:
        """Remember a sample's rows."""
        self.rows[key] = values
        if self.path is None:
            return
        try:
            _append(self.path, json.dumps({"key": key, **values}).encode())
        except OSError as error:
            print(f"{self.path}: {error.strerror or error}; the evaluation goes on, but an interrupted one would not "
                  "go on from here.", file=sys.stderr, flush=True)  # fmt: skip
            self.path = None


def _append(path: Path, line: bytes) -> None:
    """Add a line; one that was cut off before it stays alone."""
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line + b"\n")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and rows of an earlier run; lines that are not whole are left out."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            yield values.pop("key"), values
        except (json.JSONDecodeError, AttributeError, KeyError, TypeError):
            continue


@cache
def hash_of_code() -> str:
    """A hash of the code that decides figures."""
    files = sorted(_PACKAGE.rglob("*.py"))
    deciding = [path for path in files if path.relative_to(_PACKAGE).parts[0] not in _WITHOUT_EFFECT]
    return _hash(*(path.read_bytes() for path in deciding))


@cache
def hash_of_weights(model: str) -> str:
    """A hash of the weights of a model given by name or path; the empty one for models without."""
    from iseg3d_ros.predictor import TRAINING_FREE, weights_file

    return _hash(b"" if model == TRAINING_FREE else weights_file(model).read_bytes())


@cache
def hash_of_data(path: str) -> str:
    """A hash of the names, sizes and times of the files at a path, besides what evaluations write."""
    from iseg3d_ros.data.open import place_of

    place = place_of(path)[0]
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    known = [(str(p), p.stat()) for p in files if p.suffix not in (".json", ".jsonl", ".png", ".part")]
    settings = [p.read_bytes() for p in files if p.name == "iseg3d.json"]
    return _hash(*(f"{name} {stat.st_size} {stat.st_mtime_ns}".encode() for name, stat in known), *settings)


def _hash(*pieces: bytes) -> str:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece + b"\0")
    return whole.hexdigest()[:24]


def key(*pieces: str) -> str:
    """One key of several pieces."""
    return _hash(*(piece.encode() for piece in pieces))
