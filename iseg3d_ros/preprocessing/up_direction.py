"""Which way is up: from the dominant plane of a cloud whose frame nobody told us.

Three kinds of frames come in. Maps and LiDARs have z up. A camera's optical frame has z forward and y down: all points
then lie in a pyramid in front of the origin. Anything may be tilted; a camera on an arm may hang upside down. In each,
people and tables stand on a plane, and its normal is better than the axis; where there is no such plane the axis stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.preprocessing.features import Cells
from iseg3d_ros.preprocessing.voxels import lowest, voxelise

CELLS = 96  # of the coarse grid's longest side: thousands of voxels, whatever the cloud
CANDIDATES = 96  # normals tried as the plane's
PARALLEL = np.cos(np.radians(10))
MIN_COSINE_TO_AXIS = {"z": np.cos(np.radians(35)), "optical": np.cos(np.radians(75))}  # of the plane's normal
SHARE = {"axis": 0.08, "free": 0.3}  # of the voxels that must lie in a plane for it to count
TABLE = 1.0  # metres: so near to a camera a large plane is a table, seen from above; a ceiling is farther away
LAYERS = 10_000  # slices from the lowest point on in which a plane is looked for
PYRAMID = 1.5  # |x|/z and |y|/z of a camera's points: 112 degrees


@dataclass(frozen=True)
class Plane:
    """Points p with normal·p = offset; `share` of the voxels lie in it."""

    normal: NDArray[np.float64]
    offset: float
    share: float

    def turned(self) -> Plane:
        """The same plane seen from its other side."""
        return Plane(-self.normal, -self.offset, self.share)


def find_up(xyz: np.ndarray) -> NDArray[np.float64]:
    """Unit vector that points up in the cloud's frame, for finite points (N, 3)."""
    optical = is_optical(xyz)
    axis = np.array([0.0, -1.0, 0.0]) if optical else np.array([0.0, 0.0, 1.0])
    points, directions = _surface(xyz)
    if len(points) < 50:
        return axis
    plane = dominant_plane(points, directions, axis, MIN_COSINE_TO_AXIS["optical" if optical else "z"])
    if plane is not None and plane.share >= SHARE["axis"]:
        upright = plane if plane.normal @ axis > 0 else plane.turned()
        return -upright.normal if optical and _seen_from_below(upright) else upright.normal
    plane = dominant_plane(points, directions, axis, 0.0)
    if plane is None or plane.share < SHARE["free"]:
        return axis
    return plane.normal if np.mean(points @ plane.normal - plane.offset) >= 0 else -plane.normal  # things stand on it


def is_optical(xyz: np.ndarray) -> bool:
    """Whether the points look like one camera's: nearly all in a pyramid in front of the origin."""
    sample = xyz[:: max(1, len(xyz) // 20000)]
    inside = (sample[:, 2] > 0) & (np.abs(sample[:, :2]).max(axis=1) < PYRAMID * sample[:, 2])
    return bool(inside.mean() > 0.99)


def _seen_from_below(plane: Plane) -> bool:
    """Whether a camera in the origin would look at a table from underneath: then it hangs upside down."""
    return plane.share >= SHARE["free"] and 0 < plane.offset < TABLE


def rotation_to_z(up: np.ndarray) -> NDArray[np.float64]:
    """The smallest rotation that takes `up` to (0, 0, 1)."""
    up = np.asarray(up, np.float64)
    if up.shape != (3,) or not np.isfinite(up).all() or np.linalg.norm(up) < 1e-9:
        raise ValueError(f"The up direction must be three finite numbers that are not all zero, not {up.tolist()}.")
    x, y, z = up / np.linalg.norm(up)
    if z < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])  # of up × z, Rodrigues' formula
    return np.eye(3) + cross + cross @ cross / (1 + z)


def _surface(xyz: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Mean points and normals of a coarse grid over the bulk of the cloud."""
    sample = xyz[:: max(1, len(xyz) // 400000)]
    low, high = np.percentile(sample, [1, 99], axis=0)
    columns = zip(sample.T, low, high)  # column by column: many times faster than reducing three numbers at a time
    sample = sample[np.logical_and.reduce([(column >= first) & (column <= last) for column, first, last in columns])]
    size = float((high - low).max()) / CELLS
    if len(sample) == 0 or size <= 0:
        return np.zeros((0, 3)), np.zeros((0, 3), np.float32)
    sample = sample - lowest(sample)
    cells = Cells(sample, None, voxelise(sample, size))
    return cells.means * size + low.astype(np.float64), cells.normals


def dominant_plane(
    points: np.ndarray, directions: np.ndarray, axis: np.ndarray, lean: float, thick: float | None = None
) -> Plane | None:
    """The plane with most points whose normal n has |n·axis| ≥ `lean`; None where no normal does.

    Points count as in it up to `thick` metres away, by default 1.5 cells of the coarse grid.
    """
    allowed = np.flatnonzero(np.abs(directions @ axis) >= lean)
    if len(allowed) == 0:
        return None
    chosen = np.random.default_rng(0).permutation(allowed)[:CANDIDATES]
    thick = thick or float(np.ptp(points, axis=0).max()) / CELLS * 1.5
    trials = directions[chosen].astype(np.float64)
    best, offset = _fullest(points, directions, trials, thick)
    normal = trials[best]
    for _ in range(3):
        near = (np.abs(points @ normal - offset) < thick) & (np.abs(directions @ normal) > PARALLEL)
        if near.sum() < 3:
            break
        centre = points[near].mean(axis=0)
        normal = np.linalg.svd(points[near] - centre, full_matrices=False)[2][2]
        offset = float(normal @ centre)
    return Plane(normal, offset, float(near.mean()))


def _fullest(points: np.ndarray, directions: np.ndarray, trials: np.ndarray, thick: float) -> tuple[int, float]:
    """The trial normal with the fullest slice of thickness 2·thick across it, and that slice's mean height."""
    near = np.abs(trials @ directions.T) > PARALLEL  # each has its own direction, and so none is empty
    heights = (trials @ points.T)[near]
    counts = near.sum(axis=1)
    bottom = np.minimum.reduceat(heights, np.cumsum(counts) - counts)
    trial = np.repeat(np.arange(len(trials)), counts)
    layer = ((heights - bottom[trial]) / thick).clip(max=LAYERS).astype(np.int64)
    shape = (len(trials), int(layer.max(initial=0)) + 2)
    cell = trial * shape[1] + layer
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell, heights, shape[0] * shape[1]).reshape(shape)
    fullness = (count[:, :-1] + count[:, 1:])[:, : LAYERS - 1]  # without the layer of all that is farther
    best, at = np.unravel_index(fullness.argmax(), fullness.shape)
    return int(best), float(total[best, at : at + 2].sum() / max(fullness[best, at], 1))
