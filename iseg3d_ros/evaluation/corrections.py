"""What corrections do: the share of clicks that help, and of those that spoil what was right.

Means over many objects hide a correction that harms; here every object's IoU is followed from click to click. Intervals
are by bootstrap over scenes, because the objects of one scene are not independent of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.evaluation.protocol import Outcome

RESAMPLES = 1000
HARMS = {"harm>2": 0.02, "harm>10": 0.10}  # IoU lost at a click, more than
MIN_IOU_GAIN = 0.005  # IoU that a click must add to have helped
UNREACHED_IOUS = (0.5, 0.8)  # IoU that an object may never reach within the budget


def corrections(outcomes: Sequence[Outcome], seed: int = 0) -> dict[str, float]:
    """Shares of all corrections (clicks after the first one an object), each with its 95 % interval over scenes."""
    scenes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        scenes.setdefault(scene_of(outcome), []).append(outcome)
    counted = np.array([_counts(group) for group in scenes.values()])
    if len(counted) == 0 or counted[:, 0].sum() == 0:
        return {}
    names = [*HARMS, "gain", *(f"never {quality:g}" for quality in UNREACHED_IOUS)]
    whole = _shares(counted.sum(0))
    low, high = interval_over_scenes(counted, _shares, seed)
    table: dict[str, float] = {}
    for name, *values in zip(names, whole, low, high, strict=True):
        table |= dict(zip((name, f"{name} low", f"{name} high"), map(float, values), strict=True))
    return table


def interval_over_scenes(
    counted: NDArray[np.float64], shares: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % intervals by bootstrap of what `shares` makes of the sum over scenes of `counted` (scenes, counts)."""
    rng = np.random.default_rng(seed)
    drawn = counted[rng.integers(len(counted), size=(RESAMPLES, len(counted)))].sum(1)
    low, high = np.nanpercentile(np.array([shares(each) for each in drawn]), [2.5, 97.5], axis=0)
    return low, high


def mean_over_scenes(
    outcomes: Sequence[Outcome], value: Callable[[Outcome], Sequence[float]], seed: int = 0
) -> tuple[float, float, float]:
    """The mean of what `value` finds in each outcome (NaN is left out), and its 95 % interval over scenes."""
    scenes: dict[str, list[float]] = {}
    for outcome in outcomes:
        found = [number for number in value(outcome) if np.isfinite(number)]
        scenes.setdefault(scene_of(outcome), []).extend(found)
    pairs = np.array([[sum(found), len(found)] for found in scenes.values() if found], float).reshape(-1, 2)
    if len(pairs) == 0:
        return float("nan"), float("nan"), float("nan")
    low, high = interval_over_scenes(pairs, lambda total: total[:1] / total[1:], seed)
    return float(pairs[:, 0].sum() / pairs[:, 1].sum()), float(low[0]), float(high[0])


def scene_of(outcome: Outcome) -> str:
    """The scene of an outcome: several objects evaluated one at a time share it."""
    return outcome.name.split(" #")[0]


def _counts(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    """Of one scene: corrections, those that harmed (by each measure), that helped; objects, those never good enough."""
    changes: list[NDArray[np.float64]] = []
    best: list[NDArray[np.float64]] = []
    for outcome in outcomes:
        ious = np.array([row.ious for row in outcome.rows if row.clicks >= 1]).reshape(-1, outcome.objects)
        changes.append(np.diff(ious, axis=0).ravel())
        best.append(ious.max(0) if len(ious) else np.zeros(outcome.objects))
    change, reached = np.concatenate(changes), np.concatenate(best)
    harmed = [(change < -least).sum() for least in HARMS.values()]
    missed = [(reached < quality).sum() for quality in UNREACHED_IOUS]
    return np.array([len(change), *harmed, (change > MIN_IOU_GAIN).sum(), len(reached), *missed], float)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    clicks, objects = counts[0], counts[len(HARMS) + 2]
    return np.concatenate([counts[1 : len(HARMS) + 2] / clicks, counts[len(HARMS) + 3 :] / objects])
