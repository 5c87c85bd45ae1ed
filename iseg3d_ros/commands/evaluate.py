"""`iseg3d evaluate DATA... --models e2i3d,random_walker`: the papers' tables, with the protocol's simulated user."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iseg3d_ros.commands.model_arguments import add_model_options


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("evaluate", help="measure networks with simulated clicks", description=__doc__)
    parser.add_argument("data", nargs="+", help="folders or files of labelled clouds, or KIND:FOLDER")
    parser.add_argument("--models", default="", help="names of shipped weights or files, separated by commas")
    parser.add_argument("--alone", action="store_true", help="leave out the training-free model, which is always there")
    parser.add_argument("--protocol", choices=("multi", "single"), default="multi")
    parser.add_argument("--budget", type=int, default=20, help="clicks an object, shared by a sample's objects")
    parser.add_argument("--rule", choices=("agile3d", "interobject3d", "fewclick", "random_positive"),
                        default="agile3d", help="where the simulated user clicks")  # fmt: skip
    parser.add_argument("--temperature", type=float, help="scatter the clicks by ClickEnhance's Eq. 5, from 0 to 1")
    parser.add_argument("--slips", type=float, default=0.0, metavar="SHARE",
                        help="of the corrections name a wrong object: mistakes of the operator")  # fmt: skip
    parser.add_argument("--write-cubes", type=float, default=0.0, metavar="METRES",
                        help="give cubes about clicks their labels: half the edge (InterObject3D: 0.05)")  # fmt: skip
    parser.add_argument("--guess-first", action="store_true",
                        help="ask InterObject3D before the first click, as its code does")  # fmt: skip
    parser.add_argument("--voxel-size", type=_sizes, default=(None,), metavar="METRES[,METRES...]",
                        help="instead of the model's own choice: one, or one for each DATA")  # fmt: skip
    parser.add_argument("--least-points", type=int, default=50, help="smaller objects are no targets")
    parser.add_argument("--most-objects", type=int, default=10, help="a scene's targets")
    parser.add_argument("--objects", choices=("largest", "random"), default="largest", help="which ones are targets")
    parser.add_argument("--split", choices=("train", "val"), help="of data with official splits; val without it")
    parser.add_argument("--limit", type=int, help="take the first N scenes of each data set")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: this one alone")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="work on a Ray cluster; alone: here")
    parser.add_argument("--json", type=Path, help="write {model: {figure: value}}; an interrupted run goes on")
    parser.add_argument("--report", type=Path, metavar="FILE.md",
                        help="write figures by data and by kind of object, with intervals, and the worst corrections")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw IoU over clicks, confidence, errors, doubt")
    parser.add_argument("--maps", type=int, default=3, metavar="N", help="scenes that --plot draws, the worst first")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="corrections that --plot draws, likewise")
    add_model_options(parser, seed=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate the models one after the other and print the table; the training-free model always stands in it."""
    from iseg3d_ros.evaluation.report import report
    from iseg3d_ros.evaluation.results_store import ROWS
    from iseg3d_ros.evaluation.run import outcomes, plan
    from iseg3d_ros.evaluation.table import summary, text

    if arguments.workers < 0:
        raise ValueError(f"--workers must be at least 0, but is {arguments.workers}.")
    configs = _configs(arguments)
    models = _models(arguments.models, next(iter(configs.values())), arguments.alone)
    _prepare(arguments)
    kept = arguments.json.with_suffix(ROWS) if arguments.json else None
    how = (arguments.workers, kept, arguments.ray)
    plans = {path: plan([path], config) for path, config in configs.items()}
    sets = {
        name: {path: outcomes(model, parts, configs[path], *how) for path, parts in plans.items()}
        for name, (model, _) in models.items()
    }
    found = {name: [outcome for rows in of_data.values() for outcome in rows] for name, of_data in sets.items()}
    tables = {name: {"parameters": models[name][1], **summary(rows)} for name, rows in found.items()}
    print(text(tables), flush=True)
    if arguments.json:
        _write(arguments.json, tables)
    if arguments.report:
        _write_text(arguments.report, report(_by_name(sets)))
    if arguments.plot:
        _draw(arguments, configs, models, found, plans)
    return 0 if all(found.values()) else 1


def _sizes(text: str) -> tuple[float | None, ...]:
    return tuple(float(part) for part in text.split(","))


def _configs(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of each data set: its own voxel size where several are given."""
    from iseg3d_ros.evaluation.config import EvaluationConfig

    data, sizes = list(dict.fromkeys(arguments.data)), arguments.voxel_size
    if len(sizes) not in (1, len(data)):
        raise ValueError(f"--voxel-size gives {len(sizes)} sizes for {len(data)} data sets; give one, or one for each.")
    sizes = sizes * len(data) if len(sizes) == 1 else sizes
    return {
        path: EvaluationConfig(
            arguments.protocol, arguments.budget, arguments.rule, arguments.temperature, arguments.least_points,
            arguments.most_objects, size, arguments.limit, arguments.seed, arguments.device,
            arguments.split, arguments.adapt, arguments.samples, arguments.objects, arguments.slips, arguments.cubes,
            arguments.tile, arguments.adapt_bound, arguments.write_cubes, arguments.guess_first,
        )
        for path, size in zip(data, sizes, strict=True)
    }  # fmt: skip


def _by_name(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Data sets by the last part of their paths, where these differ."""
    paths = next(iter(sets.values()), {})
    short = {path: Path(path).name for path in paths}
    names = short if len(set(short.values())) == len(short) else {path: path for path in paths}
    return {model: {names[path]: found for path, found in of_data.items()} for model, of_data in sets.items()}


def _models(text: str, config: Any, alone: bool = False) -> dict[str, tuple[str, int]]:
    """Names in the table, what to load, and parameters; a model that cannot be loaded ends the run before it starts."""
    from iseg3d_ros.predictor import TRAINING_FREE, Predictor, device_of

    device_of(config.device)
    given = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if TRAINING_FREE not in given and not (given and (alone or config.guess_first or any(config.network.values()))):
        given.append(TRAINING_FREE)
    loaded = [Predictor.load(model, "cpu", config.voxel_size) for model in given]
    names = [predictor.name for predictor in loaded]
    names = [model if names.count(name) > 1 else name for name, model in zip(names, given, strict=True)]
    return {name: (model, p.parameters) for name, model, p in zip(names, given, loaded, strict=True)}


def _prepare(arguments: argparse.Namespace) -> None:
    """What would fail after hours shall fail now: the folders to write in, and the package that draws."""
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
    if arguments.plot:
        arguments.plot.mkdir(parents=True, exist_ok=True)
        importlib.import_module("iseg3d_ros.evaluation.plots")


def _write(path: Path, tables: Mapping[str, Mapping[str, float]]) -> None:
    _write_text(path, json.dumps(tables, indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    from iseg3d_ros.io.atomic_write import replacing

    try:
        with replacing(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise OSError(f"{path}: could not be written ({error.strerror or error}). The table above is whole; the same "
                      "command writes it again.") from error  # fmt: skip


def _draw(
    arguments: argparse.Namespace,
    configs: Mapping[str, Any],
    models: Mapping[str, tuple[str, int]],
    found: Mapping[str, Sequence[Any]],
    plans: Mapping[str, Sequence[Any]],
) -> None:
    """Curves of all models; of each, its worst scenes after one click and its worst corrections."""
    from iseg3d_ros.evaluation.metrics import iou_at
    from iseg3d_ros.evaluation.plots import draw_confidence, draw_curves, draw_maps
    from iseg3d_ros.evaluation.report import worst_corrections
    from iseg3d_ros.evaluation.worker import rule_of, seed_of, task_of
    from iseg3d_ros.predictor import Predictor

    print(draw_curves(found, arguments.plot / "iou_over_clicks.png"))
    print(draw_confidence(found, arguments.plot / "confidence.png"))
    parts = {part.name: (part, configs[path]) for path, of_data in plans.items() for part in of_data}
    for name, (model, _) in models.items():
        first = {outcome.name: iou_at([outcome.rows], 1) for outcome in found[name]}
        worst = sorted(first, key=lambda sample: first[sample])[: arguments.maps]
        pictures = [("", sample, (1, min(5, arguments.budget))) for sample in worst]
        for number, each in enumerate(worst_corrections(found[name], arguments.worst), 1):
            shown = (max(1, math.ceil(each.clicks) - 1), math.ceil(each.clicks))
            pictures.append((f"harm{number:02}_", each.sample, shown))
        for prefix, sample, clicks in pictures:
            part, config = parts[sample]
            predictor = Predictor.load(model, config.device, config.voxel_size, **config.network)
            path = arguments.plot / f"{Path(name).name}_{prefix}{sample.replace(' #', '_')}.png"
            rule, seed = rule_of(part, config), seed_of(part, config)
            print(draw_maps(predictor, task_of(part, config), path, sorted(set(clicks)), rule, seed))
