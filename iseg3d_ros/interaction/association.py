"""Objects carried from one cloud into the next: by TF, by each object's own motion, and by its previous points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from iseg3d_ros.interaction.looks import can_be_of, likeness, look_of

REMEMBERED = 4_000  # points of an object that are compared at most
STEPS = 8  # corrections of an object's motion, each with half the reach of the one before
SETTLED = 0.02  # share of the tolerance below which a correction is the last one
RESTS = 0.2  # share of the tolerance below which a predicted motion is none
STAYS = 0.8  # share of an object's points found where it is expected, from which on it is looked for nowhere else
PERHAPS = 0.4  # share below which nothing of it is taken to be there
FITS = 0.45  # how well an object and a piece of what is left over must be the same (both shares' harmonic mean)
OTHER = 0.5  # likeness of colours below which what stands in an object's place is something else
FEWEST = 10  # points of a piece
PIECES = 40  # pieces of what is left over in which missing objects are looked for
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
    look: np.ndarray | None = None  # its colours (`looks.look_of`); None: unknown

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


@dataclass(frozen=True)
class Patch:
    """Points of the new cloud with their colours."""

    xyz: np.ndarray
    rgb: np.ndarray | None

    def __len__(self) -> int:
        return len(self.xyz)

    def only(self, chosen: np.ndarray | slice) -> Patch:
        """The points under a mask or at indices."""
        return Patch(self.xyz[chosen], None if self.rgb is None else self.rgb[chosen])

    def explained_by(self, track: Track, motion: np.ndarray, tolerances: float = 2.0) -> np.ndarray:
        """Which of the points an object explains, so moved."""
        tree = tree_of(track.points + motion)
        inside: np.ndarray = np.isfinite(tree.query(self.xyz, distance_upper_bound=tolerances * track.tolerance)[0])
        return inside


def remember(xyz: np.ndarray, time: float, rgb: np.ndarray | None = None) -> Track:
    """A track from an object's points in the fixed frame, at rest."""
    step = max(1, len(xyz) // REMEMBERED)
    points = np.ascontiguousarray(xyz[::step])
    near = tree_of(points).query(points[:: max(1, len(points) // 200)], k=2)[0][:, 1] if len(points) > 1 else [0.0]
    return Track(points, float(np.median(near)), np.zeros(3), len(xyz), time, look=look_of(rgb))


def moving(track: Track, motion: np.ndarray, seconds: float) -> Track:
    """The track with the speed that the last motion shows, damped: a jump is more often a wrong match."""
    if seconds <= 0:
        return track
    return replace(track, velocity=0.5 * motion / seconds)


def carry(
    tracks: Sequence[Track],
    background: np.ndarray,
    xyz: np.ndarray,
    time: float,
    reaches: Sequence[float],
    rgb: np.ndarray | None = None,
) -> Carried:
    """Finds every object's points again in a new cloud (`xyz`, fixed frame).

    Objects that are where they are expected keep their points; the others are looked for in what is left over, each
    piece of it going to one of them at most; where there are colours, shape and colours must fit. `reaches` are how far
    each may have moved beyond its predicted place, in metres. What fits nothing has a share of 0, and no points.
    """
    ground = Ground(background)
    rows = _around_any(tracks, xyz, time, reaches)
    near = Patch(xyz[rows], None if rgb is None else rgb[rows])
    free = near.only(~ground.explains(near.xyz))
    solid = [_solid(track, ground) for track in tracks]  # what tells an object from what it stands on
    found: list[Match | None] = [_expected(track, free, time) for track in solid]
    firm = [match if match is not None and match.share >= STAYS else None for match in found]
    missing = [index for index, match in enumerate(firm) if match is None]
    left = _unclaimed(solid, firm, free)
    for index in missing:  # of what an object that was found explains, nothing speaks for another one
        found[index] = _expected(solid[index], left, time)
    while missing:  # where several stand close together, what is left once one of them is found is another one's
        matches = _assigned([solid[i] for i in missing], [reaches[i] for i in missing], left, time)
        for index, match in matches.items():
            before = found[missing[index]]
            if before is None or match.share > before.share:
                found[missing[index]] = match
        left = _unclaimed([solid[missing[index]] for index in matches], list(matches.values()), left)
        missing = [each for index, each in enumerate(missing) if index not in matches] if matches else []
    labels = np.zeros(len(xyz), np.int32)
    labels[rows] = _labels(tracks, found, ground, near.xyz)
    return Carried(
        labels,
        np.stack([match.motion if match else np.zeros(3) for match in found]) if found else np.zeros((0, 3)),
        np.array([match.share if match else 0.0 for match in found]),
    )


@dataclass(frozen=True)
class Match:
    """Where an object was found: its motion, and the share of its points that have a new one near them."""

    motion: np.ndarray
    share: float


def _expected(track: Track, free: Patch, time: float) -> Match | None:
    """The object where it rests or where its speed takes it; None if hardly anything of it is there, or another."""
    predicted = _predicted(track, time)
    rests = float(np.linalg.norm(predicted)) < RESTS * track.tolerance
    starts = (predicted,) if rests else (np.zeros(3), predicted)
    best = max((_settled(track, free.xyz, start) for start in starts), key=lambda match: match.share)
    return best if best.share >= PERHAPS and _looks_like(track, best.motion, free) else None


def _looks_like(track: Track, motion: np.ndarray, free: Patch) -> bool:
    """Whether what is in an object's place can have its colours."""
    if track.look is None or free.rgb is None:
        return True
    place = free.only(around(free.xyz, track.points + motion, track.tolerance))
    seen = place.only(place.explained_by(track, motion, 1.0))
    return likeness(track.look, look_of(seen.rgb)) >= OTHER


def _settled(track: Track, xyz: np.ndarray, start: np.ndarray) -> Match:
    """The object near a place, to within what two samples of one surface differ by."""
    near = xyz[around(xyz, track.points + start, 2 * track.tolerance)]
    if len(near) == 0:
        return Match(start, 0.0)
    motion = _aligned(track, tree_of(near), start, 2 * track.tolerance)
    moved = float(np.linalg.norm(motion - start))
    return Match(motion, _found(track, motion, near) if moved <= 2 * track.tolerance else 0.0)


def _predicted(track: Track, time: float) -> np.ndarray:
    return np.zeros(3) if track.lost else track.velocity * max(time - track.time, 0.0)


def _around_any(tracks: Sequence[Track], xyz: np.ndarray, time: float, reaches: Sequence[float]) -> np.ndarray:
    """Indices of the points in reach of any object, where it rests or where its speed takes it."""
    within = np.zeros(len(xyz), bool)
    for track, reach in zip(tracks, reaches, strict=True):
        for start in (np.zeros(3), _predicted(track, time)):
            within[around(xyz, track.points + start, reach + 2 * track.tolerance)] = True
    return np.flatnonzero(within)


def _solid(track: Track, ground: Ground) -> Track:
    """The object without the points that the background would explain as well, unless it is as flat as that."""
    points = track.points[~ground.explains(track.points)]
    return replace(track, points=points) if len(points) >= max(FEWEST, 0.3 * len(track.points)) else track


def _unclaimed(tracks: Sequence[Track], found: Sequence[Match | None], free: Patch) -> Patch:
    """Points that no object that was found explains."""
    for track, match in zip(tracks, found, strict=True):
        if match is not None and len(free):
            free = free.only(~free.explained_by(track, match.motion))
    return free


def _assigned(tracks: Sequence[Track], reaches: Sequence[float], free: Patch, time: float) -> dict[int, Match]:
    """Missing objects to pieces of what is left over, so that all together fit best."""
    if not tracks or len(free) < FEWEST:
        return {}
    pieces = _pieces(free, max(track.tolerance for track in tracks))
    scores = np.zeros((len(tracks), len(pieces)))
    matches: dict[tuple[int, int], Match] = {}
    for row, (track, reach) in enumerate(zip(tracks, reaches, strict=True)):
        for column, piece in enumerate(pieces):
            own = piece.only(can_be_of(track.look, piece.rgb))
            match, score = _fitted(track, own.xyz, _predicted(track, time), reach)
            alike = likeness(track.look, look_of(own.rgb)) if score >= FITS else 0.0
            matches[row, column], scores[row, column] = match, score * alike
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {
        int(row): matches[row, column] for row, column in zip(rows, columns, strict=True) if scores[row, column] >= FITS
    }


def _fitted(track: Track, piece: np.ndarray, predicted: np.ndarray, reach: float) -> tuple[Match, float]:
    """An object laid onto a piece, and how well they are the same: the harmonic mean of both shares."""
    best, score = Match(predicted, 0.0), 0.0
    if len(piece) < FEWEST:
        return best, score
    tree = tree_of(piece)
    for start in (piece.mean(0) - track.points.mean(0), predicted):
        if np.linalg.norm(start - predicted) > reach + track.tolerance:
            continue
        motion = _aligned(track, tree, start, reach)
        share = _found(track, motion, piece)
        covered = np.isfinite(tree_of(track.points + motion).query(piece, distance_upper_bound=track.tolerance)[0])
        both = 2 * share * covered.mean() / max(share + covered.mean(), 1e-9)
        if both > score and np.linalg.norm(motion - predicted) <= reach + track.tolerance:
            best, score = Match(motion, share), float(both)
    return best, score


def _pieces(free: Patch, gap: float) -> list[Patch]:
    """Points that hang together, as far as no gap between cells is larger than `gap`; the largest pieces only."""
    cells, inverse = np.unique(np.floor(free.xyz / gap).astype(np.int64), axis=0, return_inverse=True)
    pairs = cKDTree(cells).query_pairs(1.8, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(cells), len(cells)))
    piece = connected_components(graph, directed=False)[1][inverse.reshape(-1)]
    sizes = np.bincount(piece)
    largest = np.argsort(-sizes, kind="stable")[:PIECES]
    return [free.only(piece == index) for index in largest if sizes[index] >= FEWEST]


def _labels(tracks: Sequence[Track], found: Sequence[Match | None], ground: Ground, xyz: np.ndarray) -> np.ndarray:
    """The label of the nearest old point, object or background, as far as it is near enough."""
    labels = np.zeros(len(xyz), np.int32)
    nearest = np.full(len(xyz), np.inf)
    for index, (track, match) in enumerate(zip(tracks, found, strict=True)):
        if match is None:
            continue
        candidates = around(xyz, track.points + match.motion, track.tolerance)
        near = xyz[candidates]
        distance = tree_of(track.points + match.motion).query(near, distance_upper_bound=track.tolerance)[0]
        mine = np.flatnonzero(distance < nearest[candidates])  # not inf: what is too far
        mine = mine[distance[mine] < ground.distance(near[mine], track.tolerance)]
        labels[candidates[mine]] = index + 1
        nearest[candidates[mine]] = distance[mine]
    return labels


class Ground:
    """What was background in the last cloud, and the plane that it lies in as far as there is one.

    Where an object is taken away the plane goes on: what comes to light there is no other object.
    """

    def __init__(self, points: np.ndarray) -> None:
        self._tree = tree_of(points) if len(points) > 1 else None
        if self._tree is not None:
            self._spacing = float(np.median(self._tree.query(points[:: max(1, len(points) // 300)], k=2)[0][:, 1]))
            self._plane = _plane(points, self._spacing)

    def distance(self, xyz: np.ndarray, most: float) -> np.ndarray:
        """To the nearest of its points, up to so many metres; inf beyond."""
        return np.full(len(xyz), np.inf) if self._tree is None else self._tree.query(xyz, distance_upper_bound=most)[0]

    def explains(self, xyz: np.ndarray) -> np.ndarray:
        """Which of the points are background that was there, or its plane."""
        explained = np.zeros(len(xyz), bool)
        if self._tree is None or len(xyz) == 0:
            return explained
        if self._plane is not None:
            normal, offset, thickness = self._plane
            explained = np.abs(xyz @ normal - offset) <= thickness
        rest = np.flatnonzero(~explained)
        explained[rest] = np.isfinite(self.distance(xyz[rest], 2.0 * self._spacing))
        return explained


def _plane(points: np.ndarray, spacing: float) -> tuple[np.ndarray, float, float] | None:
    """Normal, offset and half thickness of the plane that holds most of the points, if that is a third of them."""
    rng = np.random.default_rng(0)
    sample = points[rng.integers(0, len(points), min(len(points), 1500))]
    thickness = max(0.5 * spacing, 0.002)
    best, most = None, len(sample) // 3
    for _ in range(60):
        a, b, c = sample[rng.integers(0, len(sample), 3)]
        normal = np.cross(b - a, c - a)
        if (length := float(np.linalg.norm(normal))) < 1e-9:
            continue
        normal /= length
        count = int((np.abs((sample - a) @ normal) <= thickness).sum())
        if count > most:
            best, most = (normal, float(a @ normal), 2 * thickness), count
    return best


def tree_of(points: np.ndarray) -> cKDTree:
    """A tree that is built in a third of the time, for few queries."""
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def around(xyz: np.ndarray, points: np.ndarray, margin: float) -> np.ndarray:
    """Indices of the points in the box around an object, widened."""
    low, high = points.min(0) - margin, points.max(0) + margin
    inside = np.ones(len(xyz), bool)
    for axis in range(3):
        inside &= (xyz[:, axis] >= low[axis]) & (xyz[:, axis] <= high[axis])
    return np.flatnonzero(inside)


def _aligned(track: Track, tree: cKDTree, start: np.ndarray, reach: float) -> np.ndarray:
    """The translation that brings the object onto the new points: matched means, with a shrinking reach."""
    motion, within = start.copy(), max(reach, track.tolerance)
    sample = track.points[:: max(1, len(track.points) // 1000)]
    for _ in range(STEPS):
        distance, place = tree.query(sample + motion, distance_upper_bound=within)
        hit = np.isfinite(distance)
        if not hit.any():
            break
        step = (tree.data[place[hit]] - (sample[hit] + motion)).mean(0)
        motion = motion + step
        if within <= track.tolerance and float(np.linalg.norm(step)) < SETTLED * track.tolerance:
            break
        within = max(within / 2, track.tolerance)
    return motion


def _found(track: Track, motion: np.ndarray, mine: np.ndarray) -> float:
    """The share of the old points that have a new one near them."""
    if len(mine) == 0:
        return 0.0
    distance, _ = tree_of(mine).query(track.points + motion, distance_upper_bound=track.tolerance)
    return float(np.isfinite(distance).mean())
