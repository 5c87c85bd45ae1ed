"""`iseg3d scenes --kind room --count 1000 --out out/scenes`: labelled scenes to train on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("scenes", help="make labelled training scenes", description=__doc__)
    parser.add_argument("--kind", choices=("room", "tabletop", "heap", "street", "object"), default="room")
    parser.add_argument("--count", type=int, default=100, help="scenes that shall be there; those made already count")
    parser.add_argument("--out", type=Path, default=Path("out/scenes"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="work on a Ray cluster; alone: here")
    parser.add_argument("--furniture", type=Path, help="a prepared furniture file, instead of the one in the cache")
    parser.add_argument("--procedural", action="store_true", help="do without the furniture models")
    parser.add_argument("--prepare", type=Path, metavar="FILE", help="only prepare the furniture models into FILE")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="a contact sheet of the first scenes")
    parser.add_argument(
        "--pack", type=Path, metavar="FOLDER", help="only pack the scenes in --out into FOLDER, for training elsewhere"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the scenes and say where they are."""
    from iseg3d_ros.scenes.make import Order, make, path_of, with_progress

    if arguments.pack:
        return _pack(arguments.out, arguments.pack)
    if arguments.prepare:
        return _prepare(arguments.prepare)
    if arguments.count < 1:
        raise ValueError(f"--count must be at least 1, but is {arguments.count}.")
    models = None if arguments.procedural else str(_furniture(arguments.furniture))
    order = Order(arguments.kind, arguments.seed, arguments.out, models)
    made = with_progress(make(order, arguments.count, arguments.workers, arguments.ray), arguments.count)
    if models:
        _attribute(arguments.out, Path(models))
    if arguments.picture:
        from iseg3d_ros.scenes.sheet import contact_sheet

        contact_sheet([path_of(order, index) for index in range(min(arguments.count, 6))], arguments.picture)
    print(f"{arguments.out}: {arguments.count} scenes of kind {arguments.kind}, {len(made)} of them new.")
    return 0


def _pack(source: Path, target: Path) -> int:
    """Thinned to three quarters of the finest voxels that networks are trained at."""
    from iseg3d_ros.data.folder import SceneFolder
    from iseg3d_ros.data.packed import pack
    from iseg3d_ros.training.config import DataConfig

    count = pack(SceneFolder(source), target, {kind: 0.75 * low for kind, (low, _) in DataConfig().voxel.items()})
    print(f"{target}: {count} scenes packed. Train on them with --set data.scenes=[{target}].")
    return 0


def _furniture(given: Path | None) -> Path:
    """The prepared models: those named, those in the cache, or made now where the package is installed."""
    from iseg3d_ros.scenes.catalogue import HOW_TO_GET, LIBRARIES, default_file

    path = given or default_file()
    if not path.is_file():
        if given or not LIBRARIES.is_dir():
            raise RuntimeError(f"{path}: {HOW_TO_GET}")
        _prepare(path)
    return path


def _prepare(path: Path) -> int:
    import sys

    from iseg3d_ros.scenes.catalogue import HOW_TO_GET, LIBRARIES
    from iseg3d_ros.scenes.prepare import prepare

    if not LIBRARIES.is_dir():
        raise RuntimeError(f"{LIBRARIES}: {HOW_TO_GET}")
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"preparing the furniture models once, into {path}: some two minutes", file=sys.stderr)
    prepare(path, LIBRARIES)
    return 0


def _attribute(out: Path, models: Path) -> None:
    """The makers of the models and their licences, beside the scenes."""
    from iseg3d_ros.scenes.catalogue import ModelLibrary
    from iseg3d_ros.scenes.prepare import attribution

    (out / "ATTRIBUTION.md").write_text("\n".join(attribution(ModelLibrary(models).rows)) + "\n")
