"""How well probabilities tell how often they are right, for powers that they may be raised to before they are shown.

    iseg3d scenes --kind room --count 60 --seed 7 --out out/seven
    python bench/calibration.py out/seven --split train --limit 6 --budget 5

Prints ECE and, behind a stroke, the AUROC of the entropy as a detector of wrong voxels, in per cent, means over
scenes. The last column is the power that the model chooses itself;
none changes a label.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from common_arguments import common_arguments, shown
from numpy.typing import NDArray

from iseg3d_ros import Predictor
from iseg3d_ros.evaluation.calibration import auroc, expected_calibration_error
from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.protocol import evaluate
from iseg3d_ros.evaluation.run import plan
from iseg3d_ros.evaluation.worker import rule_of, seed_of, task_of

POWERS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)


class Moment(NamedTuple):
    """What the network thought of every voxel after some clicks, and what is true."""

    clicks: int
    chance: NDArray[np.float32]
    own: float
    truth: NDArray[np.int64]


class Observed(Predictor):
    """A predictor that remembers the probabilities behind its last result."""

    def _at_points(self, scene: Any, chance: Any, clicked: Any, prediction: Any, numbering: Any, start: Any) -> Any:
        self.last = scene, chance.astype(np.float32), prediction.sharpness
        return super()._at_points(scene, chance, clicked, prediction, numbering, start)


def main() -> None:
    """Print a Markdown row for every count of clicks."""
    model, data, config = common_arguments(__doc__)
    predictor = Observed.load(model, voxel_size=config.voxel_size)
    assert isinstance(predictor, Observed)
    moments = [moment for part in plan(data, config) for moment in observed(predictor, part, config)]
    print("| clicks | " + " | ".join(f"power {power:g}" for power in POWERS) + " | its own |")
    print("|---" * (len(POWERS) + 2) + "|")
    for clicks in shown(config):
        now = [moment for moment in moments if moment.clicks == clicks]
        figures = [judged(now, power) for power in (*POWERS, None)]
        print(f"| {clicks} | " + " | ".join(figures) + " |")


def observed(predictor: Observed, part: Any, config: EvaluationConfig) -> list[Moment]:
    """One scene, at every whole average count of clicks."""
    task, moments = task_of(part, config), []

    def watch(clicks: int, *_: object) -> None:
        scene, chance, own = predictor.last
        moments.append(Moment(clicks, chance, own, task.truth[scene.voxels.representative].astype(np.int64)))

    evaluate(predictor, task, config.budget, rule_of(part, config), seed_of(part, config), watch)
    return moments


def judged(moments: list[Moment], power: float | None) -> str:
    """ECE and AUROC in per cent, at a power, or at each moment's own."""
    figures = np.array([_figures(moment, power or moment.own) for moment in moments])
    return "{:.1f} / {:.1f}".format(*100 * np.nanmean(figures, axis=0))


def _figures(moment: Moment, power: float) -> tuple[float, float]:
    raised = np.power(moment.chance, power)
    raised /= raised.sum(axis=1, keepdims=True)
    right = raised.argmax(axis=1) == moment.truth
    entropy = -(raised * np.log(np.maximum(raised, 1e-12))).sum(axis=1)
    return expected_calibration_error(raised.max(axis=1), right), auroc(entropy, ~right)


if __name__ == "__main__":
    main()
