"""The evaluation protocol: one click an object, then one click a round, a shared budget, IoU at points.

Single-object evaluation is multi-object evaluation with one object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.evaluation.calibration import (
    area_under_sparsification,
    auroc,
    expected_calibration_error,
    sparsification,
)
from iseg3d_ros.evaluation.habits import PLAIN, Habits, first_guess, with_cubes
from iseg3d_ros.evaluation.metrics import Row, object_ious, object_recalls
from iseg3d_ros.evaluation.strata import strata
from iseg3d_ros.evaluation.user import Rule, error_regions, largest

Encoded = tuple[Any, float]  # an encoded cloud, and the seconds that took
Watch = Callable[[int, Any, Sequence[Click]], None]  # clicks an object so far, the result, all clicks


@dataclass(frozen=True)
class Task:
    """A cloud and what is to be segmented in it: `truth` int32 (N,), 0 = background, 1..objects."""

    name: str
    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None
    truth: NDArray[np.int32]
    objects: int
    up: tuple[float, float, float] | None = None
    instance: NDArray[np.int32] | None = None  # (N,) of all that is labelled, and the number of each object there
    numbers: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()  # of each object, where they are known


@dataclass
class Outcome:
    """What one sample's evaluation wrote: a row for each count of clicks, times, the worth of its probabilities."""

    name: str
    objects: int
    rows: list[Row] = field(default_factory=list)
    scores: list[tuple[float, ...]] = field(default_factory=list)  # confidence of each object's mask, a row
    encode_seconds: float = 0.0
    click_seconds: list[float] = field(default_factory=list)
    calibration: dict[str, float] = field(default_factory=dict)
    sparsification: dict[str, list[float]] = field(default_factory=dict)  # after one click an object
    peak_mb: float = float("nan")
    notes: tuple[str, ...] = ()  # what the predictor remarked on the cloud
    strata: tuple[tuple[str, ...], ...] = ()  # of each object, where the task knows the other instances
    classes: tuple[str, ...] = ()  # of each object, and the share of its points that its first mask holds
    recalls: tuple[float, ...] = ()


def evaluate(
    predictor: Any,
    task: Task,
    budget: int = 20,
    rule: Rule = error_regions,
    seed: int = 0,
    watch: Watch | None = None,
    encoded: Encoded | None = None,
    habits: Habits = PLAIN,
) -> Outcome:
    """Let the simulated user spend `budget` clicks an object; a row at 0 clicks, at one an object, and at each more.

    `watch` is shown the result at whole average counts of clicks. `encoded` is the task's cloud, where it was encoded
    before for another of its objects. `habits` are those of single code bases.
    """
    outcome = Outcome(task.name, task.objects)
    scene, outcome.encode_seconds = encoded or encode(predictor, task)
    outcome.notes = scene.notes
    outcome.strata = _strata(scene, task)
    user = _User(scene.voxels, task, rule, np.random.default_rng(seed))
    labels, result = np.zeros(len(task.xyz), np.int32), None
    if habits.guess:
        labels = first_guess(predictor, scene)
    outcome.rows.append(Row(0.0, object_ious(labels, task.truth, task.objects)))
    for total in range(task.objects, budget * task.objects + 1):
        if user.click(labels, everywhere=total == task.objects and not habits.guess):
            started = time.perf_counter()
            result = predictor.segment(scene, user.clicks, previous=result)
            if habits.cubes:
                result = replace(result, labels=with_cubes(result.labels, task.xyz, user.clicks, habits.cubes))
            labels = result.labels
            outcome.click_seconds.append(time.perf_counter() - started)
        outcome.rows.append(Row(total / task.objects, object_ious(labels, task.truth, task.objects)))
        outcome.scores.append(_confidences(result, task.objects))
        if total % task.objects == 0 and result is not None:
            _judge(outcome, total // task.objects, result, task.truth)
            if total == task.objects:
                outcome.classes = task.classes
                outcome.recalls = object_recalls(labels, task.truth, task.objects)
            if watch:
                watch(total // task.objects, result, user.clicks)
    return outcome


def encode(predictor: Any, task: Task) -> Encoded:
    """The task's cloud as the predictor encodes it, and the seconds that took."""
    started = time.perf_counter()
    scene = predictor.encode(task.xyz, task.rgb, up=task.up)
    return scene, time.perf_counter() - started


def _strata(scene: Any, task: Task) -> tuple[tuple[str, ...], ...]:
    if task.instance is None:
        return ()
    representative, size, up = scene.voxels.representative, scene.voxels.size, np.asarray(scene.rotation)[2]
    points, instance = task.xyz[representative], task.instance[representative]
    return tuple(strata(points, instance, number, size, up) for number in task.numbers)


class _User:
    """The simulated user's clicks so far, on the voxels that the predictor made."""

    def __init__(self, voxels: Any, task: Task, rule: Rule, rng: np.random.Generator) -> None:
        self.representative = voxels.representative
        self.points = task.xyz[self.representative]
        self.truth = task.truth[self.representative].astype(np.int64)
        self.rule, self.rng = rule, rng
        self.clicks: list[Click] = []

    def click(self, labels: NDArray[np.int32], everywhere: bool) -> bool:
        """Click into every error region, or into the largest; False where nothing is wrong any more."""
        regions = self.rule(self.points, self.truth, labels[self.representative].astype(np.int64))
        if everywhere:
            chosen = [regions[k] for k in self.rng.permutation(len(regions))]
        else:
            chosen = [region for region in [largest(regions)] if region is not None]
        for region in chosen:
            x, y, z = (float(value) for value in self.points[region.voxel])
            self.clicks.append(Click((x, y, z), region.truth))
        return bool(chosen)


def _confidences(result: Any, objects: int) -> tuple[float, ...]:
    """The mean probability of each object's points, the score of its mask."""
    if result is None:
        return (0.0,) * objects
    count = np.bincount(result.labels, minlength=objects + 1)
    total = np.bincount(result.labels, result.probability, minlength=objects + 1)
    return tuple(float(value) for value in (total / np.maximum(count, 1))[1 : objects + 1])


def _judge(outcome: Outcome, clicks: int, result: Any, truth: NDArray[np.int32]) -> None:
    wrong = result.labels != truth
    outcome.calibration[f"ECE@{clicks}"] = expected_calibration_error(result.probability, ~wrong)
    for suffix, doubt in (("", result.uncertainty), (" variance", getattr(result, "variance", None))):
        if doubt is not None:
            outcome.calibration[f"AUROC{suffix}@{clicks}"] = auroc(doubt, wrong)
            outcome.calibration[f"AUSE{suffix}@{clicks}"] = area_under_sparsification(doubt, wrong)
            if clicks == 1:
                outcome.sparsification[f"doubt{suffix}"], best = (
                    [float(value) for value in curve] for curve in sparsification(doubt, wrong)
                )
                outcome.sparsification["best"] = best


def choose_objects(
    instance: NDArray[np.int32],
    least_points: int = 50,
    most: int = 10,
    objects: tuple[int, ...] | None = None,
    seed: int | None = None,
) -> tuple[NDArray[np.int32], int]:
    """The truth of a task: the given instances, or some of at least so many points, numbered from 1.

    With a seed they are drawn at random, otherwise the largest ones are taken.
    """
    ids, counts = np.unique(instance[instance > 0], return_counts=True)
    if objects is None:
        large = ids[counts >= least_points][np.argsort(-counts[counts >= least_points], kind="stable")]
        if seed is not None:
            large = np.random.default_rng(seed).permutation(large)
        objects = tuple(int(value) for value in np.sort(large[:most]))
    table = np.zeros(max(int(instance.max(initial=0)), max(objects, default=0)) + 1, np.int32)
    table[list(objects)] = np.arange(1, len(objects) + 1)
    return table[np.maximum(instance, 0)], len(objects)
