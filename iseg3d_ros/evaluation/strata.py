"""Kinds of objects that segmentation finds hard, told from points and labels alone.

`small`: fewer than 100 voxels. `wall`: flat, upright, larger than a square metre. `flush`: flat, and most of what
adjoins it lies in the same plane, as with pictures, doors and windows. `crowded`: a third of its voxels or more adjoin
another labelled object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

NAMES = ("small", "wall", "flush", "crowded")
SMALL = 100  # voxels
FLAT = 1.0  # voxel edges: root mean square distance from the object's plane
IN_PLANE = 1.5  # voxel edges
ADJOINING = 2.0  # voxel edges
UPRIGHT = 0.3  # of a wall's normal, the most that points up
WALL_AREA = 1.0  # square metres
COPLANAR, CROWDED = 0.6, 1 / 3  # shares


def strata(
    points: NDArray[np.float32], instance: NDArray[np.int32], object: int, size: float, up: NDArray[np.floating] | None
) -> tuple[str, ...]:
    """The strata of one object of a voxelised cloud: voxels' points (V, 3) and instances (V,), 0 unlabelled.

    `up` is the upright direction, without which nothing is called a wall.
    """
    own, others = points[instance == object], points[(instance != object)]
    if len(own) < 4:
        return ("small",)
    centre = own.mean(0)
    _, spread, axes = np.linalg.svd(own - centre, full_matrices=False)
    normal, flat = axes[2], spread[2] / len(own) ** 0.5 < FLAT * size
    found = ["small"] if len(own) < SMALL else []
    upright = up is not None and abs(float(normal @ np.asarray(up))) < UPRIGHT
    if flat and upright and len(own) * size**2 > WALL_AREA:
        found.append("wall")
    if flat and "wall" not in found and _coplanar(own, others, centre, normal, size) > COPLANAR:
        found.append("flush")
    labelled = points[(instance != object) & (instance > 0)]
    if len(labelled) and np.isfinite(_nearest(own, labelled, size)).mean() > CROWDED:
        found.append("crowded")
    return tuple(found)


def _coplanar(own: np.ndarray, others: np.ndarray, centre: np.ndarray, normal: np.ndarray, size: float) -> float:
    """Of the voxels that adjoin the object, the share that lies in its plane."""
    if len(others) == 0:
        return 0.0
    adjoining = others[np.isfinite(_nearest(others, own, size))]
    return float((np.abs((adjoining - centre) @ normal) < IN_PLANE * size).mean()) if len(adjoining) else 0.0


def _nearest(points: np.ndarray, to: np.ndarray, size: float) -> NDArray[np.float64]:
    """Distances to the nearest of `to`, infinite where none adjoins."""
    distance: NDArray[np.float64] = cKDTree(to).query(points, distance_upper_bound=ADJOINING * size)[0]
    return distance
