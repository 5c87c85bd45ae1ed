"""The table "the papers' claims" of docs/results.md, as far as the shipped weights can show them without new training.

    python bench/claims.py ../shared/realset/tabletop --limit 8 --budget 3

Every row is one network with one thing changed; all rows of a network see the same scenes and the same simulated user.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from iseg3d_ros import Predictor
from iseg3d_ros.data.open import open_data
from iseg3d_ros.evaluation.metrics import iou_at
from iseg3d_ros.evaluation.protocol import Outcome, Task, choose_objects, evaluate
from iseg3d_ros.evaluation.user import error_regions, tempered
from iseg3d_ros.models.adaptation import Adapted
from iseg3d_ros.models.e2i3d import silence
from iseg3d_ros.predictor import weights_file


@dataclass(frozen=True)
class Row:
    """One line of the table: a network's weights, what is changed in it, where the user clicks."""

    claim: str
    weights: str
    change: Callable[[Any], Any] = lambda network: network
    temperature: float | None = None


def samples(count: int) -> Callable[[Any], Any]:
    """NPISeg3D with another number of samples from its prior."""

    def change(network: Any) -> Any:
        network.settings = replace(network.settings, samples=count)
        return network

    return change


def without_memory(network: Any) -> Any:
    """NPISeg3D without the mask of the click before."""
    network.previous = None
    return network


def without_hierarchy(network: Any) -> Any:
    """E2I3D whose coarse scale adds nothing. It was trained with it, which flatters the scale."""
    silence(network.click_attentions()[-1])
    return network


def adapted(rate: float) -> Callable[[Any], Any]:
    """InterObject3D, learning from the user's corrections."""
    return lambda network: Adapted(network, learning_rate=rate)


ROWS = (
    *(Row(f"NPISeg3D, {count} samples", "npiseg3d", samples(count)) for count in (1, 5, 10, 20)),
    Row("NPISeg3D, no previous mask", "npiseg3d", without_memory),
    *(Row(f"ClickEnhance, clicks scattered by T = {t:g}", "clickenhance", temperature=t) for t in (0.0, 0.3, 0.6, 1.0)),
    Row("InterObject3D, fixed", "interobject3d"),
    *(Row(f"InterObject3D, adapting at {rate:g}", "interobject3d", adapted(rate)) for rate in (5e-5, 5e-4)),
    Row("E2I3D alone", "e2i3d"),
    Row("E2I3D alone, coarse scale silent", "e2i3d", without_hierarchy),
)


def main() -> None:
    """Print a Markdown table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="labelled scenes, as `iseg3d evaluate` takes them")
    parser.add_argument("--limit", type=int, default=8, help="scenes")
    parser.add_argument("--budget", type=int, default=3, help="clicks an object")
    parser.add_argument("--voxel-size", type=float)
    parser.add_argument("--only", default="", help="rows whose name begins so")
    arguments = parser.parse_args()
    counts = range(1, arguments.budget + 1)
    print("| | " + " | ".join(f"IoU@{k}" for k in counts) + " | variance by clicks |")
    print("|---" * (arguments.budget + 2) + "|")
    for row in ROWS:
        if row.claim.startswith(arguments.only):
            outcomes, variance = measured(row, arguments)
            ious = [f"{100 * iou_at([outcome.rows for outcome in outcomes], k):.1f}" for k in counts]
            print(f"| {row.claim} | " + " | ".join(ious) + f" | {variance} |", flush=True)


def measured(row: Row, arguments: argparse.Namespace) -> tuple[list[Outcome], str]:
    """Outcomes of every scene, and the mean epistemic variance after each whole number of clicks an object."""
    from iseg3d_ros.models.checkpoint import load

    network = row.change(load(weights_file(row.weights)))
    predictor = Predictor(network, voxel_size=arguments.voxel_size)
    outcomes, variances = [], list[list[float]]()
    for seed, task in enumerate(tasks(arguments.data, arguments.limit)):
        seen: list[float] = []

        def watch(_: int, result: Any, __: Any, seen: list[float] = seen) -> None:
            seen.append(float("nan") if result.variance is None else float(result.variance.mean()))

        torch.manual_seed(seed)
        rule = error_regions if row.temperature is None else tempered(row.temperature, seed)
        outcomes.append(evaluate(predictor, task, arguments.budget, rule, seed, watch))
        variances.append(seen)
    means = np.mean(variances, axis=0)
    return outcomes, " / ".join(f"{value:.2g}" for value in means) if np.isfinite(means).all() else ""


def tasks(data: str, limit: int) -> Iterator[Task]:
    """The first scenes of a data set, as the protocol wants them."""
    scenes = open_data(data, split="val")
    for k in range(min(limit, len(scenes))):
        cloud = scenes[k].cloud
        truth, count = choose_objects(cloud.instance, 50, 10, scenes[k].objects or None)
        yield Task(scenes[k].name, np.asarray(cloud.xyz), cloud.rgb, truth, count)


if __name__ == "__main__":
    main()
