"""Whether a sensor could have seen what is not in its cloud: hidden, out of view, or looked through."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

SAMPLE = 300  # points that are asked for at most
AROUND = 1.3  # times the angle of the points within which the cloud is looked at, and a little more
GAPS = 3.0  # gaps between returns within which a direction was looked into
RETURNS = 4  # returns that tell how far a direction is seen


def seen_through(xyz: np.ndarray, origin: np.ndarray, points: np.ndarray, tolerance: float) -> float:
    """The share of `points` whose place a sensor at `origin` has looked through: returns there come from behind.

    The others are hidden by something nearer, out of view, or in directions that give no return.
    """
    wanted, far = _directions(points[:: max(1, len(points) // SAMPLE)] - origin)
    middle = wanted.mean(0)
    middle /= np.linalg.norm(middle) + 1e-12
    angle = np.arccos(np.clip(wanted @ middle, -1, 1)).max()
    rays, ranges = _directions(xyz - origin)
    near = rays @ middle >= np.cos(min(AROUND * angle + 0.03, np.pi))
    rays, ranges = rays[near], ranges[near]
    if len(rays) <= RETURNS:
        return 0.0
    tree = cKDTree(rays)
    gap = np.median(tree.query(rays[:: max(1, len(rays) // SAMPLE)], k=2)[0][:, 1])
    distance, row = tree.query(wanted, k=RETURNS)
    nearest = np.where(distance <= GAPS * gap + 1e-9, ranges[row], np.inf).min(1)
    return float((np.isfinite(nearest) & (nearest > far + tolerance)).mean())


def _directions(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors and lengths."""
    offset = offset.astype(np.float64)
    length = np.linalg.norm(offset, axis=1)
    return offset / np.maximum(length, 1e-9)[:, None], length
