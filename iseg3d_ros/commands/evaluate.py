"""`iseg3d evaluate DATA... --models e2i3d,random_walker`: the papers' tables, with the protocol's simulated user."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("evaluate", help="measure networks with simulated clicks", description=__doc__)
    parser.add_argument(
        "data", nargs="+", help="folders or files of labelled scenes, in any format that docs/data.md lists"
    )
    parser.add_argument("--models", default="", help="names of shipped weights or files, separated by commas")
    parser.add_argument("--protocol", choices=("multi", "single"), default="multi")
    parser.add_argument("--budget", type=int, default=20, help="clicks an object, shared by a sample's objects")
    parser.add_argument(
        "--rule", choices=("agile3d", "interobject3d", "fewclick", "random_positive"), default="agile3d"
    )
    parser.add_argument("--temperature", type=float, help="scatter the clicks by ClickEnhance's Eq. 5, from 0 to 1")
    parser.add_argument("--voxel-size", type=float, help="metres, instead of the model's own choice")
    parser.add_argument("--least-points", type=int, default=50, help="smaller objects are no targets")
    parser.add_argument("--most-objects", type=int, default=10, help="the largest objects of a scene are its targets")
    parser.add_argument("--limit", type=int, help="take the first N scenes of each data set")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="scenes evaluated at a time")
    parser.add_argument(
        "--json", type=Path, help="write {model: {figure: value}}; an interrupted run goes on from there"
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw IoU over clicks, and uncertainty maps")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate the models one after the other and print the table; the training-free model always stands in it."""
    from iseg3d_ros.evaluation.run import outcomes, plan
    from iseg3d_ros.evaluation.table import summary, text

    config = _config(arguments)
    kept = arguments.json.with_suffix(".rows.jsonl") if arguments.json else None
    found: dict[str, list[Any]] = {}
    for model in _models(arguments.models):
        jobs = plan(model, arguments.data, config)
        found[model] = list(outcomes(jobs, config, arguments.workers, kept))
    tables = {model: {"parameters": _parameters(model), **summary(rows)} for model, rows in found.items()}
    if arguments.json:
        _write(arguments.json, tables)
    if arguments.plot:
        _draw(found, arguments)
    print(text(tables))
    return 0 if all(found.values()) else 1


def _config(arguments: argparse.Namespace) -> Any:
    from iseg3d_ros.evaluation.run import EvaluationConfig

    return EvaluationConfig(
        arguments.protocol, arguments.budget, arguments.rule, arguments.temperature, arguments.least_points,
        arguments.most_objects, arguments.voxel_size, arguments.limit, arguments.seed, arguments.device,
    )  # fmt: skip


def _models(text: str) -> list[str]:
    named = [name.strip() for name in text.split(",") if name.strip()]
    return named + [name for name in ("random_walker",) if name not in named]


def _parameters(model: str) -> int:
    from iseg3d_ros.predictor import Predictor

    return int(Predictor.load(model, device="cpu").parameters)


def _write(path: Path, tables: dict[str, dict[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(tables, indent=1) + "\n")
    os.replace(part, path)


def _draw(found: dict[str, list[Any]], arguments: argparse.Namespace) -> None:
    from iseg3d_ros.evaluation.plots import draw_curves

    print(draw_curves(found, arguments.plot / "iou_over_clicks.png"))
