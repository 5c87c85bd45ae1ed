"""What the command lines of benches on labelled scenes have in common."""

from __future__ import annotations

import argparse

from iseg3d_ros.evaluation.config import EvaluationConfig

SHOWN = (1, 2, 3, 5, 10)  # clicks an object


def common_arguments(description: str | None) -> tuple[str, list[str], EvaluationConfig]:
    """Model, data and the protocol's settings, from the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="labelled scenes, as `iseg3d evaluate` takes them")
    parser.add_argument("--model", default="e2i3d")
    parser.add_argument("--voxel-size", type=float)
    parser.add_argument("--split", choices=("train", "val"))
    parser.add_argument("--limit", type=int, help="scenes of each place")
    parser.add_argument("--budget", type=int, default=5, help="clicks an object")
    given = parser.parse_args()
    config = EvaluationConfig(budget=given.budget, limit=given.limit, split=given.split, voxel_size=given.voxel_size)
    return given.model, given.data, config


def shown(config: EvaluationConfig) -> list[int]:
    """The counts of clicks that a table shows."""
    return [count for count in SHOWN if count <= config.budget]
