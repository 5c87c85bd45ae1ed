"""`iseg3d train config/train/e2i3d.yaml`: train a network on labelled scenes, resuming where an earlier run stopped."""

from __future__ import annotations

import argparse
from typing import Any


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("train", help="train a network", description=__doc__)
    parser.add_argument("config", help="a YAML file of settings, such as those in config/train")
    parser.add_argument("--out", help="the run's folder, instead of the file's `out`")
    parser.add_argument("--scenes", nargs="+", help="folders of scenes, instead of the file's `data.scenes`")
    parser.add_argument(
        "--data", nargs="+", metavar="PLACE[=WEIGHT]",
        help="labelled data of any kind that evaluate reads, KIND:FOLDER where it is not clear, with weights in the "
        "mixture, instead of the file's `data.sources`",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the file's `steps`")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="any setting: data.workers=8")
    parser.add_argument("--stop-after", type=int, metavar="STEP", help="stop early at this step, to go on later")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and say where the weights are."""
    from iseg3d_ros.training.config import load
    from iseg3d_ros.training.loop import train

    config = load(arguments.config, **_changes(arguments))
    print(train(config, stop_after=arguments.stop_after))
    return 0


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    import yaml

    given = {"out": arguments.out, "data.scenes": arguments.scenes, "steps": arguments.steps}
    given["data.sources"] = dict(map(_weighted, arguments.data)) if arguments.data else None
    changes = {name: value for name, value in given.items() if value is not None}
    for word in arguments.set:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"--set takes KEY=VALUE pairs, but got {word!r}; write for example data.workers=8.")
        changes[name] = yaml.safe_load(value)
    return changes


def _weighted(word: str) -> tuple[str, float]:
    """A place and its weight in the mixture, 1 where none is given."""
    place, _, weight = word.rpartition("=")
    try:
        return (place, float(weight)) if place else (word, 1.0)
    except ValueError:
        return word, 1.0
