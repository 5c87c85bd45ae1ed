"""What single code bases do beside the protocol, against cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros.clicks import Click
from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.habits import Habits, first_guess, with_cubes
from iseg3d_ros.evaluation.protocol import Task, evaluate
from iseg3d_ros.evaluation.user import false_regions
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.predictor import Predictor


def test_cubes_of_labels_the_later_over_the_earlier_and_the_background_over_all() -> None:
    xyz = np.stack([np.arange(10) / 10, np.zeros(10), np.zeros(10)], 1).astype(np.float32)
    clicks = [Click((0.0, 0, 0), 0), Click((0.2, 0, 0), 1), Click((0.4, 0, 0), 2), Click((0.9, 0, 0), 1)]
    found = with_cubes(np.full(10, 3, np.int32), xyz, clicks, 0.15)
    assert found.tolist() == [0, 0, 1, 2, 2, 2, 3, 3, 1, 1]


class Guessing(Predictor):
    """An InterObject3D that takes the upper half for the object before any click."""

    def __init__(self) -> None:
        super().__init__(build(settings_of("interobject3d", "tiny")).eval(), voxel_size=0.1)
        self.network.guess = lambda encoded: [encoded.clouds[0].points[:, 0] - 0.5]


def line() -> Task:
    """Points along x from 0 to 1; the object is what is left of 0.8."""
    x = np.linspace(0.005, 0.995, 100)
    xyz = np.stack([x, np.zeros(100), np.zeros(100)], 1).astype(np.float32)
    return Task("line", xyz, None, (x < 0.8).astype(np.int32), 1, up=(0.0, 0.0, 1.0))


def test_the_first_click_answers_the_larger_error_of_the_mask_before_it() -> None:
    predictor, seen = Guessing(), []
    found = evaluate(
        predictor, line(), 1, false_regions, watch=lambda *call: seen.append(call[2]), habits=Habits(guess=True)
    )
    # 0.5 to 1 is guessed and 0 to 0.8 is true: 30 of 100 points are in both, and what is missing is the deeper error
    assert found.rows[0].ious[0] == pytest.approx(0.3, abs=0.02)
    clicks = seen[0]
    assert len(clicks) == 1
    assert clicks[0].object == 1
    assert clicks[0].point[0] < 0.15


def test_masks_before_any_click_are_of_the_network_without_click_channels() -> None:
    torch.manual_seed(0)
    network = build(settings_of("interobject3d", "tiny")).eval()
    predictor = Predictor(network, voxel_size=0.05)
    xyz = np.random.default_rng(0).uniform(0, 1, (3000, 3)).astype(np.float32)
    scene = predictor.encode(xyz, up=(0, 0, 1))
    encoded = predictor.opened(scene)[1]
    with torch.inference_mode():
        empty = torch.zeros(len(scene.cloud), 1, 6)
        expected = network._mask(encoded, empty)[:, 0] > 0
    assert np.array_equal(first_guess(predictor, scene), expected.numpy()[scene.voxels.inverse])
    with pytest.raises(ValueError, match="only interobject3d"):
        first_guess(Predictor(build(settings_of("agile3d", "tiny")).eval()), scene)


def test_they_are_refused_where_they_mean_nothing() -> None:
    with pytest.raises(ValueError, match="one object at a time"):
        EvaluationConfig(guess_first=True)
    with pytest.raises(ValueError, match="half an edge"):
        EvaluationConfig(write_cubes=-1)
    assert EvaluationConfig("single", write_cubes=0.05, guess_first=True).habits == Habits(0.05, True)
