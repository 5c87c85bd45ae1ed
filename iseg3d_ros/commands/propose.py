"""`iseg3d propose scan.ply chair`: where all chairs may be, each to be accepted with a click (an extension).

`--clicks FILE` writes them as a clicks file: leave out the rows that are wrong, and `iseg3d segment scan.ply --clicks
FILE` segments the others.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from iseg3d_ros.commands.click_arguments import metres, triple


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("propose", help="find all objects of a class", description=__doc__)
    parser.add_argument("cloud", type=Path, help="PLY, PCD, npz, npy or KITTI .bin file")
    parser.add_argument("name", metavar="CLASS", help="chair, table, lamp …: a class that the weights know")
    parser.add_argument("--clicks", type=Path, metavar="FILE", help="write the clicks into this new JSON file")
    parser.add_argument("--least", type=float, default=0.3, metavar="P", help="least probability of the class")
    parser.add_argument("--model", default="fewclick", help="weights that know classes (default: %(default)s)")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="the classes' names: a line each")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--voxel-size", type=metres, metavar="METRES", help="by default it follows from the cloud")
    parser.add_argument("--up", type=triple, metavar="X,Y,Z", help="the up direction in the cloud's frame, if known")
    parser.add_argument("--json", action="store_true", help="print the clicks as a clicks file holds them")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, encode, ask, print."""
    from iseg3d_ros.cloud import read_cloud
    from iseg3d_ros.commands.progress import Progress
    from iseg3d_ros.interaction.proposals import classes_of, proposals
    from iseg3d_ros.io.export_place import new_file
    from iseg3d_ros.predictor import Predictor

    if not 0 < arguments.least < 1:
        raise ValueError(f"--least is a probability between 0 and 1, not {arguments.least}.")
    progress = Progress(quiet=arguments.json)
    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    predictor = Predictor.load(
        arguments.model, arguments.device, arguments.voxel_size, vocabulary=arguments.vocabulary
    )
    if arguments.name not in classes_of(predictor):
        raise ValueError(f"There is no class {arguments.name!r}; the classes are {', '.join(classes_of(predictor))}.")
    cloud = read_cloud(arguments.cloud)
    progress.show(f"encoding {len(cloud)} points")
    scene = predictor.encode(cloud.xyz, cloud.rgb, arguments.up)
    progress.show("asking")
    rows = [_row(found, arguments.name) for found in proposals(predictor, scene, arguments.name, arguments.least)]
    progress.clear()
    if arguments.clicks:
        with new_file(arguments.clicks, False) as part:
            part.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        where = ",".join(f"{value:.3f}" for value in row["point"])
        print(f"{row['object']}: {row['probability']:.0%}, {row['voxels']} voxels: --click {where}")
    print(f"{len(rows)} proposals of {arguments.name}: none is segmented before it is clicked.")
    return 0


def _row(found: Any, name: str) -> dict[str, Any]:
    """As a clicks file has it; what it does not know it passes over."""
    return {
        "point": [round(value, 4) for value in found.click.point], "object": f"{name} {found.click.object}",
        "class": name, "probability": round(found.probability, 4), "voxels": len(found.voxels),
    }  # fmt: skip
