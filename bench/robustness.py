"""What is lost when scans are worse than the ones a model was trained on: a Markdown table of IoU by clicks.

    iseg3d scenes --kind room --count 80 --seed 4 --out out/rooms
    python bench/robustness.py out/rooms --split val --voxel-size 0.05 --limit 4 --budget 3

The same scenes, objects and simulated user in every row; in each only the points or colours are spoilt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from common_arguments import common_arguments, shown
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from iseg3d_ros import Predictor
from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.metrics import iou_at
from iseg3d_ros.evaluation.protocol import Task, evaluate
from iseg3d_ros.evaluation.run import plan
from iseg3d_ros.evaluation.worker import rule_of, seed_of, task_of

Points = NDArray[np.floating[Any]]
WAVES = 24


def noisy(metres: float) -> Callable[[Task, np.random.Generator], Task]:
    """Every point off by itself."""
    return lambda task, rng: moved(task, task.xyz + rng.normal(0, metres, task.xyz.shape))


def bent(metres: float, length: float) -> Callable[[Task, np.random.Generator], Task]:
    """Neighbours off together, as a drifting camera leaves them."""
    return lambda task, rng: moved(task, task.xyz + drift(task.xyz, metres, length, rng))


def doubled(metres: float) -> Callable[[Task, np.random.Generator], Task]:
    """Half of the points off by a drift of their own: surfaces seen twice do not meet."""

    def spoil(task: Task, rng: np.random.Generator) -> Task:
        second = rng.random(len(task.xyz)) < 0.5
        return moved(task, task.xyz + second[:, None] * drift(task.xyz, metres, 1.0, rng))

    return spoil


def melted(radius: float) -> Callable[[Task, np.random.Generator], Task]:
    """Every point in the middle of its neighbours: a coarse mesh rounds edges and fills the gaps between things."""

    def spoil(task: Task, _: np.random.Generator) -> Task:
        distance, near = cKDTree(task.xyz).query(task.xyz, k=64, distance_upper_bound=radius)
        row, column = np.nonzero(np.isfinite(distance))
        weights = csr_matrix((np.ones(len(row)), (row, near[row, column])), shape=(len(task.xyz),) * 2)
        return moved(task, weights @ task.xyz / np.asarray(weights.sum(axis=1)))

    return spoil


def holed(count: int) -> Callable[[Task, np.random.Generator], Task]:
    """Balls of 10 to 35 cm without points."""

    def spoil(task: Task, rng: np.random.Generator) -> Task:
        centres = task.xyz[rng.integers(0, len(task.xyz), count)]
        gone = cKDTree(task.xyz).query_ball_point(centres, rng.uniform(0.1, 0.35, count))
        return thinned(task, ~np.isin(np.arange(len(task.xyz)), np.concatenate(gone)))

    return spoil


def miscoloured(task: Task, rng: np.random.Generator) -> Task:
    """Another exposure and white balance, and noise."""
    if task.rgb is None:
        return task
    lit = 255 * (task.rgb / 255) ** rng.uniform(0.5, 1.8) * rng.uniform(0.6, 1.2, 3)
    return replace(task, rgb=(lit + rng.normal(0, 15, lit.shape)).clip(0, 255).astype(np.uint8))


WAYS: dict[str, Callable[[Task, np.random.Generator], Task]] = {
    "as made": lambda task, _: task,
    "noise of 2 cm": noisy(0.02),
    "drift of 4 cm": bent(0.04, 0.5),
    "half the points 4 cm off": doubled(0.04),
    "edges rounded over 8 cm": melted(0.08),
    "60 holes": holed(60),
    "a quarter of the points": lambda task, rng: thinned(task, rng.random(len(task.xyz)) < 0.25),
    "wrong exposure": miscoloured,
    "no colour": lambda task, _: replace(task, rgb=None),
    "on its side": lambda task, _: moved(task, task.xyz[:, [0, 2, 1]] * (1, -1, 1)),
}


def main() -> None:
    """Print a Markdown row for every way of spoiling."""
    model, data, config = common_arguments(__doc__)
    predictor, parts, counts = Predictor.load(model, voxel_size=config.voxel_size), plan(data, config), shown(config)
    print("| scans | " + " | ".join(f"IoU@{count}" for count in counts) + " |")
    print("|---" * (len(counts) + 1) + "|")
    for name, spoil in WAYS.items():
        rows = [rows_of(predictor, part, spoil, config) for part in parts]
        print(f"| {name} | " + " | ".join(f"{100 * iou_at(rows, count):.1f}" for count in counts) + " |", flush=True)


def rows_of(predictor: Predictor, part: Any, spoil: Callable[..., Task], config: EvaluationConfig) -> Any:
    """What the simulated user reaches on a spoilt scene."""
    seed = seed_of(part, config)
    task = spoil(task_of(part, config), np.random.default_rng(seed))
    return evaluate(predictor, task, config.budget, rule_of(part, config), seed).rows


def drift(xyz: NDArray[np.float32], metres: float, length: float, rng: np.random.Generator) -> Points:
    """A smooth field of displacements of that root mean square, which changes over about `length` metres."""
    phase = xyz @ rng.normal(0, 1 / length, (3, WAVES)) + rng.uniform(0, 2 * np.pi, WAVES)
    field: Points = np.cos(phase) @ rng.normal(0, 1, (WAVES, 3))
    return metres * field / np.sqrt((field**2).sum(axis=1).mean())


def moved(task: Task, xyz: Points) -> Task:
    """The task with its points elsewhere."""
    return replace(task, xyz=np.ascontiguousarray(xyz, dtype=np.float32))


def thinned(task: Task, stay: NDArray[np.bool_]) -> Task:
    """The task with some of its points; an object keeps at least one."""
    stay[np.unique(task.truth, return_index=True)[1]] = True
    rgb = None if task.rgb is None else task.rgb[stay]
    return replace(task, xyz=task.xyz[stay], rgb=rgb, truth=task.truth[stay])


if __name__ == "__main__":
    main()
