"""The simulated user of the evaluation protocol: answers the largest error region at its innermost voxel.

Error regions are pairs (truth, prediction), not connected components. A voxel's distance is metric, from its
representative point to the nearest voxel outside its region; a region's size is its largest such distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """One error region: where to click, and how large it is by the rule that chose the click."""

    truth: int
    prediction: int
    voxel: int
    size: float


Rule = Callable[[Floats, Ints, Ints], list[Region]]  # of points, truth and prediction at voxels


def error_regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
    """Every (truth, prediction) pair that differs, with its innermost voxel (the first of equals)."""
    return [_innermost(points, mask, pair) for pair, mask in _masks(truth, prediction, _pairs(truth, prediction))]


def false_regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
    """InterObject3D's rule for one object: all that is missing, and all that is too much."""
    return [_innermost(points, mask, pair) for pair, mask in _masks(truth, prediction, ((1, 0), (0, 1)))]


def counted_regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
    """Few-Click's rule: the larger region by count of voxels, clicked at the voxel nearest to its centroid."""
    regions = []
    for (gt, pred), mask in _masks(truth, prediction, _pairs(truth, prediction)):
        inside = np.flatnonzero(mask)
        away = np.linalg.norm(points[inside] - points[inside].mean(0), axis=1)
        regions.append(Region(gt, pred, int(inside[np.argmin(away)]), float(len(inside))))
    return regions


def random_positive(seed: int) -> Rule:
    """Clicks at a random voxel of what is missing of the objects; never a background click."""
    rng = np.random.default_rng(seed)

    def regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
        masks = [item for item in _masks(truth, prediction, _pairs(truth, prediction)) if item[0][0] > 0]
        return [Region(*pair, int(rng.choice(np.flatnonzero(mask))), float(mask.sum())) for pair, mask in masks]

    return regions


def tempered(temperature: float, seed: int) -> Rule:
    """ClickEnhance's Eq. 5: a click anywhere in the errors, the less likely the farther from the largest one's middle.

    P(i) is proportional to exp(-d_i (1 - T)) over all error voxels, d_i in metres; T = 1 draws uniformly. Before
    anything is segmented each object gets a click of its own, drawn in the same way among its voxels.
    """
    if not 0 <= temperature <= 1:
        raise ValueError(f"The temperature must lie between 0 and 1, but is {temperature}.")
    rng = np.random.default_rng(seed)

    def draw(points: Floats, candidates: Ints, reference: Region) -> int:
        away = np.linalg.norm(points[candidates] - points[reference.voxel], axis=1)
        chance = np.exp(-away.astype(np.float64) * (1 - temperature))
        return int(rng.choice(candidates, p=chance / chance.sum()))

    def regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
        found = error_regions(points, truth, prediction)
        reference = largest(found)
        if reference is None:
            return []
        if not prediction.any():
            drawn = [(draw(points, np.flatnonzero(truth == r.truth), r), r.size) for r in found]
        else:
            drawn = [(draw(points, np.flatnonzero(truth != prediction), reference), reference.size)]
        return [Region(int(truth[voxel]), int(prediction[voxel]), voxel, size) for voxel, size in drawn]

    return regions


def slipping(rule: Rule, share: float, seed: int) -> Rule:
    """A user whose corrections name a wrong object with that chance: where the rule clicks, but on another label.

    The label is drawn evenly among the others, the background's included. First clicks are right.
    """
    rng = np.random.default_rng([seed, 1])

    def regions(points: Floats, truth: Ints, prediction: Ints) -> list[Region]:
        found = rule(points, truth, prediction)
        chosen = largest(found)
        if chosen is None or not prediction.any() or rng.random() >= share:
            return found
        others = [label for label in range(int(truth.max()) + 1) if label != chosen.truth]
        return [replace(chosen, truth=int(rng.choice(others)))]

    return regions


RULES: dict[str, Callable[[int], Rule]] = {
    "agile3d": lambda seed: error_regions,
    "interobject3d": lambda seed: false_regions,
    "fewclick": lambda seed: counted_regions,
    "random_positive": random_positive,
}


def largest(regions: Iterable[Region]) -> Region | None:
    """The region to answer next; the first of equals, None where nothing is wrong."""
    return max(regions, key=lambda region: region.size, default=None)


def _pairs(truth: Ints, prediction: Ints) -> list[tuple[int, int]]:
    wrong = truth != prediction
    pairs = np.unique(np.stack([truth[wrong], prediction[wrong]], 1), axis=0)
    return [(int(gt), int(pred)) for gt, pred in pairs]


def _masks(
    truth: Ints, prediction: Ints, pairs: Iterable[tuple[int, int]]
) -> list[tuple[tuple[int, int], NDArray[np.bool_]]]:
    masks = [((gt, pred), (truth == gt) & (prediction == pred)) for gt, pred in pairs]
    return [(pair, mask) for pair, mask in masks if mask.any()]


def _innermost(points: Floats, mask: NDArray[np.bool_], pair: tuple[int, int]) -> Region:
    inside, distance = _distances(points, mask)
    best = int(np.argmax(distance))
    return Region(*pair, int(inside[best]), float(distance[best]))


def _distances(points: Floats, mask: NDArray[np.bool_]) -> tuple[Ints, NDArray[np.float64]]:
    """Each inner voxel and its distance to the nearest voxel outside; a region without an outside: to its centroid.

    The protocol has no answer where the whole cloud is one region: then the voxel nearest to the middle is clicked.
    """
    inside = np.flatnonzero(mask)
    if mask.all():
        away = np.linalg.norm(points - points.mean(0), axis=1)
        return inside, away.max() - away
    distance, _ = cKDTree(points[~mask]).query(points[inside])
    return inside, distance
