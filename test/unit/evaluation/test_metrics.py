"""Aggregation against rows made by hand, with known figures."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.evaluation.calibration import auroc, expected_calibration_error, rank_correlation
from iseg3d_ros.evaluation.metrics import (
    Row,
    average_precision,
    figures,
    iou_at,
    mean_average_precision,
    noc_at,
    object_ious,
    object_recalls,
)

EASY = [Row(0, (0.0, 0.0)), Row(1, (0.9, 0.96)), Row(1.5, (0.9, 0.96)), Row(2, (0.95, 0.97)), Row(20, (0.95, 0.97))]
HARD = [Row(0, (0.0,)), Row(1, (0.3,)), Row(2, (0.7,)), Row(20, (0.84,))]


def test_object_ious_at_points() -> None:
    truth = np.array([0, 0, 1, 1, 1, 2, 2, 2])
    labels = np.array([0, 1, 1, 1, 0, 2, 2, 2])
    assert object_ious(labels, truth, 2) == pytest.approx((0.5, 1.0))
    assert object_ious(labels, truth, 3)[2] == 0.0


def test_iou_is_read_at_exact_counts_and_averaged_over_samples() -> None:
    assert iou_at([EASY, HARD], 1) == pytest.approx((0.93 + 0.3) / 2)
    assert iou_at([EASY, HARD], 2) == pytest.approx((0.96 + 0.7) / 2)
    assert np.isnan(iou_at([EASY, HARD], 7))


def test_noc_is_one_at_least_and_the_budget_at_most() -> None:
    assert noc_at([EASY], 0.5) == 1.0
    assert noc_at([EASY], 0.95) == 2.0
    assert noc_at([HARD], 0.9) == 20.0
    assert noc_at([EASY, HARD], 0.65) == pytest.approx((1 + 2) / 2)


def test_figures_are_named_as_in_the_tables() -> None:
    table = figures([EASY, HARD])
    assert {"IoU@1", "IoU@15", "NoC@50", "NoC@90"} <= set(table)


def test_average_precision_of_ranked_masks() -> None:
    assert average_precision([0.9, 0.8], [0.7, 0.6], 0.5) == 1.0
    assert average_precision([0.1, 0.9], [0.9, 0.1], 0.5) == pytest.approx(0.25)
    assert average_precision([0.9, 0.1], [0.9, 0.1], 0.5) == pytest.approx(0.5)


def test_ap_is_the_mean_over_the_overlaps_of_scannets_script() -> None:
    # Right at 0.50 to 0.70: five of nine overlaps.
    assert mean_average_precision([0.72], [1.0]) == pytest.approx(5 / 9)
    assert mean_average_precision([0.97], [1.0]) == 1.0
    # Two masks, the surer one worse: at 0.50 both count, from 0.55 to 0.80 the second alone, at precision 1/2.
    assert mean_average_precision([0.51, 0.82], [0.9, 0.8]) == pytest.approx((1 + 6 * 0.25) / 9)


def test_an_object_without_a_mask_lowers_the_recall() -> None:
    assert average_precision([0.9, 0.0], [0.9, 0.0], 0.25) == pytest.approx(0.5)


def test_noc_averages_over_samples_not_over_objects() -> None:
    two, one = [Row(0, (0.0, 0.0)), Row(1, (0.9, 0.9))], [Row(0, (0.0,)), Row(1, (0.1,)), Row(4, (0.95,))]
    assert noc_at([two, one], 0.9) == pytest.approx((1 + 4) / 2)  # over three objects it would be 2
    singles = [[Row(0, (0.0,)), Row(1, (0.9,))]] * 2 + [one]  # single-object samples: one an object
    assert noc_at(singles, 0.9) == pytest.approx((1 + 1 + 4) / 3)


def test_calibration_of_a_known_forecast() -> None:
    probability = np.repeat(np.float32([0.95, 0.55]), 100)
    correct = np.concatenate([np.arange(100) < 95, np.arange(100) < 35])
    assert expected_calibration_error(probability, correct) == pytest.approx(0.1, abs=1e-6)


def test_auroc_of_a_known_ranking() -> None:
    wrong = np.array([True, False, False, True])
    assert auroc(np.float32([0.9, 0.1, 0.2, 0.8]), wrong) == 1.0
    assert auroc(np.float32([0.5, 0.5, 0.5, 0.5]), wrong) == 0.5
    assert np.isnan(auroc(np.float32([0.5, 0.5]), np.array([False, False])))


def test_rank_correlation_of_known_rankings() -> None:
    assert rank_correlation([0.1, 0.5, 0.9], [0.2, 0.3, 0.7]) == pytest.approx(1)
    assert rank_correlation([0.9, 0.5, 0.1], [0.2, 0.3, 0.7]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [10, 30, 20, 40]) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert np.isnan(rank_correlation([1, 2], [1, 2])) and np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_the_share_of_each_object_that_its_mask_holds() -> None:
    truth, labels = np.array([0, 1, 1, 1, 2, 2, 0]), np.array([1, 1, 1, 0, 2, 1, 0])
    assert object_recalls(labels, truth, 3) == pytest.approx((2 / 3, 1 / 2, 0))
