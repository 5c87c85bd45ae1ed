"""The protocol on a predictor whose answers are known.

Where a paper's evaluation can go wrong unseen, a test says so by its name: regions, distances and memory in
test_evaluation_user.py; rows, first rounds, solved samples and lost objects here; averages in
test_evaluation_metrics.py; the position code that must come back and the clamped table of click times in
test_checkpoint.py and test_attention_equations.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_cases import Nearest, row_of_blocks

from iseg3d_ros.clicks import Click
from iseg3d_ros.evaluation.protocol import Task, choose_objects, evaluate
from iseg3d_ros.evaluation.table import summary, text
from iseg3d_ros.models.base import Prediction
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.preprocessing.voxels import voxelise


def test_rows_start_at_zero_then_one_click_an_object_then_one_by_one() -> None:
    task = row_of_blocks(1, 0, 2)
    outcome = evaluate(Nearest(), task, budget=3)
    assert [row.clicks for row in outcome.rows] == [0, 1, 1.5, 2, 2.5, 3]
    assert outcome.rows[0].ious == (0.0, 0.0)


def test_first_round_clicks_every_object_at_once_and_later_rounds_one_region() -> None:
    model = Nearest()
    evaluate(model, row_of_blocks(1, 0, 2), budget=3)
    assert sorted(click.object for click in model.calls[0]) == [1, 2]
    assert [len(clicks) for clicks in model.calls[:3]] == [2, 3, 4]
    assert model.calls[1][2].object == 0  # the background block, half of it taken by each object


def test_a_solved_sample_still_writes_all_rows_without_asking_the_model() -> None:
    model = Nearest()
    outcome = evaluate(model, row_of_blocks(1, 1, 2), budget=6)
    solved = [row for row in outcome.rows if row.iou == 1.0]
    assert len(outcome.rows) == 1 + 2 * 6 - 1
    assert len(solved) > 2
    assert len(model.calls) == len(outcome.rows) - len(solved)


def test_iou_is_at_points_and_clicks_are_at_voxel_representatives() -> None:
    task = row_of_blocks(1, 0)
    model = Nearest(size=0.4)  # a handful of voxels
    evaluate(model, task, budget=2)
    representatives = task.xyz[voxelise(task.xyz, 0.4).representative]
    for click in model.calls[-1]:
        assert np.abs(representatives - np.float32(click.point)).sum(1).min() < 1e-6


def test_an_object_lost_in_voxelisation_costs_its_click_all_the_same() -> None:
    task = row_of_blocks(1, 0)
    truth = task.truth.copy()
    voxels = voxelise(task.xyz, 0.4)
    shared = np.flatnonzero((np.bincount(voxels.inverse)[voxels.inverse] > 1) & (truth == 0))
    hidden = next(k for k in shared if k not in voxels.representative)
    truth[hidden] = 2
    model = Nearest(size=0.4)
    outcome = evaluate(model, Task("lost", task.xyz, None, truth, 2), budget=1)
    assert [row.clicks for row in outcome.rows] == [0, 1]
    assert len(model.calls[0]) == 1


class Stubborn:
    """A network that finds nothing: only what is clicked is ever right."""

    settings = SimpleNamespace(network="stubborn", features=("rgb",))
    card: dict[str, Any] = {}

    def encode(self, clouds: list[Any]) -> list[Any]:
        return clouds

    def decode(self, encoded: list[Any], clicks: list[Any], previous: Any = None) -> list[Prediction]:
        logits = torch.zeros(len(encoded[0].coords), clicks[0].objects + 1)
        logits[:, 0] = 20.0
        return [Prediction(logits)]


def test_clicks_are_written_before_the_iou_and_before_the_next_click() -> None:
    rng = np.random.default_rng(3)
    xyz = (rng.permutation(1000)[:120, None] // [100, 10, 1] % 10 * 0.1).astype(np.float32)  # one point a voxel
    task = Task("stubborn", xyz, None, (np.arange(120) < 40).astype(np.int32), 1)
    seen: list[list[Click]] = []
    predictor = Predictor(Stubborn(), voxel_size=0.02)
    outcome = evaluate(predictor, task, budget=4, watch=lambda count, result, clicks: seen.append(list(clicks)))
    assert [round(40 * row.iou) for row in outcome.rows] == [0, 1, 2, 3, 4]  # each click sets its point right
    assert len({click.point for click in seen[-1]}) == 4  # and is not asked for again


def test_the_same_seed_gives_the_same_clicks() -> None:
    first, second = Nearest(), Nearest()
    for model in (first, second):
        evaluate(model, row_of_blocks(1, 0, 2, 3), budget=3, seed=5)
    assert first.calls == second.calls


def test_choosing_objects_by_size_and_number() -> None:
    instance = np.repeat([0, 3, 5, 9], [100, 60, 10, 80]).astype(np.int32)
    truth, count = choose_objects(instance, least_points=50)
    assert count == 2
    assert np.bincount(truth).tolist() == [110, 60, 80]
    truth, count = choose_objects(instance, least_points=50, most=1)
    assert np.bincount(truth).tolist() == [170, 80]
    truth, count = choose_objects(instance, objects=(5, 3))
    assert np.bincount(truth).tolist() == [180, 10, 60]


def test_the_table_prints_a_row_a_model() -> None:
    outcome = evaluate(Nearest(), row_of_blocks(1, 0, 2), budget=5)
    figures = summary([outcome])
    assert figures["objects"] == 2
    assert figures["IoU@5"] == pytest.approx(outcome.rows[-1].iou, abs=1e-6)
    assert 0 <= figures["ECE@1"] <= 1
    lines = text({"nearest": {"parameters": 0, **figures}}).splitlines()
    assert lines[0].split()[:3] == ["model", "parameters", "IoU@1"]
    assert lines[1].startswith("nearest")
