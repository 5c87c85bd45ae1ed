"""`iseg3d segment scan.ply --click x,y,z:1 --click x,y,z:0 -o out.ply`: label a cloud file from clicks."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from iseg3d_ros.clicks import Click


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("segment", help="label a cloud file from clicks", description=__doc__)
    parser.add_argument("cloud", type=Path, help="PLY, PCD, npz, npy or KITTI .bin file")
    parser.add_argument(
        "--click", action="append", type=click_of, required=True, metavar="X,Y,Z:OBJECT",
        help="a click in the cloud's frame, metres; object 0 is background, 1, 2, … are objects; repeat it",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, help="labelled cloud (.ply .pcd .npz .npy) or labels (.label)")
    parser.add_argument("--picture", type=Path, help="draw the result into this PNG or JPEG file")
    parser.add_argument(
        "--model", help="shipped weights by name, a weights file, or random_walker; the best by default"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--voxel-size", type=float, metavar="METRES", help="by default it follows from the cloud's size"
    )
    parser.add_argument("--crop-radius", type=float, metavar="METRES", help="leave out points farther from the origin")
    parser.add_argument("--up", type=triple, metavar="X,Y,Z", help="the up direction in the cloud's frame, if known")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def click_of(text: str) -> Click:
    """A click written as x,y,z:object; without the object it is on object 1."""
    place, _, label = text.partition(":")
    try:
        number = int(label) if label else 1
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: after the colon stands the object's whole number") from error
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: objects are 0 (background), 1, 2, …")
    return Click(triple(place), number)


def triple(text: str) -> tuple[float, float, float]:
    """Three numbers separated by commas."""
    try:
        x, y, z = (float(word) for word in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers separated by commas") from error
    return x, y, z


def run(arguments: argparse.Namespace) -> int:
    """Read, encode, segment, write."""
    from iseg3d_ros.cloud import WRITABLE, read_cloud, write_cloud
    from iseg3d_ros.io.picture import write_picture
    from iseg3d_ros.predictor import Predictor

    output = arguments.output
    if output is not None and output.suffix.lower() not in WRITABLE:  # before the work, not after it
        raise ValueError(f"{output}: clouds cannot be written so; the formats are {', '.join(WRITABLE)}.")
    warnings.showwarning = _say
    predictor = Predictor.load(arguments.model, arguments.device, arguments.voxel_size, arguments.crop_radius)
    cloud = read_cloud(arguments.cloud)
    start = time.perf_counter()
    scene = predictor.encode(cloud.xyz, cloud.rgb, arguments.up)
    encode_ms = 1e3 * (time.perf_counter() - start)
    result = predictor.segment(scene, arguments.click)
    if output is not None:
        fields = {"probability": result.probability, "uncertainty": result.uncertainty}
        write_cloud(output, cloud.with_labels(result.labels), fields)
    if arguments.picture is not None:
        write_picture(arguments.picture, cloud.xyz, cloud.rgb, result.labels, arguments.click, arguments.up)
    _report(summary(predictor, scene, result, encode_ms), arguments)
    return 0


def summary(predictor: Any, scene: Any, result: Any, encode_ms: float) -> dict[str, Any]:
    """What is printed: sizes, times, points of each object, the next click."""
    import numpy as np

    counts = np.bincount(result.labels, minlength=result.objects + 1)
    suggested = result.suggested_click
    return {
        "model": predictor.name,
        "points": scene.points,
        "voxels": len(scene.voxels),
        "voxel_size": scene.voxels.size,
        "kind": scene.kind,
        "encode_ms": round(encode_ms, 1),
        "segment_ms": round(result.milliseconds, 1),
        "objects": {str(label): int(counts[label]) for label in range(1, result.objects + 1)},
        "suggested_click": None if suggested is None else {"point": suggested.point, "object": suggested.object},
        "notes": list(scene.notes),
    }


def _report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(figures))
        return
    print(
        f"{figures['model']}: {figures['points']} points, {figures['voxels']} voxels of {figures['voxel_size']:.3g} m, "
        f"encoded in {figures['encode_ms']:.0f} ms, segmented in {figures['segment_ms']:.0f} ms"
    )
    for label, count in figures["objects"].items():
        print(f"  object {label}: {count} points")
    if figures["suggested_click"]:
        where = ",".join(f"{value:.3f}" for value in figures["suggested_click"]["point"])
        print(f"  a click would help most at {where} (object {figures['suggested_click']['object']}, or what it is)")
    for path in (arguments.output, arguments.picture):
        if path is not None:
            print(f"  wrote {path}")


def _say(message: Warning | str, *_: object, **__: object) -> None:
    print(f"iseg3d: {message}", file=sys.stderr)
