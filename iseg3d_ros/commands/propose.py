"""`iseg3d propose scan.ply`: all that could be an object; `iseg3d propose scan.ply chair`: all chairs.

Each is what one click gives that nobody had to give, and is to be accepted or not: `--clicks FILE` writes the clicks,
of which those that are right are left for `iseg3d segment scan.ply --clicks FILE`; `-o FILE` writes the masks. Without
a class, clicks are tried on what is no ground, table top or wall. By class is an extension, for weights that know
classes (fewclick).
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from iseg3d_ros.commands.click_arguments import metres, triple
from iseg3d_ros.commands.export_arguments import FORMAT_NAMES, add_overwrite
from iseg3d_ros.commands.progress import Progress


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    short = "find what could be an object, or all objects of a class"
    parser = subparsers.add_parser("propose", help=short, description=__doc__)
    parser.add_argument("cloud", type=Path, help="PLY, PCD, npz, npy or KITTI .bin file")
    parser.add_argument("name", nargs="?", metavar="CLASS", help="only chairs, tables …: a class that the weights know")
    parser.add_argument("-o", "--output", type=Path, help="cloud labelled with the proposals, the surest is 1")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="of the output (default: by its suffix; ply)")
    add_overwrite(parser)
    parser.add_argument("--clicks", type=Path, metavar="FILE", help="write the clicks into this JSON file")
    parser.add_argument("--model", help="weights by name or file (default: the best; fewclick where a class is named)")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="the classes' names: a line each")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--voxel-size", type=metres, metavar="METRES", help="by default it follows from the cloud")
    parser.add_argument("--up", type=triple, metavar="X,Y,Z", help="the up direction in the cloud's frame, if known")
    parser.add_argument("--tries", type=int, default=64, help="clicks that are tried at most (default: %(default)s)")
    parser.add_argument("--least", type=float, default=0.3, metavar="P", help="least probability of the class")
    parser.add_argument("--json", action="store_true", help="print the clicks as a clicks file holds them")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, encode, propose, write."""
    from iseg3d_ros.cloud import read_cloud
    from iseg3d_ros.io.export_place import new_file
    from iseg3d_ros.io.exports import check_export, format_of
    from iseg3d_ros.predictor import Predictor
    from iseg3d_ros.sparse.threads import settle

    kind = format_of(arguments.output, arguments.format or "") if arguments.output else ""
    if arguments.output:
        check_export(arguments.output, kind, arguments.overwrite)
    if arguments.tries < 1:
        raise ValueError("--tries must be 1 or more.")
    if not 0 < arguments.least < 1:
        raise ValueError(f"--least is a probability between 0 and 1, not {arguments.least}.")
    progress = Progress(quiet=arguments.json)
    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    progress.show("loading the model")
    model = arguments.model or ("fewclick" if arguments.name else None)
    given = {"vocabulary": arguments.vocabulary} if arguments.vocabulary else {}
    settle()
    predictor = Predictor.load(model, arguments.device, arguments.voxel_size, **given)
    cloud = read_cloud(arguments.cloud)
    found = _found(arguments, predictor, cloud, progress)
    progress.clear()
    rows = [_row(each, arguments.name or "object") for each in found]
    if arguments.clicks:
        with new_file(arguments.clicks, arguments.overwrite) as part:
            part.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if arguments.output:
        _write(arguments, kind, cloud, found, rows)
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for number, row in enumerate(rows, 1):
        where = ",".join(f"{value:.3f}" for value in row["point"])
        print(f"  {number}: {row['points']} points, score {row['score']:.2f}, --click={where}:{number}")
    of = f" of {arguments.name}" if arguments.name else ""
    print(f"{len(rows)} proposals{of}: right or wrong is for you to say.")
    return 0


def _found(arguments: argparse.Namespace, predictor: Any, cloud: Any, progress: Progress) -> list[Any]:
    """All objects, or those of the class."""
    from iseg3d_ros.interaction.class_proposals import check_class, proposals_of_class
    from iseg3d_ros.interaction.proposals import proposals

    if arguments.name:
        check_class(predictor, arguments.name)
    progress.show(f"encoding {len(cloud)} points")
    scene = predictor.encode(cloud.xyz, cloud.rgb, arguments.up)
    if arguments.name:
        progress.show("asking")
        return list(proposals_of_class(predictor, scene, arguments.name, arguments.least))

    def tell(done: int, of: int) -> None:
        progress.show(f"click {done + 1} of {of}")

    return list(proposals(predictor, scene, cloud.xyz, arguments.tries, tell))


def _row(found: Any, name: str) -> dict[str, Any]:
    """As a clicks file has it; what it does not know it passes over."""
    return {
        "point": [round(value, 4) for value in found.click.point], "object": f"{name} {found.click.object}",
        "score": round(found.score, 4), "points": len(found.indices),
    }  # fmt: skip


def _write(arguments: argparse.Namespace, kind: str, cloud: Any, found: list[Any], rows: list[dict[str, Any]]) -> None:
    """The cloud with a label for every proposal."""
    from iseg3d_ros.interaction.proposals import labels_of
    from iseg3d_ros.io.exports import ExportedObject, LabelledResult, export

    objects = tuple(ExportedObject(number, row["object"]) for number, row in enumerate(rows, 1))
    labelled = LabelledResult(cloud.with_labels(labels_of(found, len(cloud))), objects)
    export(arguments.output, kind, labelled, arguments.overwrite)
