"""What the probabilities are worth: expected calibration error, and uncertainty as a detector of wrong points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def expected_calibration_error(probability: NDArray[np.float32], correct: NDArray[np.bool_], bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over equal-width bins, weighted by their counts."""
    index = np.clip((probability * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    confidence = np.bincount(index, probability, minlength=bins)
    accuracy = np.bincount(index, correct, minlength=bins)
    return float(np.abs(confidence - accuracy).sum() / max(count.sum(), 1))


def rank_correlation(confidence: Sequence[float], quality: Sequence[float]) -> float:
    """Spearman's: whether the masks that are thought good are the good ones; NaN for fewer than three, or all alike."""
    first, second = rankdata(confidence), rankdata(quality)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def auroc(uncertainty: NDArray[np.float32], wrong: NDArray[np.bool_]) -> float:
    """The chance that a wrong point is more uncertain than a right one; NaN where all are right, or all wrong."""
    positive, negative = int(wrong.sum()), int((~wrong).sum())
    if positive == 0 or negative == 0:
        return float("nan")
    ranks = rankdata(uncertainty)
    return float((ranks[wrong].sum() - positive * (positive + 1) / 2) / (positive * negative))


def sparsification(
    uncertainty: NDArray[np.float32], wrong: NDArray[np.bool_], steps: int = 20
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of wrong points among those that stay when the most uncertain 0, 1/steps, … are left out; the best
    that any order could do, beside it."""
    order = np.argsort(-uncertainty, kind="stable")
    total = len(order)
    left = np.array([total - (k * total) // steps for k in range(steps)])
    mistakes = np.append(0, np.cumsum(wrong[order[::-1]]))[left] / np.maximum(left, 1)
    best = np.maximum(int(wrong.sum()) - (total - left), 0) / np.maximum(left, 1)
    return mistakes, best


def area_under_sparsification(uncertainty: NDArray[np.float32], wrong: NDArray[np.bool_], steps: int = 20) -> float:
    """AUSE: the mean gap between the curve and the best one, as a share of the points; 0 is perfect."""
    mistakes, best = sparsification(uncertainty, wrong, steps)
    return float((mistakes - best).mean())
