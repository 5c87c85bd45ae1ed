"""Sparsification: what is left of the errors when the most doubtful points are left out."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.evaluation.calibration import area_under_sparsification, sparsification


def test_by_hand() -> None:
    doubt = np.array([0.9, 0.1, 0.8, 0.2], np.float32)
    wrong = np.array([True, False, False, True])
    curve, best = sparsification(doubt, wrong, 4)
    assert curve.tolist() == pytest.approx([2 / 4, 1 / 3, 1 / 2, 0.0])  # without 0.9, then 0.8, then 0.2
    assert best.tolist() == pytest.approx([2 / 4, 1 / 3, 0.0, 0.0])
    assert area_under_sparsification(doubt, wrong, 4) == pytest.approx(0.5 / 4)


def test_perfect_and_reversed_doubt() -> None:
    wrong = np.arange(1000) < 100
    perfect = area_under_sparsification(wrong.astype(np.float32), wrong)
    assert perfect == 0
    assert area_under_sparsification(1 - wrong.astype(np.float32), wrong) > 0.3
