"""Everything in a cloud that could be an object, each from one click that nobody had to give: to be accepted or not."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.planes import large_planes
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene
from iseg3d_ros.preprocessing.voxels import voxelise

TRIES = 64  # clicks at most, where nobody says how many
APART = 5.0  # voxels between clicks that are tried, where few are enough
STABLE = 0.6  # share of a mask that stays when more is asked of its points, from which on it is one
SAME = 0.5  # overlap from which on two masks are of one object, and the better one stays
WITHIN = 0.8  # share of a mask inside a better one from which on it is a part of that, and goes
FEWEST = 30  # points of a mask
FLAT = 0.6  # share of a mask in ground, table top or walls from which on it is a piece of them
LARGEST = 0.5  # extent of a mask, as a share of the cloud's, beyond which it is no object
SURE, PERHAPS = 0.7, 0.3  # probabilities between which a stable mask hardly changes


@dataclass(frozen=True)
class Proposal:
    """A click, the mask (indices of points) that it gives, and how stable and probable that is, from 0 to 1."""

    click: Click
    indices: np.ndarray
    score: float


Searching = Generator[tuple[int, int], None, list[Proposal]]  # gives how many steps are done, of how many


def proposals(
    predictor: Predictor,
    scene: Scene,
    xyz: np.ndarray,
    tries: int = TRIES,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> list[Proposal]:
    """The objects of an encoded cloud, the surest first; `tries` clicks at most, each of which costs what a click does.
    The objects of their clicks are 1, 2, …

    Clicks are spread over what is not ground, table top or wall. What a mask covers already is not clicked on again.
    """
    return finished(search(predictor, scene, xyz, tries), progress)


def finished(searching: Searching, progress: Callable[[int, int], object] = lambda done, of: None) -> list[Proposal]:
    """What a search finds, once all of its steps are done; `progress` hears how many are, of how many."""
    while True:
        try:
            progress(*next(searching))
        except StopIteration as end:
            found: list[Proposal] = end.value
            return found


def search(predictor: Predictor, scene: Scene, xyz: np.ndarray, tries: int = TRIES) -> Searching:
    """The same in steps of one click, so that whoever works on the same thread can do something between them.

    Gives how many clicks were tried, of how many, and in the end the proposals.
    """
    planes = large_planes(xyz[np.isfinite(xyz).all(1)])
    flat = np.logical_or.reduce([plane.holds(xyz) for plane in planes] or [np.zeros(len(xyz), bool)])
    found: list[Proposal] = []
    covered = np.zeros(len(xyz), bool)
    seeds = spread(xyz, ~flat, APART * scene.voxels.size, tries)
    for number, row in enumerate(seeds):
        yield number, len(seeds)
        if covered[row]:
            continue
        x, y, z = (float(value) for value in xyz[row])
        click = Click((x, y, z), 1)
        proposal = judged(click, predictor.segment(scene, [click]), xyz, flat)
        if proposal is not None:
            found.append(proposal)
            covered[proposal.indices] = True
    kept = the_best(found, len(xyz))
    return [replace(each, click=replace(each.click, object=number)) for number, each in enumerate(kept, 1)]


def spread(xyz: np.ndarray, free: np.ndarray, apart: float, most: int) -> list[int]:
    """Points that stand for the free ones: the densest cells of a grid first, none beside one that was taken."""
    rows = np.flatnonzero(free & np.isfinite(xyz).all(1))
    if len(rows) == 0:
        return []
    cells = voxelise(xyz[rows], apart)
    centres = np.stack([np.bincount(cells.inverse, column) for column in xyz[rows].T], 1) / cells.counts[:, None]
    away = np.linalg.norm(xyz[rows] - centres[cells.inverse], axis=1)
    order = np.lexsort((away, cells.inverse))
    nearest = rows[order[np.searchsorted(cells.inverse[order], np.arange(len(cells)))]]
    chosen: list[int] = []
    distance = np.full(len(cells), np.inf)
    weight = np.sqrt(cells.counts)
    while len(chosen) < min(most, len(cells)):
        best = int((np.minimum(distance, 20 * apart) * weight).argmax())  # far from the others, and much around it
        if distance[best] < apart:
            break
        chosen.append(best)
        distance = np.minimum(distance, np.linalg.norm(centres - centres[best], axis=1))
    return [int(nearest[cell]) for cell in chosen]


def judged(click: Click, result: Segmentation, xyz: np.ndarray, flat: np.ndarray) -> Proposal | None:
    """What one click gives, if that can be an object."""
    own = np.where(result.labels == 1, result.probability, 1 - result.probability)
    own[(result.labels == 0) & (result.probability == 0)] = 0  # points that took no part
    indices = np.flatnonzero(result.labels == 1)
    if len(indices) < FEWEST or flat[indices].mean() > FLAT:
        return None
    finite = xyz[np.isfinite(xyz).all(1)]
    if np.linalg.norm(np.ptp(xyz[indices], axis=0)) > LARGEST * np.linalg.norm(np.ptp(finite, axis=0)):
        return None
    stable = float((own >= SURE).sum() / max(int((own >= PERHAPS).sum()), 1))
    return Proposal(click, indices, stable * float(own[indices].mean())) if stable >= STABLE else None


def the_best(found: list[Proposal], points: int) -> list[Proposal]:
    """Without those that a better one overlaps or holds."""
    kept: list[Proposal] = []
    for proposal in sorted(found, key=lambda each: -each.score):
        mask = np.zeros(points, bool)
        mask[proposal.indices] = True
        common = [int(mask[other.indices].sum()) for other in kept]
        sizes = [len(other.indices) + len(proposal.indices) - both for other, both in zip(kept, common, strict=True)]
        doubles = (both > SAME * size for both, size in zip(common, sizes, strict=True))
        parts = (both > WITHIN * len(proposal.indices) for both in common)
        if not any(doubles) and not any(parts):
            kept.append(proposal)
    return kept


def labels_of(found: list[Proposal], points: int) -> np.ndarray:
    """int32 (N,): the number of the surest proposal that has a point, 0 for none."""
    labels = np.zeros(points, np.int32)
    for number, proposal in reversed(list(enumerate(found, 1))):
        labels[proposal.indices] = number
    return labels
