"""`iseg3d propose scan.ply -o out.ply`: everything in a cloud that could be an object, without a click.

Each is what one click gives, on things that are no ground, table top or wall. What is printed can be given to
`iseg3d segment` as clicks, and corrected there or in the console.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from iseg3d_ros.commands.click_arguments import metres, triple
from iseg3d_ros.commands.export_arguments import FORMAT_NAMES, add_overwrite
from iseg3d_ros.commands.progress import Progress


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("propose", help="find what could be an object in a cloud", description=__doc__)
    parser.add_argument("cloud", type=Path, help="PLY, PCD, npz, npy or KITTI .bin file")
    parser.add_argument("-o", "--output", type=Path, help="cloud labelled with the proposals, the surest is 1")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="of the output (default: by its suffix; ply)")
    add_overwrite(parser)
    parser.add_argument("--model", help="shipped weights by name, a weights file; the best by default")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--voxel-size", type=metres, metavar="METRES", help="by default from the cloud's size")
    parser.add_argument("--up", type=triple, metavar="X,Y,Z", help="the up direction in the cloud's frame, if known")
    parser.add_argument("--tries", type=int, default=64, help="clicks that are tried at most (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the proposals as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load, encode, propose, write."""
    from iseg3d_ros.cloud import read_cloud
    from iseg3d_ros.interaction.proposals import labels_of, proposals
    from iseg3d_ros.io.exports import ExportedObject, LabelledResult, check_export, export, format_of
    from iseg3d_ros.predictor import Predictor

    kind = format_of(arguments.output, arguments.format or "") if arguments.output else ""
    if arguments.output:
        check_export(arguments.output, kind, arguments.overwrite)
    if arguments.tries < 1:
        raise ValueError("--tries must be 1 or more.")
    progress = Progress(quiet=arguments.json)
    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    progress.show("loading the model")
    predictor = Predictor.load(arguments.model, arguments.device, arguments.voxel_size)
    cloud = read_cloud(arguments.cloud)
    progress.show(f"encoding {len(cloud)} points")
    scene = predictor.encode(cloud.xyz, cloud.rgb, arguments.up)
    found = proposals(
        predictor, scene, cloud.xyz, arguments.tries, lambda done, of: progress.show(f"click {done + 1} of {of}")
    )
    progress.clear()
    if arguments.output:
        objects = tuple(ExportedObject(number, f"proposal_{number}") for number in range(1, len(found) + 1))
        labelled = LabelledResult(cloud.with_labels(labels_of(found, len(cloud))), objects)
        export(arguments.output, kind, labelled, arguments.overwrite)
    rows = [{"point": each.click.point, "points": len(each.indices), "score": round(each.score, 4)} for each in found]
    if arguments.json:
        print(json.dumps({"model": predictor.name, "proposals": rows}))
    for number, row in enumerate([] if arguments.json else rows, 1):
        where = ",".join(f"{value:.3f}" for value in row["point"])
        print(f"  {number}: {row['points']} points, score {row['score']:.2f}, --click={where}:{number}")
    return 0
