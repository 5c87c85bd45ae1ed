"""Objects carried from one cloud into the next: by TF, by each object's own motion, and by its previous points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

REMEMBERED = 4_000  # points of an object that are compared at most
STEPS = 8  # corrections of an object's motion, each with half the reach of the one before
BACKGROUND = 30_000  # points around the objects that hold their ground against them, at most


@dataclass(frozen=True)
class Track:
    """What is remembered of an object, in the fixed frame: some of its points, how dense, how fast, whether lost."""

    points: np.ndarray
    spacing: float
    velocity: np.ndarray  # metres per second
    count: int
    time: float
    lost: bool = False

    @property
    def tolerance(self) -> float:
        """How near two samples of the same surface lie."""
        return max(2.5 * self.spacing, 1e-3)


@dataclass(frozen=True)
class Carried:
    """Labels that the previous masks give to a new cloud's points, and the motion of every object (fixed frame)."""

    labels: np.ndarray  # int32 (N,)
    motion: np.ndarray  # float64 (M, 3)
    share: np.ndarray  # float64 (M,): how much of the object was found again


def remember(xyz: np.ndarray, time: float) -> Track:
    """A track from an object's points in the fixed frame, at rest."""
    step = max(1, len(xyz) // REMEMBERED)
    points = np.ascontiguousarray(xyz[::step])
    near = cKDTree(points).query(points[:: max(1, len(points) // 200)], k=2)[0][:, 1] if len(points) > 1 else [0.0]
    return Track(points, float(np.median(near)), np.zeros(3), len(xyz), time)


def moving(track: Track, motion: np.ndarray, seconds: float) -> Track:
    """The track with the speed that the last motion shows, damped: a jump is more often a wrong match."""
    if seconds <= 0:
        return track
    return replace(track, velocity=0.5 * motion / seconds)


def carry(
    tracks: Sequence[Track], background: np.ndarray, xyz: np.ndarray, time: float, reaches: Sequence[float]
) -> Carried:
    """Finds every object's points again in a new cloud (`xyz`, fixed frame).

    A point takes the label of the nearest old point, object or background, when that lies within twice the spacing
    of the object's points. `reaches` are how far each may have moved beyond its predicted place, in metres.
    """
    labels = np.zeros(len(xyz), np.int32)
    motion = np.zeros((len(tracks), 3))
    share = np.zeros(len(tracks))
    nearest = np.full(len(xyz), np.inf)
    ground = Ground(background)
    for index, (track, reach) in enumerate(zip(tracks, reaches, strict=True)):
        predicted = np.zeros(3) if track.lost else track.velocity * max(time - track.time, 0.0)
        candidates = _around(xyz, track.points + predicted, reach)
        if len(candidates) == 0:
            continue
        near = xyz[candidates]
        motion[index] = _motion(track, ground.left_over(near), predicted, reach)
        distance = cKDTree(track.points + motion[index]).query(near, distance_upper_bound=track.tolerance)[0]
        mine = np.isfinite(distance) & (distance < nearest[candidates]) & (distance < ground.distance(near))
        labels[candidates[mine]] = index + 1
        nearest[candidates[mine]] = distance[mine]
        share[index] = _found(track, motion[index], near[mine])
    return Carried(labels, motion, share)


class Ground:
    """What was background in the last cloud."""

    def __init__(self, points: np.ndarray) -> None:
        self._tree = cKDTree(points) if len(points) > 1 else None
        if self._tree is not None:
            self._spacing = float(np.median(self._tree.query(points[:: max(1, len(points) // 300)], k=2)[0][:, 1]))

    def distance(self, xyz: np.ndarray) -> np.ndarray:
        """To the nearest of its points."""
        return np.full(len(xyz), np.inf) if self._tree is None else self._tree.query(xyz)[0]

    def left_over(self, xyz: np.ndarray) -> np.ndarray:
        """The points that it does not explain; all of them if hardly any is left."""
        if self._tree is None:
            return xyz
        left = xyz[self.distance(xyz) > 2.0 * self._spacing]
        return left if len(left) > 10 else xyz


def _around(xyz: np.ndarray, points: np.ndarray, margin: float) -> np.ndarray:
    """Indices of the points in the box around an object, widened."""
    low, high = points.min(0) - margin, points.max(0) + margin
    inside = np.ones(len(xyz), bool)
    for axis in range(3):
        inside &= (xyz[:, axis] >= low[axis]) & (xyz[:, axis] <= high[axis])
    return np.flatnonzero(inside)


def _motion(track: Track, near: np.ndarray, predicted: np.ndarray, reach: float) -> np.ndarray:
    """The better of two alignments: from the predicted place, and from where the new points' middle is."""
    tree = cKDTree(near)
    middle = near.mean(0) - track.points.mean(0)
    tries = [_aligned(track, tree, start, reach) for start in (predicted, middle)]
    return max(tries, key=lambda motion: _found(track, motion, near))


def _aligned(track: Track, tree: cKDTree, start: np.ndarray, reach: float) -> np.ndarray:
    """The translation that brings the object onto the new points: matched means, with a shrinking reach."""
    motion, within = start.copy(), max(reach, track.tolerance)
    sample = track.points[:: max(1, len(track.points) // 1000)]
    for _ in range(STEPS):
        distance, place = tree.query(sample + motion, distance_upper_bound=within)
        hit = np.isfinite(distance)
        if not hit.any():
            break
        motion = motion + (tree.data[place[hit]] - (sample[hit] + motion)).mean(0)
        within = max(within / 2, track.tolerance)
    return motion


def _found(track: Track, motion: np.ndarray, mine: np.ndarray) -> float:
    """The share of the old points that have a new one near them."""
    if len(mine) == 0:
        return 0.0
    distance, _ = cKDTree(mine).query(track.points + motion, distance_upper_bound=track.tolerance)
    return float(np.isfinite(distance).mean())
