#!/usr/bin/env python3
"""What `iseg3d bag` costs the processor for each cloud, and so what a thousand hours of recordings would cost.

    tools/bag_cost.py [--clouds 6 16] [--models random_walker agile3d] [--rates 1 10]

A made recording of a table with a cube (28,000 points a cloud) is segmented whole, once with fewer and once with more
clouds: the difference is the clouds' own cost, what is left that of the start. Processor time, not the wall's, so that
other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rosbags.rosbag2 as rosbags

from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, typestore

POINTS, HOURS = 28_000, 1000
CLICKS = [{"point": [0.0, 0.0, 0.105], "object": "cube"}]


def write(path: Path, count: int) -> None:
    """One recording."""
    store, rng = typestore(), np.random.default_rng(0)
    types = store.types
    with rosbags.Writer(path, version=9, storage_plugin=rosbags.StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/points", CLOUD, typestore=store)
        for number in range(count):
            xyz = rng.uniform((-0.6, -0.6, 0), (0.6, 0.6, 0.002), (POINTS, 3)).astype(np.float32)
            xyz[:4000] = rng.uniform(-0.05, 0.05, (4000, 3)) + (0, 0, 0.055)
            rgb = np.where(np.arange(POINTS)[:, None] < 4000, (200, 30, 30), (120, 120, 120)).astype(np.uint8)
            buffer = clouds.plain(xyz, rgb)
            fields = [
                types["sensor_msgs/msg/PointField"](name=name, offset=offset, datatype=kind, count=1)
                for name, offset, kind in clouds.fields_of(buffer.points.dtype)
            ]
            stamp = types["builtin_interfaces/msg/Time"](sec=100 + number, nanosec=0)
            message = types[CLOUD](
                header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="sensor"), height=1, width=POINTS,
                fields=fields, is_bigendian=False, point_step=16, row_step=16 * POINTS,
                data=np.frombuffer(buffer.data, np.uint8), is_dense=True,
            )  # fmt: skip
            writer.write(topic, (100 + number) * SECOND, store.serialize_cdr(message, CLOUD))


def processor_seconds(folder: Path, model: str, count: int) -> float:
    """Of the whole command."""
    bag, clicks = folder / f"in_{count}", folder / "clicks.json"
    if not bag.exists():
        write(bag, count)
        clicks.write_text(json.dumps(CLICKS))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["bag", str(bag), str(folder / f"{model}_{count}.mcap"), "--clicks", str(clicks), "--model", model]
    command = [sys.executable, "-m", "iseg3d_ros.commands", *words, "--device", "cpu", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["cloud"] == count - 1 and last["objects"]["cube"] > 1000, last
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """A row for each model and rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, nargs=2, default=(6, 16), metavar=("FEW", "MORE"))
    parser.add_argument("--models", nargs="+", default=["random_walker", "agile3d"])
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 10.0], help="clouds a second")
    arguments = parser.parse_args()
    few, more = arguments.clouds
    print("| model | start, s | a cloud, s | clouds a second | 1,000 hours, core hours | on 64 cores, hours |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            short, long = (processor_seconds(Path(folder), model, count) for count in (few, more))
            each = (long - short) / (more - few)
            for rate in arguments.rates:
                cores = each * rate * HOURS
                figures = f"{short - few * each:.1f} | {each:.3f} | {rate:g} | {cores:,.0f} | {cores / 64:,.0f}"
                print(f"| {model} | {figures} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
