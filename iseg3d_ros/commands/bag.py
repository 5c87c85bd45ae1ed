"""`iseg3d bag in.mcap out.mcap --clicks clicks.json`: every cloud of a recording labelled, objects followed."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from iseg3d_ros.commands.click_arguments import metres
from iseg3d_ros.commands.export_arguments import FORMAT_NAMES, add_overwrite
from iseg3d_ros.commands.model_arguments import add_model_options, model_options
from iseg3d_ros.commands.progress import Progress

if TYPE_CHECKING:
    from iseg3d_ros.interaction.bag_segmentation import Segmented
    from iseg3d_ros.io.exports import ExportFolder, LabelledResult


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("bag", help="segment a whole rosbag offline", description=__doc__)
    parser.add_argument("input", type=Path, help="rosbag2 folder or mcap file, or a folder of them")
    parser.add_argument("output", type=Path, help="bag to write: a folder, or a file that ends in .mcap")
    parser.add_argument(
        "--clicks", type=Path, required=True, metavar="FILE",
        help='JSON list of {"point": [x, y, z], "object": id, "time": seconds, "frame": name}, or a saved session',
    )  # fmt: skip
    parser.add_argument("--topic", default="", help="topic of the clouds (default: the first)")
    parser.add_argument("--fixed-frame", default="", help="frame that does not move; needs TF in the bag")
    parser.add_argument("--model", help="shipped weights by name, a weights file, or random_walker")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--voxel-size", type=metres, metavar="METRES", help="by default it follows from the first cloud"
    )
    parser.add_argument("--copy", action="store_true", help="copy the input's other messages into the output")
    parser.add_argument("--export", choices=FORMAT_NAMES, help="write every cloud into a folder of files as well")
    parser.add_argument(
        "--export-folder", type=Path, metavar="FOLDER", help="where to (default: OUTPUT_FORMAT beside the output)"
    )
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print a line of JSON for every cloud")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS",
                        help="work on a Ray cluster, for a folder of bags; alone: here")  # fmt: skip
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One bag, or a folder of them."""
    from iseg3d_ros.commands import bag_folder

    if bag_folder.holds_bags(arguments.input):
        return bag_folder.run(arguments)
    if arguments.ray:
        raise ValueError("--ray is for a folder of bags: the clouds of one bag depend on those before them.")
    progress = Progress(quiet=arguments.json)
    segment_bag(arguments, progress, lambda result, total: _report(result, total, progress, arguments.json))
    progress.clear()
    if not arguments.json:
        print(arguments.output)
        if arguments.export:
            print(_export_path(arguments))
    return 0


def segment_bag(
    arguments: argparse.Namespace, progress: Progress, report: Callable[[Segmented, int], object] = lambda *_: None
) -> int:
    """Read, segment, write; how many clouds there were."""
    from iseg3d_ros.interaction.bag_segmentation import LabelledBag, Offline, read_clicks
    from iseg3d_ros.io.bags import TF, Bag
    from iseg3d_ros.predictor import Predictor
    from iseg3d_ros.sparse.threads import settle

    clicks, files, count = read_clicks(arguments.clicks), _export_folder(arguments), 0
    with Bag(arguments.input) as bag:
        topic = bag.cloud_topic(arguments.topic)
        total = bag.topics("sensor_msgs/msg/PointCloud2")[topic]
        out = LabelledBag(arguments.output, bag)
        settle()
        predictor = Predictor.load(
            arguments.model, arguments.device, arguments.voxel_size, **model_options(arguments)
        )
        with out, files or contextlib.nullcontext():
            topics = [] if arguments.copy else list(bag.topics(TF))
            for record in bag.messages(*topics) if arguments.copy or topics else ():
                out.copy(record)
            for result in Offline(predictor, clicks, arguments.fixed_frame, progress.say).run(bag, topic):
                out.labelled(f"{topic}/labelled", result)
                out.objects(f"{topic}/objects", result)
                if files:
                    files.add(labelled_result(result))
                count += 1
                report(result, total)
    return count


def _export_folder(arguments: argparse.Namespace) -> ExportFolder | None:
    """Checked before the work: never the output itself, never a folder that is there."""
    from iseg3d_ros.io.exports import ExportFolder

    if not arguments.export:
        return None
    folder = _export_path(arguments)
    if folder.absolute() == arguments.output.absolute():
        raise ValueError(f"{folder} cannot be the bag and its export at once: name another --export-folder.")
    return ExportFolder(folder, arguments.export, arguments.overwrite)


def _export_path(arguments: argparse.Namespace) -> Path:
    output: Path = arguments.output
    return arguments.export_folder or output.with_name(f"{output.stem}_{arguments.export}")


def labelled_result(result: Segmented) -> LabelledResult:
    """A cloud of the bag as exports take it."""
    import numpy as np

    from iseg3d_ros.cloud import Cloud
    from iseg3d_ros.io.exports import UP, ExportedObject, LabelledResult

    view, found = result.view, result.view.result
    cloud = Cloud(np.ascontiguousarray(view.points.xyz), view.points.rgb, None, found.labels)
    objects = tuple(ExportedObject(item.index, item.name) for item in view.objects)
    up = UP if view.up is None else tuple(view.up)
    return LabelledResult(cloud, objects, found.probability, found.uncertainty, up, found.variance)


def _report(result: Segmented, total: int, progress: Progress, as_json: bool) -> None:
    import numpy as np

    ids = [item.id for item in result.view.objects]
    counts = np.bincount(result.view.result.labels, minlength=len(ids) + 1)[1:]
    seen = {name: int(count) for name, count in zip(ids, counts, strict=False)}
    if as_json:
        print(json.dumps({"cloud": result.number, "time": result.record.time, "objects": seen}), flush=True)
    else:
        words = ", ".join(f"{name} {count}" for name, count in seen.items())
        progress.show(f"{result.number + 1}/{total} {words or 'no objects yet'}")
