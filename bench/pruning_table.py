"""The table of docs/pruning.md: ways of ranking, at the same size, right after pruning and after a short fine-tuning.

    python bench/pruning_table.py out/quick/e2i3d.safetensors --config config/train/quick.yaml \\
        --scenes out/scenes --share 0.5 --out out/pruning

Every way sees the same calibration crops, training crops and clicks. Rows that `--out` already holds are not measured
again, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import parameters
from iseg3d_ros.pruning.calibrate import calibration
from iseg3d_ros.pruning.cost import by_cost, multiplications
from iseg3d_ros.pruning.importance import Calibration, accumulate_gradients, importance
from iseg3d_ros.pruning.prune import PruneConfig, forward, kept, shrink, surroundings
from iseg3d_ros.pruning.trace import Dependencies, dependencies
from iseg3d_ros.training.config import TrainConfig, load
from iseg3d_ros.training.samples import Crops, TrainingSample
from iseg3d_ros.training.schedule import learning_rate, make_optimiser
from iseg3d_ros.training.sources import sources_of
from iseg3d_ros.training.state import Average
from iseg3d_ros.training.step import Step
from iseg3d_ros.training.validate import CLICKS, held_out, iou_by_clicks

WAYS: dict[str, dict[str, Any]] = {
    "heterogeneous, compensated": {},
    "random, in the same groups": {"criterion": "random"},
    "L1, in the same groups": {"criterion": "l1"},
    "heterogeneous, not compensated": {"compensate": False},
    "uniform ranking, compensated": {"ranking": "uniform"},
    "heterogeneous, compensated, economy 1": {"economy": 1.0},
    "heterogeneous, compensated, economy 2": {"economy": 2.0},
}
SHOWN = (1, 3, 5)


def main() -> None:
    """Measure every way at one size and print the rows."""
    given = arguments()
    config = load(given.config, steps=given.steps, validate_scenes=given.validate, seed=given.seed,
                  **{"optimiser.learning_rate": given.rate, "data.scenes": given.scenes,
                     "data.max_voxels": given.voxels})  # fmt: skip
    bench = Bench(checkpoint.load(given.weights), config, given.count, given.tune)
    rows = {"unpruned": measured(given.out / "unpruned.json", bench.unpruned)}
    for name, change in WAYS.items():
        chosen = PruneConfig(round(given.share * parameters(bench.network)), seed=given.seed, **change)
        path = given.out / f"{given.share:g}_{name.replace(', ', '_').replace(' ', '_')}.json"
        rows[name] = measured(path, lambda chosen=chosen: bench.pruned(chosen))
        print(line(name, rows[name]), flush=True)
    print("\n".join(["", *(line(name, values) for name, values in rows.items())]))


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--config", type=Path, default=Path("config/train/quick.yaml"))
    parser.add_argument("--scenes", nargs="+", default=["out/scenes"])
    parser.add_argument("--share", type=float, default=0.5, help="of the parameters that is to remain")
    parser.add_argument("--count", type=int, default=32, help="calibration scenes")
    parser.add_argument("--voxels", type=int, default=4000, help="of a crop at most")
    parser.add_argument("--steps", type=int, default=60, help="of fine-tuning")
    parser.add_argument("--tune", type=int, default=60, help="different crops to fine-tune on")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of fine-tuning")
    parser.add_argument("--validate", type=int, default=20, help="held-out scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/pruning"))
    return parser.parse_args()


class Bench:
    """The network, and what all ways of pruning it share."""

    def __init__(self, network: Any, config: TrainConfig, count: int, tune: int) -> None:
        self.network, self.config, self.count, self.tune = network, config, count, tune

    @cache  # noqa: B019 (one bench lives as long as the program)
    def calibration(self) -> Calibration:
        """Crops with first clicks."""
        data = self.config.data
        return calibration(
            self.network, data.scenes, self.count, data.max_voxels, self.config.seed, kinds=tuple(data.mixture)
        )

    @cache  # noqa: B019
    def training(self) -> list[TrainingSample]:
        """The crops that fine-tuning goes over; their seed is not the calibration's."""
        names, seed = self.network.settings.features, self.config.seed + 1
        crops = Crops(self.config.data, self.config.augment, names, seed, 1, self.tune)
        return [crops[index][0] for index in range(self.tune)]

    @cache  # noqa: B019
    def validation(self) -> list[TrainingSample]:
        """Crops of scenes made with models that no training scene shows."""
        found = sources_of(self.config.data, "val")
        return [s for name in sorted(found) for s in held_out(self.network, self.config, found[name].scenes)]

    @cache  # noqa: B019
    def found(self) -> Dependencies:
        """The traced dependencies."""
        return dependencies(self.network, forward(self.network, *surroundings(*self.calibration()[0][:2])))

    @cache  # noqa: B019
    def scores(self, criterion: str, compensate: bool) -> np.ndarray:
        """Importance of every sub-structure."""
        if criterion == "taylor":
            accumulate_gradients(self.network, self.calibration(), compensate)
        scores = importance(self.network, self.found(), criterion, self.config.seed)
        self.network.zero_grad(set_to_none=True)
        return scores

    def unpruned(self) -> dict[str, Any]:
        """The network as it came, and after the same fine-tuning as the pruned ones get."""
        return self.row(copy.deepcopy(self.network))

    def pruned(self, chosen: PruneConfig) -> dict[str, Any]:
        """One way of pruning."""
        small = copy.deepcopy(self.network)
        scores = self.scores(chosen.criterion, chosen.compensate)
        scores = by_cost(scores, self.network, self.found(), self.forward(self.network), chosen.economy)
        shrink(small, self.found(), kept(self.network, self.found(), scores, chosen))
        return self.row(small)

    def forward(self, network: Any) -> Callable[[], Any]:
        """A pass over the first calibration crop."""
        return forward(network, *self.calibration()[0][:2])

    def row(self, network: Any) -> dict[str, Any]:
        """Size, multiplications, and IoU before and after fine-tuning."""
        work = sum(multiplications(network, self.forward(network)).values())
        row = {"parameters": parameters(network), "work": work, "pruned": self.iou(network)}
        self.fine_tune(network)
        return row | {"tuned": self.iou(network)}

    def iou(self, network: Any) -> dict[str, float]:
        """The mean over the held-out crops after each of CLICKS clicks an object."""
        network.eval()
        rows = np.mean([iou_by_clicks(network, sample) for sample in self.validation()], axis=0)
        return {str(k): float(value) for k, value in zip(CLICKS, rows, strict=True)}

    def fine_tune(self, network: Any) -> None:
        """The training loop's own step, schedule and averaged weights, over crops made once."""
        config = self.config
        step, optimiser = Step(network.train(), config.clicks), make_optimiser(network, config.optimiser)
        average = Average(network, config.optimiser.ema)
        for number in range(config.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(number / config.steps, config.optimiser)
            optimiser.zero_grad(set_to_none=True)
            step([self.training()[number % self.tune]], number, [number])["total"].backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.optimiser.clip_norm)
            optimiser.step()
            average.update(network, number)
        network.load_state_dict(average.values)


def measured(path: Path, measure: Any) -> dict[str, Any]:
    """What an earlier run wrote, or a new measurement, written whole."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(measure()))
        os.replace(part, path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def line(name: str, values: dict[str, Any]) -> str:
    """One row of the table in Markdown."""
    cells = [f"{values[stage][str(k)] * 100:.1f}" for stage in ("pruned", "tuned") for k in SHOWN]
    return f"| {name} | {values['parameters'] / 1e3:.0f} k | {values['work'] / 1e9:.2f} G | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
