"""`iseg3d tables e2i3d --data /data`: every table and figure of the five papers, ours beside the paper's own figures.

DATA holds the data sets in folders of their names (ScanNet, S3DIS, KITTI-360, SemanticKITTI, Replica, PartNet); where
one is missing, made scenes stand in, and the table says so. Weights that were trained by the papers' recipes are found
in --weights, shipped ones stand in; a row without weights names the command that makes them. Interrupted, the same
command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from iseg3d_ros.ray_items import cluster

PAPER_NAMES = ("interobject3d", "clickenhance", "npiseg3d", "e2i3d", "fewclick")
QUICK_SCENES, QUICK_CLICKS, SCENES = 2, 5, 12


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("tables", help="make the papers' tables and figures", description=__doc__)
    parser.add_argument("papers", nargs="*", metavar="PAPER", help=f"{', '.join(PAPER_NAMES)}; all where none is named")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of data sets; none: made scenes alone")
    parser.add_argument("--only", nargs="+", default=[], metavar="TABLE", help="tab1, fig7 …: these alone")
    parser.add_argument("--made", type=Path, default=Path("out/tables/made"), metavar="DIR",
                        help="made scenes in folders of their kinds; made where they are missing")  # fmt: skip
    parser.add_argument("--weights", type=Path, default=Path("runs/paper"), metavar="DIR", help="trained by recipes")
    parser.add_argument("--shipped", type=Path, metavar="DIR", help="of weights that stand in (default: the package's)")
    parser.add_argument("--out", type=Path, default=Path("out/tables"), help="Markdown, CSV and pictures")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SCENES} scenes, {QUICK_CLICKS} clicks an object")
    parser.add_argument("--limit", type=int, help="the first N scenes of each data set")
    parser.add_argument("--budget", type=int, default=20, help="clicks an object")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0: this one alone")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="work on a Ray cluster; alone: here")
    parser.add_argument("--device", default="auto")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the tables paper by paper; each one's file grows with every table."""
    maker = _maker(arguments)
    with cluster(arguments.ray) if arguments.ray else contextlib.nullcontext():
        for paper in arguments.papers or PAPER_NAMES:
            _paper(paper, maker, arguments)
    return 0


def _paper(paper: str, maker: Any, arguments: argparse.Namespace) -> None:
    from iseg3d_ros.evaluation.paper_data import tables_of
    from iseg3d_ros.evaluation.tables import csv_of, make
    from iseg3d_ros.io.atomic_write import replacing

    if paper not in PAPER_NAMES:
        raise ValueError(f"There is no paper {paper!r}; the papers are {', '.join(PAPER_NAMES)}.")
    wanted = [table for table in tables_of(paper) if not arguments.only or table.id in arguments.only]
    if not wanted:
        raise ValueError(f"{paper} has no table of {arguments.only}: {', '.join(t.id for t in tables_of(paper))}.")
    done: list[Any] = []
    for table in wanted:
        done.append(make(maker, table))
        if table.curve:
            _draw(done[-1], paper, arguments.out)
        for suffix, text in (("md", "\n".join(each.markdown() for each in done)), ("csv", csv_of(done))):
            with replacing(arguments.out / f"{paper}.{suffix}") as stream:
                stream.write(text.encode())
        print(done[-1].markdown(), flush=True)


def _maker(arguments: argparse.Namespace) -> Any:
    from iseg3d_ros.evaluation.tables import Maker
    from iseg3d_ros.io.package_files import weights_dir

    if arguments.data and not arguments.data.is_dir():
        raise ValueError(f"{arguments.data} is no folder of data sets.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    limit = arguments.limit or (QUICK_SCENES if arguments.quick else None)
    budget = min(arguments.budget, QUICK_CLICKS) if arguments.quick else arguments.budget
    _make_scenes(arguments.made, QUICK_SCENES if arguments.quick else SCENES)
    shipped = arguments.shipped or weights_dir()
    return Maker(
        arguments.data, arguments.made, arguments.weights, shipped, arguments.out, budget, limit, arguments.workers,
        arguments.device, arguments.ray,
    )


def _make_scenes(folder: Path, count: int) -> None:
    """Scenes of held-out models, of every kind that is missing."""
    from dataclasses import replace

    from iseg3d_ros.data.folder import SUFFIX, write_scene
    from iseg3d_ros.evaluation.paper_data import FOLDERS
    from iseg3d_ros.scenes.catalogue import default_file
    from iseg3d_ros.scenes.make import Order, make_scene

    models = str(default_file()) if default_file().is_file() else None
    for kind in sorted({kind for _, kind in FOLDERS.values()}):
        if any((folder / kind).glob(f"*{SUFFIX}")):
            continue
        order = Order(kind, 1009, folder / kind, models)
        for k in range(count):
            scene = make_scene(order, 10 * k + 9)  # every tenth is made of held-out models
            write_scene(folder / kind / f"{kind}_{k:03d}{SUFFIX}", replace(scene, name=f"{kind}_{k:03d}"))


def _draw(made: Any, paper: str, out: Path) -> None:
    """IoU over clicks and clicks over IoU, a picture a data set."""
    from iseg3d_ros.evaluation.plots import draw_both

    for name, (_, lines) in made.parts.items():
        measured = {line.name: line.outcomes for line in lines if line.outcomes}
        if measured:
            draw_both(measured, out / f"{paper}_{made.table.id}_{name}.png")
