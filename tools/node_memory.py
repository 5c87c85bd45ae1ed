#!/usr/bin/env python3
"""Memory of a real segmenter node over an operator's work: a frozen room, five objects, fifty clicks, then a rest.

    tools/node_memory.py [--model e2i3d] [--threads 1]

Resident memory of the node's process (`Rss` of smaps_rollup), with weights and all its topics, after each step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

import numpy as np
from conftest import domain
from ros_operator import node_process, operator

from iseg3d_ros.demo.scenes import open_scene
from iseg3d_ros.ros.inference_thread import IDLE

OBJECTS, CLICKS = 5, 50


def resident(process: int) -> float:
    """Megabytes that a process holds."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) * 1024 / 1e6


def main() -> int:
    """A line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="e2i3d")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    room, rng = open_scene("room").cloud, np.random.default_rng(0)
    ids, counts = np.unique(room.labels[room.labels > 0], return_counts=True)
    chosen = ids[np.argsort(-counts)][:OBJECTS]
    with ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory())
        robot = ending.enter_context(operator(ending.enter_context(domain())))
        given = f"model:={arguments.model}", f"threads:={arguments.threads}", f"session_directory:={folder}/work"
        process = node_process(Path(folder), "segmenter", "autostart:=true", *given)
        ending.callback(process.end)
        process.wait_for("ready: clouds on", 100)
        robot.arrive(room.xyz, room.rgb)
        print(f"cloud of {len(room.xyz):,} points there: {resident(process.process.pid):.0f} MB")
        for count in range(1, CLICKS + 1):
            each = chosen[(count - 1) // (CLICKS // OBJECTS)]
            place = room.xyz[rng.choice(np.flatnonzero(room.labels == each))]
            result = robot.click(place, "~/click/positive" if (count - 1) % 10 else "~/click/new_object")
            if result is None or not result.accepted:
                print(f"click {count} was not accepted: {result.reason if result else 'no answer'}", file=sys.stderr)
                return 1
            if count in (1, 10, 30, CLICKS):
                time.sleep(1.0)  # its mask is being published
                print(f"{count} clicks: {resident(process.process.pid):.0f} MB")
        time.sleep(IDLE + 3)
        print(f"{IDLE + 3:g} seconds later: {resident(process.process.pid):.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
