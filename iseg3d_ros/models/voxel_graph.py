"""The graph on which the random walker walks: voxels, their near neighbours, a hub for each wall of a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.factors import Factors
from iseg3d_ros.models.room_planes import is_room, room_planes_of, usual_colours
from iseg3d_ros.preprocessing.up_direction import dominant_plane

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
EYE_HEIGHT_METRES = 1.8  # metres over the floor, of who walks through a room with a camera


@dataclass(frozen=True)
class RandomWalkerSettings:
    """How the walker walks; tuned on table tops of one RGB-D view and on synthetic rooms, checked on LiDAR sweeps."""

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
    death_on_support: float = 1.0
    rest: float = 0.4  # how much a dead walker counts as background off the supporting surface
    ground: float = 0.018  # voxel edge in metres from which the support may be an object itself: a floor, not a table
    patch: float = 4.0  # voxel edges: a first click holds the smooth patch around it, as a finger does, not one voxel
    least_patch: int = 5  # … or, around a stray point without a smooth patch, what is nearest
    cut_off: float = 3.0  # resistance between a patch and its object, in edges, from which it is not held
    correction: float = 0.5  # … a later click on the same object a smaller one: it is there for a detail
    # In a room, a hub ties each wall, the floor and the ceiling together, wherever something stands before them:
    outdoors: float = 0.09  # voxel edge in metres from which a cloud is a street's or a yard's
    hold: float = 0.1  # weight of a voxel's edge to its hub
    hold_colour: float = 16.0  # … less, per unit of colour that the voxel differs from the surface: a door, a picture
    least_hold: float = 1.0  # square metres of such a surface


@dataclass(frozen=True)
class VoxelGeometry:
    """What is known of a cloud's voxels; normals point to the sensor where one saw it all."""

    means: Floats
    points: Floats
    normals: Floats
    colours: Floats
    size: float
    single_view: bool  # one sensor at the origin saw it all

    @classmethod
    def of(cls, cloud: VoxelCloud) -> VoxelGeometry:
        """From the features of `RandomWalkerSettings`."""
        channels, points = cloud.features.cpu().double().numpy(), cloud.points.cpu().double().numpy()
        means = (cloud.coords.cpu().numpy() + channels[:, 4:7] + 0.5) * cloud.size
        normals, single_view = channels[:, 7:10], is_single_view(points)
        if single_view:
            normals = normals * np.where((normals * points).sum(axis=1) > 0, -1, 1)[:, None]
        return cls(means, points, normals, channels[:, :3], cloud.size, single_view)


@dataclass(frozen=True)
class Edges:
    """Pairs of nodes, each once, and how easily a walker goes from one to the other."""

    first: Rows
    second: Rows
    weight: Floats

    def __add__(self, other: Edges) -> Edges:
        return Edges(np.r_[self.first, other.first], np.r_[self.second, other.second], np.r_[self.weight, other.weight])


def neighbour_edges(
    geometry: VoxelGeometry, tree: cKDTree, support: NDArray[np.bool_], settings: RandomWalkerSettings
) -> Edges:
    """Edges between near voxels, hard to cross over a concave bend or a change of colour."""
    first, second, distance = nearest_pairs(tree, settings.neighbours)
    exponent = resistance(geometry, first, second, distance / geometry.size, settings)
    weight = np.exp(-exponent) + settings.floor * np.exp(-distance / geometry.size)
    return Edges(first, second, weight * np.where(support[first] != support[second], settings.contact, 1.0))


def resistance(
    geometry: VoxelGeometry, first: Rows, second: Rows, distance: Floats, settings: RandomWalkerSettings
) -> Floats:
    """What makes each edge hard to cross, in nats; `distance` in voxel edges."""
    bends = bends_seen if geometry.single_view else bends_of_unknown_side
    bend = bends(first, second, geometry.means, geometry.normals, settings.convex)
    change = np.abs(geometry.colours[first] - geometry.colours[second]).sum(axis=1)
    nats: Floats = settings.distance * distance**2 + settings.colour * change + settings.bend * bend
    return nats


def hub_edges(geometry: VoxelGeometry, settings: RandomWalkerSettings) -> Edges:
    """Edges from the voxels of a room's shell to a hub for each of its surfaces, numbered after the voxels."""
    surface = np.full(len(geometry.means), -1, np.int64)
    if settings.hold > 0 and settings.ground <= geometry.size < settings.outdoors:
        found = room_planes_of(geometry.means, geometry.normals, geometry.size, settings.least_hold)
        surface = found if is_room(found, geometry.normals) else surface
    inside = np.flatnonzero(surface >= 0)
    hold = settings.hold * np.exp(-settings.hold_colour * usual_colours(surface, geometry.colours)[inside])
    return Edges(inside, len(surface) + surface[inside], hold)


def factorised(edges: Edges, death: Floats) -> Callable[[Floats], Floats]:
    """Solver of (Laplacian + diag(death)) x = b for the graph of these edges; b and x are of its first nodes only."""
    count = len(death)
    half = sparse.coo_matrix((edges.weight, (edges.first, edges.second)), shape=(count, count)).tocsr()
    both = half + half.T
    degree = np.asarray(both.sum(axis=1)).ravel()
    matrix = (sparse.diags(degree + death) - both).tocsc()
    factors = Factors(matrix)

    def solve(right: Floats) -> Floats:
        return factors.solve(np.pad(right, (0, count - len(right))))[: len(right)]

    return solve


def bends_seen(first: Rows, second: Rows, means: Floats, normals: Floats, convex: float) -> Floats:
    """1 − cos between normals that point outwards, times `convex` where the surface is convex."""
    turn, step = normals[second] - normals[first], means[second] - means[first]
    outward = (turn * step).sum(axis=1) > 0
    return (1 - (normals[first] * normals[second]).sum(axis=1)) * np.where(outward, convex, 1.0)


def bends_of_unknown_side(first: Rows, second: Rows, means: Floats, normals: Floats, convex: float) -> Floats:
    """The same for clouds fused from many views, whose normals have no side.

    The more level surface of the two faces up, as nearly all below the eyes of who scans does, and down above them: the
    edge is convex where the other one goes behind it. Between two upright surfaces it stays open, and half of the bend
    counts.
    """
    level = np.abs(normals[first, 2]) >= np.abs(normals[second, 2])
    base, other = np.where(level, first, second), np.where(level, second, first)
    below_eyes = means[base, 2] - np.percentile(means[:, 2], 5) < EYE_HEIGHT_METRES
    facing = np.where(below_eyes, 1.0, -1.0) * np.sign(normals[base, 2])
    rise = ((means[other] - means[base]) * normals[base]).sum(axis=1) * facing
    side = np.where(np.abs(normals[base, 2]) < 0.5, 0.5, np.where(rise < 0, convex, 1.0))
    return (1 - np.abs((normals[first] * normals[second]).sum(axis=1))) * side


def nearest_pairs(tree: cKDTree, neighbours: int) -> tuple[Rows, Rows, Floats]:
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


def is_single_view(points: Floats) -> bool:
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
