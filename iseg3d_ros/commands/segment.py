"""`iseg3d segment scan.ply --click x,y,z:1 --click x,y,z:0 -o out.ply`: label cloud files from clicks.

With a folder and a clicks file that names its clouds, all of them: `iseg3d segment scans --clicks clicks.json -o out`.
Run again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iseg3d_ros.commands.click_arguments import (
    CLICKS_HELP,
    CloudClicks,
    click_of,
    from_words,
    metres,
    name_of,
    read_clicks,
    triple,
)
from iseg3d_ros.commands.export_arguments import FORMAT_NAMES, add_overwrite
from iseg3d_ros.commands.model_arguments import add_model_options, model_options
from iseg3d_ros.commands.progress import Progress

if TYPE_CHECKING:
    from iseg3d_ros.cloud import Cloud

STANDARD = Path("-")  # standard input or output
PICTURES = (".png", ".jpg", ".jpeg")
CERTAINLY_FAR_METRES, CERTAINLY_FAR_VOXELS = 10.0, 32.0  # from a click to the cloud: refused before it is encoded


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("segment", help="label a cloud file from clicks", description=__doc__)
    parser.add_argument("cloud", type=Path, help="PLY, PCD, npz, npy or KITTI .bin file, a folder, or - (stdin)")
    clicks = parser.add_mutually_exclusive_group(required=True)
    clicks.add_argument(
        "--click", action="append", type=click_of, metavar="X,Y,Z:OBJECT",
        help="a click in the cloud's frame, metres; object 0 is background, 1, 2, … are objects; repeat it",
    )  # fmt: skip
    clicks.add_argument("--clicks", type=Path, metavar="FILE", help=f"JSON: {CLICKS_HELP}")
    parser.add_argument(
        "--name", action="append", type=name_of, default=[], metavar="OBJECT=NAME[:CLASS]", help="what an object is"
    )
    parser.add_argument("-o", "--output", type=Path, help="labelled cloud, or - (stdout); a folder for many clouds")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="of the output (default: by its suffix; ply)")
    add_overwrite(parser)
    parser.add_argument("--picture", type=Path, help="draw the result into this PNG or JPEG file")
    parser.add_argument(
        "--model", help="shipped weights by name, a weights file, or random_walker; the best by default"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--voxel-size", type=metres, metavar="METRES", help="by default it follows from the cloud's size"
    )
    parser.add_argument("--crop-radius", type=metres, metavar="METRES", help="leave out points farther from the origin")
    add_model_options(parser)
    parser.add_argument("--within", type=int, metavar="LABEL",
                        help="click parts: of the cloud's points only those with this label take part")  # fmt: skip
    parser.add_argument("--up", type=triple, metavar="X,Y,Z", help="the up direction in the cloud's frame, if known")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS",
                        help="work on a Ray cluster, for a folder of clouds; alone: here")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check everything, then read, encode, segment, write."""
    if arguments.cloud.is_dir():
        from iseg3d_ros.commands.segment_folder import run as run_folder

        return run_folder(arguments)
    if arguments.ray:
        raise ValueError("--ray is for a folder of clouds, not for a single one.")
    given = _clicks(arguments)
    check_places(arguments)
    progress = Progress(quiet=arguments.json)
    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    progress.show("loading the model")
    predictor = load(arguments)
    progress.show(f"reading {arguments.cloud}")
    figures = segment_cloud(predictor, read(arguments.cloud), given, arguments, arguments.output, progress)
    progress.clear()
    _report(figures, arguments)
    return 0


def _clicks(arguments: argparse.Namespace) -> CloudClicks:
    if arguments.clicks is None:
        return from_words(arguments.click, arguments.name)
    rows = read_clicks(arguments.clicks)
    found = rows.get("", rows.get(arguments.cloud.name))
    if found is None:
        raise ValueError(f"{arguments.clicks} says nothing of {arguments.cloud.name}; it speaks of {', '.join(rows)}.")
    return found


def check_places(arguments: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    from iseg3d_ros.io.export_place import check_place
    from iseg3d_ros.io.exports import FORMATS, check_export, check_needs

    output = arguments.output
    if output == STANDARD:
        if FORMATS[arguments.format or "ply"].folder:
            raise ValueError(f"{arguments.format} is a folder of files, not for standard output: name a folder.")
        check_needs(arguments.format or "ply")
    elif output is not None:
        check_export(output, _format(output, arguments.format), arguments.overwrite)
    if arguments.picture is not None:
        if arguments.picture.suffix.lower() not in PICTURES:
            raise ValueError(f"{arguments.picture}: pictures are .png or .jpg.")
        check_place(arguments.picture, arguments.overwrite)


def _format(output: Path, wanted: str | None) -> str:
    from iseg3d_ros.io.exports import format_of

    return format_of(output, wanted or "")


def load(arguments: argparse.Namespace) -> Any:
    """The predictor that the arguments ask for."""
    from iseg3d_ros.predictor import Predictor
    from iseg3d_ros.sparse.threads import settle

    settle()
    return Predictor.load(
        arguments.model, arguments.device, arguments.voxel_size, arguments.crop_radius, **model_options(arguments)
    )


def read(path: Path) -> Cloud:
    """The cloud of a file, or of standard input."""
    from iseg3d_ros.cloud import read_cloud

    if path != STANDARD:
        return read_cloud(path)
    data = sys.stdin.buffer.read()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"standard_input{_suffix(data)}"
        file.write_bytes(data)
        return read_cloud(file)


def _suffix(data: bytes) -> str:
    """By how the data begin; KITTI's sweeps have no sign of their own."""
    for start, suffix in ((b"ply", ".ply"), (b"PK", ".npz"), (b"\x93NUMPY", ".npy"), (b"# .PCD", ".pcd")):
        if data.startswith(start):
            return suffix
    return ".pcd" if b"\nDATA " in data[:65536] else ".bin"


def segment_cloud(
    predictor: Any,
    cloud: Cloud,
    given: CloudClicks,
    arguments: argparse.Namespace,
    output: Path | None,
    progress: Progress,
) -> dict[str, Any]:
    """Encode, segment and write one cloud; what is to be printed."""
    from iseg3d_ros.clicks import Click

    check_distances(cloud, given, arguments.voxel_size)
    clicks = [Click(click.point, click.object) for click in given.clicks]
    progress.show(f"encoding {len(cloud)} points")
    start = time.perf_counter()
    scene, segmented = _encoded(predictor, cloud, arguments)
    encode_ms = 1e3 * (time.perf_counter() - start)
    progress.show("segmenting")
    result = segmented(clicks)
    progress.show("writing")
    if output is not None:
        _write(output, cloud, result, given, arguments)
    if arguments.picture is not None:
        _draw(arguments, cloud, result, clicks)
    return summary(predictor, scene, result, encode_ms, given)


def _encoded(predictor: Any, cloud: Cloud, arguments: argparse.Namespace) -> tuple[Any, Callable[[Any], Any]]:
    """The scene, and what answers clicks: of the whole cloud, or of one object's parts."""
    if arguments.within is None:
        scene = predictor.encode(cloud.xyz, cloud.rgb, arguments.up)
        return scene, partial(predictor.segment, scene)
    from iseg3d_ros.interaction.part_level import PartLevel

    if cloud.labels is None:
        raise ValueError("--within speaks of a label, but the cloud has none: segment the object first, with -o.")
    level = PartLevel.of(predictor, cloud.xyz, cloud.rgb, cloud.labels == arguments.within, arguments.up)
    return level.scene, level.segment


def check_distances(cloud: Cloud, given: CloudClicks, voxel_size: float | None) -> None:
    """Refuse a click that is nowhere near the cloud; the network's own, stricter limit follows after encoding."""
    import numpy as np

    limit = max(CERTAINLY_FAR_METRES, CERTAINLY_FAR_VOXELS * (voxel_size or 0))
    for click in given.clicks:
        squared = np.square(cloud.xyz - np.asarray(click.point, cloud.xyz.dtype)).sum(axis=1)
        distance = float(np.sqrt(np.nanmin(np.where(np.isfinite(squared), squared, np.inf))))
        if limit < distance < np.inf:
            where = ", ".join(f"{value:g}" for value in click.point)
            raise ValueError(f"The click at ({where}) is {distance:.1f} m from the nearest point of the cloud.")


def _write(output: Path, cloud: Cloud, result: Any, given: CloudClicks, arguments: argparse.Namespace) -> None:
    from iseg3d_ros.io.exports import UP, ExportedObject, LabelledResult, export

    objects = tuple(ExportedObject(*name) for name in given.names)
    labelled = cloud.with_labels(result.labels)
    up = UP if arguments.up is None else arguments.up
    content = LabelledResult(labelled, objects, result.probability, result.uncertainty, up, result.variance)
    if output != STANDARD:
        export(output, _format(output, arguments.format), content, arguments.overwrite)
        return
    with tempfile.TemporaryDirectory() as folder:
        name = arguments.format or "ply"
        export(Path(folder) / f"out.{name}", name, content)
        with (Path(folder) / f"out.{name}").open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.flush()


def _draw(arguments: argparse.Namespace, cloud: Cloud, result: Any, clicks: list[Any]) -> None:
    from iseg3d_ros.io.export_place import new_file
    from iseg3d_ros.io.picture import write_picture

    with new_file(arguments.picture, arguments.overwrite) as part:
        write_picture(part, cloud.xyz, cloud.rgb, result.labels, clicks, arguments.up)


def summary(predictor: Any, scene: Any, result: Any, encode_ms: float, given: CloudClicks) -> dict[str, Any]:
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
        "classes": {str(label): {name: round(p, 4) for name, p in row} for label, row in result.classes.items()},
        "names": {str(name.label): name.name for name in given.names},
        "suggested_click": None if suggested is None else {"point": suggested.point, "object": suggested.object},
        "notes": list(scene.notes),
    }


def _report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    stream = sys.stderr if arguments.output == STANDARD else sys.stdout  # which the cloud has then
    if arguments.json:
        print(json.dumps(figures), file=stream)
        return
    lines = [
        f"{figures['model']}: {figures['points']} points, {figures['voxels']} voxels of {figures['voxel_size']:.3g} m, "
        f"encoded in {figures['encode_ms']:.0f} ms, segmented in {figures['segment_ms']:.0f} ms"
    ]
    for label, count in figures["objects"].items():
        name = figures["names"].get(label, label)
        lines.append(f"  object {label}{'' if name == label else f' ({name})'}: {count} points")
    for label, classes in figures["classes"].items():
        lines.append(f"  object {label} is likely {', '.join(f'{name} ({p:.0%})' for name, p in classes.items())}")
    if figures["suggested_click"]:
        where = ",".join(f"{value:.3f}" for value in figures["suggested_click"]["point"])
        owner = figures["suggested_click"]["object"]
        lines.append(f"  a click would help most at {where} (object {owner}, or what it is)")
    lines += [f"  wrote {path}" for path in (arguments.output, arguments.picture) if path not in (None, STANDARD)]
    print("\n".join(lines), file=stream)
