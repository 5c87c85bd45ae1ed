"""`iseg3d train config/train/e2i3d.yaml`: train a network on labelled scenes, resuming where an earlier run stopped.

`iseg3d train --finetune e2i3d --data my_scans` fine-tunes weights on one's own labelled scans, for an hour at most.
"""

from __future__ import annotations

import argparse
from typing import Any


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("train", help="train a network", description=__doc__)
    parser.add_argument("config", nargs="?", help="a YAML file of settings, such as those in config/train")
    parser.add_argument("--finetune", metavar="WEIGHTS", help="fine-tune these, by name or path, on --data")
    parser.add_argument("--out", help="the run's folder, instead of the file's `out`")
    parser.add_argument("--scenes", nargs="+", help="folders of scenes, instead of the file's `data.scenes`")
    parser.add_argument(
        "--data", nargs="+", metavar="PLACE[=WEIGHT]",
        help="labelled data of any kind that evaluate reads, KIND:FOLDER where it is not clear, with weights in the "
        "mixture, instead of the file's `data.sources`",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the file's `steps`")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="any setting: data.workers=8")
    parser.add_argument(
        "--parameters", metavar="SIZE", help="of a chain's pruned network: 5.7M, or whole; not the file's"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and for how long")
    parser.add_argument("--stop-after", type=int, metavar="STEP", help="stop early at this step, to go on later")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and say where the weights are."""
    from iseg3d_ros.pruning.chain import chain_outlook, run_chain
    from iseg3d_ros.training.loop import train
    from iseg3d_ros.training.outlook import outlook

    config = _config(arguments)
    if arguments.parameters and not config.then:
        raise ValueError("--parameters is for recipes with a second stage, such as config/train/paper/e2i3d.yaml.")
    if arguments.dry_run:
        for line in chain_outlook(config) if config.then else outlook(config):
            print(line, flush=True)
        return 0
    print((run_chain if config.then else train)(config, stop_after=arguments.stop_after))
    return 0


def _config(arguments: argparse.Namespace) -> Any:
    from iseg3d_ros.training.config import load
    from iseg3d_ros.training.finetune import finetuning

    if bool(arguments.config) == bool(arguments.finetune):
        raise ValueError("Name a file of settings, config/train/quick.yaml for example, or weights after --finetune.")
    if not arguments.finetune:
        return load(arguments.config, **_changes(arguments))
    if not arguments.data:
        raise ValueError("--finetune needs labelled scans: --data FOLDER (docs/own_data.md).")
    return finetuning(arguments.finetune, **_changes(arguments))


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    import yaml

    given = {"out": arguments.out, "data.scenes": arguments.scenes, "steps": arguments.steps}
    given["data.sources"] = dict(map(_weighted, arguments.data)) if arguments.data else None
    given["prune.parameters"] = arguments.parameters
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
