#!/usr/bin/env python3
"""How long an action takes until it is on the disk: one sync alone, the journal, and SQLite (WAL, synchronous=FULL).

    tools/journal_speed.py [--actions 300] [--folder .]
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iseg3d_ros.io.journal import Journal

ACTION = {"action": "click", "id": "0123456789abcdef", "point": [1.25, -0.5, 0.75], "object": 3, "positive": True}
Append = Callable[[], object]


@contextmanager
def one_sync(folder: Path) -> Iterator[Append]:
    """The least that can be: the bytes and a sync."""
    file, data = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND), json.dumps(ACTION).encode()
    yield lambda: (os.write(file, data), os.fsync(file))
    os.close(file)


@contextmanager
def journal(folder: Path) -> Iterator[Append]:
    """Ours."""
    opened, _ = Journal.open(folder / "journal")
    yield lambda: opened.append(ACTION).result()
    opened.close()


@contextmanager
def sqlite(folder: Path) -> Iterator[Append]:
    """The alternative, with a checksum column left out."""
    base = sqlite3.connect(folder / "base.db", isolation_level=None)
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=full")
    base.execute("create table actions(number integer primary key, body text)")
    yield lambda: base.execute("insert into actions(body) values (?)", (json.dumps(ACTION),))
    base.close()


def main() -> None:
    """One line each, taken in turn so that a busy disk is busy for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=Path("."))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        with one_sync(folder) as a, journal(folder) as b, sqlite(folder) as c:
            ways: dict[str, Append] = {"one sync": a, "journal": b, "SQLite": c}
            times: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(arguments.actions):
                for way, append in ways.items():
                    start = time.perf_counter()
                    append()
                    times[way].append(1000 * (time.perf_counter() - start))
    for way, found in times.items():
        found.sort()
        middle, late = found[len(found) // 2], found[len(found) * 95 // 100]
        print(f"{way:9s} median {middle:6.2f} ms   95 % {late:6.2f} ms")


if __name__ == "__main__":
    main()
