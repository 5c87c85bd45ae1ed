"""`iseg3d bag in.mcap out.mcap --clicks clicks.json`: every cloud of a recording labelled, objects followed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("bag", help="segment a whole rosbag offline", description=__doc__)
    parser.add_argument("input", type=Path, help="rosbag2 folder or mcap file")
    parser.add_argument("output", type=Path, help="bag to write: a folder, or a file that ends in .mcap")
    parser.add_argument(
        "--clicks", type=Path, required=True, metavar="FILE",
        help='JSON list of {"point": [x, y, z], "object": id, "time": seconds, "frame": name}, or a saved session',
    )  # fmt: skip
    parser.add_argument("--topic", default="", help="topic of the clouds (default: the first)")
    parser.add_argument("--fixed-frame", default="", help="frame that does not move; needs TF in the bag")
    parser.add_argument("--model", help="shipped weights by name, a weights file, or random_walker")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--voxel-size", type=float, metavar="METRES", help="by default it follows from the first cloud")
    parser.add_argument("--copy", action="store_true", help="copy the input's other messages into the output")
    parser.add_argument(
        "--export", choices=("semantickitti", "ply", "pcd", "npz"), help="write a file per cloud as well"
    )
    parser.add_argument("--export-folder", type=Path, metavar="FOLDER", help="where to (default: beside the output)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, segment, write."""
    from iseg3d_ros.io.bags import TF, Bag
    from iseg3d_ros.predictor import Predictor
    from iseg3d_ros.ros.bag_segmentation import LabelledBag, Offline, export, read_clicks

    clicks = read_clicks(arguments.clicks)
    folder = arguments.export_folder or arguments.output.with_suffix("")
    with Bag(arguments.input) as bag:
        topic = bag.cloud_topic(arguments.topic)
        total = bag.topics("sensor_msgs/msg/PointCloud2")[topic]
        with LabelledBag(arguments.output, bag) as out:
            predictor = Predictor.load(arguments.model, arguments.device, arguments.voxel_size)
            topics = [] if arguments.copy else list(bag.topics(TF))
            for record in bag.messages(*topics) if arguments.copy or topics else ():
                out.copy(record)
            for result in Offline(predictor, clicks, arguments.fixed_frame, _say).run(bag, topic):
                out.labelled(f"{topic}/labelled", result)
                out.objects(f"{topic}/objects", result)
                if arguments.export:
                    export(folder, arguments.export, result)
                ids, labels = [item.id for item in result.view.objects], result.view.result.labels
                points = np.bincount(labels, minlength=len(ids) + 1)[1:]
                seen = ", ".join(f"{name} {count}" for name, count in zip(ids, points, strict=False))
                print(f"\r{result.number + 1}/{total} {seen or 'no objects yet'}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(arguments.output)
    return 0


def _say(sentence: str) -> None:
    print(f"\n{sentence}", file=sys.stderr)
