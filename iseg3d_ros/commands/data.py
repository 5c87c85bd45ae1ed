"""`iseg3d data scannet40:/data/scannet --out out/scannet`: labelled data of any kind as scene files, read far sooner.

A public data set is text, meshes or JSON, and training reads every scene many times. What was written before is kept,
so an interrupted conversion goes on. `iseg3d scenes --pack` packs the folder as it does made scenes.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

PARTS = ("train", "val")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("data", help="convert public data sets to scenes", description=__doc__)
    parser.add_argument("data", nargs="+", help="folders or files of labelled clouds, or KIND:FOLDER")
    parser.add_argument("--out", type=Path, required=True, help="the folder of scenes to write")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="of the data (default: both)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert; a scene that cannot be read is named and left out."""
    from iseg3d_ros.data.folder import SUFFIX, write_scene
    from iseg3d_ros.data.parts import part_of

    arguments.out.mkdir(parents=True, exist_ok=True)
    written, failed = 0, 0
    for place in arguments.data:
        for part in arguments.parts:
            samples = part_of(place, part)
            for k, name in enumerate(samples.names):
                target = arguments.out / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}{SUFFIX}"
                if target.exists():
                    continue
                try:
                    write_scene(target, replace(samples[k].cloud, split=part))
                    written += 1
                except (ValueError, OSError) as error:
                    failed += 1
                    print(f"left out: {error}", file=sys.stderr)
    print(f"{arguments.out}: {written} scenes written. Train on them with --data {arguments.out}.")
    return 1 if failed and not written else 0
