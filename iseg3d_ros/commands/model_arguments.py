"""What can be asked of a loaded network, as arguments that several commands share (`models.options`)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_model_options(parser: argparse.ArgumentParser, seed: bool = True) -> None:
    """Declare them; `seed`: whether that of sampling is `--seed` here."""
    group = parser.add_argument_group("the network")
    group.add_argument("--adapt", action="store_true", help="let the network learn from the clicks (InterObject3D)")
    group.add_argument("--adapt-bound", type=float, default=0.05, metavar="SHARE",
                       help="how far its weights may drift, of their norm (default: %(default)s)")  # fmt: skip
    group.add_argument("--samples", type=int, metavar="N", help="of a network that samples (npiseg3d); the file's own")
    if seed:
        group.add_argument("--seed", type=int, help="of a network that samples")
    group.add_argument("--cubes", type=_numbers, metavar="VOXELS[,VOXELS...]",
                       help="half-widths of the click cubes (interobject3d); the file's own")  # fmt: skip
    group.add_argument("--vocabulary", type=Path, metavar="FILE",
                       help="names of the classes (fewclick): a line each, further words after commas")  # fmt: skip
    group.add_argument("--tile", type=float, metavar="METRES", help="ask about overlapping squares of this edge around "
                       "the clicks, for clouds larger than the network was trained on (interobject3d: 5)")  # fmt: skip


def model_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """As `Predictor.load` takes them."""
    return {
        "adapt": arguments.adapt, "adapt_bound": arguments.adapt_bound, "samples": arguments.samples,
        "seed": arguments.seed, "cubes": arguments.cubes, "vocabulary": arguments.vocabulary,
        "tile": arguments.tile,
    }  # fmt: skip


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))
