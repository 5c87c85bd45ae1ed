"""Segmentation without training: a random walker on the graph of the voxels (after Grady 2006).

A walker starts at a voxel and steps to near neighbours, seldom over a concave edge or a change of colour. The
probability that it meets an object's click first, before background clicks or the surface that everything stands on, is
the voxel's probability of that object. Here the walker also dies: slowly everywhere, quickly on the supporting surface.
That is what keeps one click from flooding the cloud, and it makes the matrix A = Laplacian + diag(death) independent of
the clicks: it is factorised once a cloud, and a click costs one back-substitution (a column of A⁻¹) and a small dense
system over the clicks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from torch import Tensor

from iseg3d_ros.clicks import VoxelClicks
from iseg3d_ros.models.affinity import Judge
from iseg3d_ros.models.base import Prediction, VoxelCloud
from iseg3d_ros.shell import shell, usual_colours, walled
from iseg3d_ros.up import dominant_plane

Floats = NDArray[np.float64]
EYES = 1.8  # metres over the floor, of who walks through a room with a camera
Column = tuple[NDArray[np.int64], NDArray[np.float32]]  # the voxels of a patch, and A⁻¹ of a unit source spread over it


@dataclass(frozen=True)
class RandomWalkerSettings:
    """How the walker walks; tuned on table tops of one RGB-D view and on made rooms, checked on LiDAR sweeps."""

    network: str = "random_walker"
    preset: str = "none"
    features: tuple[str, ...] = ("rgb", "has_colour", "offset", "normal")
    max_voxels: int = 60_000  # the factors of more take seconds and gigabytes
    neighbours: int = 10
    distance: float = 0.25  # per squared voxel edge
    colour: float = 8.0  # per unit of summed colour difference (channels 0..1)
    bend: float = 10.0  # per 1 − cos of the angle between normals
    convex: float = 0.15  # share of the bend that counts where the surface is convex: objects are convex inside
    floor: float = 1e-3  # what remains of an edge across anything: parts hidden from each other stay connected
    contact: float = 0.03  # factor on edges between the supporting surface and what stands on it
    death: float = 1e-5
    death_indoors: float = 1e-4  # … between walls, where a judge keeps objects whole
    death_on_support: float = 1.0
    ground: float = 0.018  # voxel edge in metres from which the support may be an object itself: a floor, not a table
    patch: float = 4.0  # voxel edges: a first click holds the smooth patch around it, as a finger does, not one voxel
    least_patch: int = 5  # … or, around a stray point without a smooth patch, what is nearest
    correction: float = 0.5  # … a later click on the same object a smaller one: it is there for a detail
    # Where a trained judge says whether two voxels are of one object:
    learned: float = 4.0  # per nat of its doubt
    sure: float = 2.0  # logit above which there is none
    judged_reach: float = 3.0  # voxel edges: it learned from near pairs, and knows nothing of a LiDAR's far rings
    judged_floor: float = 1e-4  # instead of `floor`
    # In a room, a hub ties each wall, the floor and the ceiling together, wherever something stands before them:
    outdoors: float = 0.09  # voxel edge in metres from which a cloud is a street's or a yard's
    hold: float = 0.1  # weight of a voxel's edge to its hub
    hold_colour: float = 32.0  # … less, per unit of colour that the voxel differs from the surface: a door, a picture
    least_hold: float = 1.0  # square metres of such a surface
    rest: float = 0.4  # how much a dead walker counts as background off the supporting surface


@dataclass(frozen=True)
class Walks:
    """One encoded cloud: geometry, the supporting surface, and the solver of A x = b."""

    means: Floats
    normals: Floats
    colours: Floats
    support: NDArray[np.bool_]
    size: float
    tree: cKDTree
    solver: Callable[[bool], Callable[[Floats], Floats]]  # True: the support kills no walker, for it is an object
    columns: dict[tuple[int, float, bool], Column] = field(default_factory=dict)  # a memo
    patches: dict[tuple[int, float], NDArray[np.int64]] = field(default_factory=dict)  # another


class RandomWalker:
    """The verbs of a network (`models.base.Network`), but with nothing learned."""

    COLUMNS_KEPT = 256

    def __init__(self, settings: RandomWalkerSettings | None = None) -> None:
        self.settings = settings or RandomWalkerSettings()
        self.card: dict[str, object] = {}

    def encode(self, clouds: Sequence[VoxelCloud], judges: Sequence[Judge | None] | None = None) -> list[Walks]:
        """Build and factorise each cloud's graph; a judge of its edges makes those that it doubts harder to cross."""
        return [self._encode(cloud, judge) for cloud, judge in zip(clouds, judges or [None] * len(clouds), strict=True)]

    def decode(
        self, encoded: Sequence[Walks], clicks: Sequence[VoxelClicks], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Log-probabilities of background and objects, from all clicks of each cloud."""
        return [self._decode(walks, given) for walks, given in zip(encoded, clicks, strict=True)]

    def _encode(self, cloud: VoxelCloud, judge: Judge | None) -> Walks:
        settings, size = self.settings, cloud.size
        channels = cloud.features.cpu().double().numpy()
        colours, offset, normals = channels[:, :3], channels[:, 4:7], channels[:, 7:10]
        means = (cloud.coords.cpu().numpy() + offset + 0.5) * size
        points = cloud.points.cpu().double().numpy()
        seen = one_view(points)
        if seen:
            normals = normals * np.where((normals * points).sum(axis=1) > 0, -1, 1)[:, None]  # towards the sensor
        support = supporting_surface(points, normals, size)
        tree = cKDTree(means)
        first, second, distance = nearest_pairs(tree, settings.neighbours)
        exponent = self._exponent(first, second, distance / size, means, normals, colours, seen)
        if judge is not None:
            known = distance < settings.judged_reach * size
            exponent += settings.learned * known * np.logaddexp(0, settings.sure - judge(first, second))
        floor = settings.floor if judge is None else settings.judged_floor
        weights = np.exp(-exponent) + floor * np.exp(-distance / size)
        weights = weights * np.where(support[first] != support[second], settings.contact, 1.0)
        surface = self._shell(means, normals, size)
        inside = np.flatnonzero(surface >= 0)
        hold = settings.hold * np.exp(-settings.hold_colour * usual_colours(surface, colours)[inside])
        first, second = np.r_[first, inside], np.r_[second, len(means) + surface[inside]]
        weights = np.r_[weights, hold]
        death = settings.death_indoors if judge is not None and len(inside) else settings.death
        rates = np.full(len(means) + surface.max(initial=-1) + 1, death)
        rates[: len(means)] += settings.death_on_support * support

        @lru_cache(maxsize=2)
        def solver(ground: bool) -> Callable[[Floats], Floats]:
            return factorised(first, second, weights, np.full_like(rates, death) if ground else rates)

        solver(False)
        return Walks(means, normals, colours, support, size, tree, solver)

    def _shell(self, means: Floats, normals: Floats, size: float) -> NDArray[np.int64]:
        """The surface of a room's shell that each voxel lies in: its hub; -1 in none, as on all of a table top."""
        none = np.full(len(means), -1, np.int64)
        if self.settings.hold <= 0 or not self.settings.ground <= size < self.settings.outdoors:
            return none
        surface = shell(means, normals, size, self.settings.least_hold)
        return surface if walled(surface, normals) else none

    def _exponent(
        self,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        distance: Floats,
        means: Floats,
        normals: Floats,
        colours: Floats,
        seen: bool,
    ) -> Floats:
        """What makes each edge hard to cross, in nats; `distance` in voxel edges."""
        settings = self.settings
        bends = bends_seen if seen else bends_of_unknown_side
        bend = bends(first, second, means, normals, settings.convex)
        change = np.abs(colours[first] - colours[second]).sum(axis=1)
        exponent: Floats = settings.distance * distance**2 + settings.colour * change + settings.bend * bend
        return exponent

    def _decode(self, walks: Walks, clicks: VoxelClicks) -> Prediction:
        """Choose sources at the clicks so that each patch has its own label's probability 1 on average."""
        latest = dict(zip(clicks.voxel.tolist(), clicks.label.tolist(), strict=True))
        label = np.array(list(latest.values()), np.int64)
        reaches = self._reaches(label)
        ground = self._ground(walks, list(latest), label, reaches)
        columns = [self._column(walks, voxel, reach, ground) for voxel, reach in zip(latest, reaches, strict=True)]
        response = np.stack([column for _, column in columns], axis=1)
        meeting = np.stack([response[patch].mean(axis=0, dtype=np.float64) for patch, _ in columns])
        wanted = (label[:, None] == np.arange(clicks.objects + 1)).astype(np.float64)
        sources = np.linalg.solve(meeting + 1e-9 * np.eye(len(label)) * np.trace(meeting), wanted)
        chance = np.clip(response @ sources.astype(np.float32), 0, 1)
        dead = np.clip(1 - chance.sum(axis=1), 0, 1)
        chance[:, 0] += dead * np.where(walks.support & (not ground), 1.0, self.settings.rest)
        return Prediction(torch.from_numpy(np.log(chance + 1e-6).astype(np.float32)).to(clicks.voxel.device))

    def _reaches(self, label: NDArray[np.int64]) -> list[float]:
        """How far each click's patch reaches: an object's first click far, the later ones not."""
        first = set(np.unique(label, return_index=True)[1].tolist())
        return [self.settings.patch if index in first else self.settings.correction for index in range(len(label))]

    def _ground(self, walks: Walks, voxels: list[int], label: NDArray[np.int64], reaches: list[float]) -> bool:
        """Whether an object's first click lies on the support of a cloud so large that this may be meant."""
        if walks.size < self.settings.ground:
            return False
        wide = self.settings.patch
        first = [v for v, k, reach in zip(voxels, label, reaches, strict=True) if k > 0 and reach == wide]
        return any(walks.support[self._patch(walks, voxel, wide)].mean() > 0.5 for voxel in first)

    def _column(self, walks: Walks, voxel: int, reach: float, ground: bool) -> Column:
        known = walks.columns.get((voxel, reach, ground))
        if known is not None:
            return known
        patch = self._patch(walks, voxel, reach)
        source = np.zeros(len(walks.means))
        source[patch] = 1 / len(patch)
        column = patch, walks.solver(ground)(source).astype(np.float32)
        if len(walks.columns) < self.COLUMNS_KEPT:
            walks.columns[voxel, reach, ground] = column
        return column

    def _patch(self, walks: Walks, voxel: int, reach: float) -> NDArray[np.int64]:
        known = walks.patches.get((voxel, reach))
        if known is None:
            known = self._smooth_patch(walks, voxel, reach)
            if len(walks.patches) < self.COLUMNS_KEPT:
                walks.patches[voxel, reach] = known
        return known

    def _smooth_patch(self, walks: Walks, voxel: int, reach: float) -> NDArray[np.int64]:
        near = np.array(walks.tree.query_ball_point(walks.means[voxel], reach * walks.size), np.int64)
        height = np.abs((walks.means[near] - walks.means[voxel]) @ walks.normals[voxel])
        flat = np.abs(walks.normals[near] @ walks.normals[voxel]) > 0.9
        alike = np.abs(walks.colours[near] - walks.colours[voxel]).sum(axis=1) < 0.3
        patch = np.union1d(near[flat & alike & (height < 0.7 * walks.size)], [voxel])
        if len(patch) >= self.settings.least_patch or reach < self.settings.patch:
            return patch
        nearest = walks.tree.query(walks.means[voxel], min(self.settings.least_patch, len(walks.means)))[1]
        return np.union1d(patch, nearest)


def bends_seen(
    first: NDArray[np.int64], second: NDArray[np.int64], means: Floats, normals: Floats, convex: float
) -> Floats:
    """1 − cos between normals that point outwards, times `convex` where the surface is convex."""
    turn, step = normals[second] - normals[first], means[second] - means[first]
    outward = (turn * step).sum(axis=1) > 0
    return (1 - (normals[first] * normals[second]).sum(axis=1)) * np.where(outward, convex, 1.0)


def bends_of_unknown_side(
    first: NDArray[np.int64], second: NDArray[np.int64], means: Floats, normals: Floats, convex: float
) -> Floats:
    """The same for clouds fused from many views, whose normals have no side.

    The more level surface of the two faces up, as nearly all below the eyes of who scans does, and down above them: the
    edge is convex where the other one goes behind it. Between two upright surfaces it stays open, and half of the bend
    counts.
    """
    level = np.abs(normals[first, 2]) >= np.abs(normals[second, 2])
    base, other = np.where(level, first, second), np.where(level, second, first)
    facing = np.where(means[base, 2] - np.percentile(means[:, 2], 5) < EYES, 1.0, -1.0) * np.sign(normals[base, 2])
    rise = ((means[other] - means[base]) * normals[base]).sum(axis=1) * facing
    side = np.where(np.abs(normals[base, 2]) < 0.5, 0.5, np.where(rise < 0, convex, 1.0))
    return (1 - np.abs((normals[first] * normals[second]).sum(axis=1))) * side


def factorised(
    first: NDArray[np.int64], second: NDArray[np.int64], weights: Floats, death: Floats
) -> Callable[[Floats], Floats]:
    """Solver of (Laplacian + diag(death)) x = b for the graph of these edges; b and x are of its first nodes only."""
    count = len(death)
    half = sparse.coo_matrix((weights, (first, second)), shape=(count, count)).tocsr()
    both = half + half.T
    degree = np.asarray(both.sum(axis=1)).ravel()
    matrix = (sparse.diags(degree + death) - both).tocsc()
    symmetric = {"SymmetricMode": True}  # positive definite: pivots stay on the diagonal
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)
    lock = threading.Lock()

    def solve(right: Floats) -> Floats:
        with lock:
            return factors.solve(np.pad(right, (0, count - len(right))))[: len(right)]

    return solve


def nearest_pairs(tree: cKDTree, neighbours: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Pairs (i < j) in which one is among the other's nearest neighbours, each once, and their distances."""
    count = min(neighbours, tree.n - 1)
    if count < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    distance, index = tree.query(tree.data, np.arange(2, count + 2))
    mine = np.repeat(np.arange(tree.n), count)
    low, high = np.minimum(mine, index.ravel()), np.maximum(mine, index.ravel())
    _, once = np.unique(low * tree.n + high, return_index=True)
    return low[once], high[once], distance.ravel()[once]


def supporting_surface(points: Floats, normals: Floats, size: float) -> NDArray[np.bool_]:
    """The voxels of the dominant level plane with more above it than below, on which things stand; or none."""
    below = np.ones(len(points), bool)
    while below.sum() >= 50:
        upright = np.array([0.0, 0.0, 1.0])
        plane = dominant_plane(points[below], normals[below], upright, np.cos(np.radians(20)), 1.5 * size)
        if plane is None or plane.share * below.mean() < 0.05:
            break
        height = (points @ plane.normal - plane.offset) * np.sign(plane.normal[2])
        if (height > 2 * size).sum() >= (height < -2 * size).sum():
            return (np.abs(height) < 1.2 * size) & (np.abs(normals @ plane.normal) > 0.85)
        below &= height < -2 * size  # a ceiling, or an object's top: look further down
    return np.zeros(len(points), bool)


def one_view(points: Floats) -> bool:
    """Whether one sensor at the origin saw it all: each direction then has one range."""
    radius = np.linalg.norm(points, axis=1)
    if radius.min() < 1e-6:
        return False
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    elevation = np.arcsin(np.clip(points[:, 2] / radius, -1, 1))
    cells = np.floor(np.stack([azimuth, elevation], axis=1) / np.radians(1.0)).astype(np.int64)
    _, cell = np.unique(cells[:, 0] * 1000 + cells[:, 1], return_inverse=True)
    logarithm = np.log(radius)
    count = np.bincount(cell)
    mean = np.bincount(cell, logarithm) / count
    spread = np.sqrt(np.maximum(np.bincount(cell, logarithm**2) / count - mean**2, 0))
    return bool(count[spread > 0.12].sum() < 0.25 * len(points))
