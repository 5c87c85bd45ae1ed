"""Boxes around an object's points, as planners want them: along the ground where up is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

ENOUGH = 20_000  # points that a box is taken of at most
HULL = 1_500  # points that its direction is taken of at most


@dataclass(frozen=True)
class Box:
    """Centre, rotation matrix (columns are the box's axes), edge lengths along those axes."""

    centre: np.ndarray
    rotation: np.ndarray
    size: np.ndarray


    def numbers(self) -> tuple[float, ...]:
        """Centre, edge lengths, and the rotation row by row: what `box_of` takes."""
        return tuple(float(value) for part in (self.centre, self.size, self.rotation) for value in np.ravel(part))


def box_of(numbers: Sequence[float]) -> Box:
    """A box of fifteen numbers; ValueError where they are none."""
    values = np.asarray(numbers, np.float64)
    if values.shape != (15,) or not np.isfinite(values).all() or not (values[3:6] > 0).all():
        raise ValueError("A box has a centre, three edges longer than 0 and a rotation: fifteen finite numbers.")
    rotation = values[6:].reshape(3, 3)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise ValueError("A box's axes are at right angles, of length 1 and right-handed.")
    return Box(values[:3], rotation, values[3:6])


def aligned_box(points: np.ndarray) -> Box:
    """The smallest box along the axes of the points' own frame."""
    low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
    return Box((low + high) / 2, np.eye(3), np.maximum(high - low, 1e-6))


def oriented_box(points: np.ndarray, up: np.ndarray | None) -> Box:
    """The box with the smallest footprint that stands along `up`; along the principal axes where up is unknown."""
    points = points[:: max(1, len(points) // ENOUGH)].astype(np.float64)
    axes = _upright(points, np.asarray(up, np.float64)) if up is not None else _principal(points)
    along = points @ axes
    low, high = along.min(0), along.max(0)
    return Box(axes @ ((low + high) / 2), axes, high - low)


def _upright(points: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Axes with z up and x along the side of the smallest rectangle around the points' footprint."""
    z = up / np.linalg.norm(up)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    turn = _smallest_rectangle(points[:: max(1, len(points) // HULL)] @ np.stack([x, y], 1))
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    return np.stack([x, y, z], 1)


def _smallest_rectangle(flat: np.ndarray) -> float:
    """The angle of the rectangle of least area around 2D points: one of its sides lies on the hull's edge."""
    try:
        hull = flat[ConvexHull(flat).vertices]
    except (QhullError, ValueError):  # fewer than three points, or all on a line
        spread = flat - flat.mean(0)
        x, y = np.linalg.svd(spread.T @ spread)[0][:, 0]
        return float(np.arctan2(y, x))
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2))
    cos, sin = np.cos(angles), np.sin(angles)
    first = np.outer(cos, hull[:, 0]) + np.outer(sin, hull[:, 1])
    second = np.outer(cos, hull[:, 1]) - np.outer(sin, hull[:, 0])
    return float(angles[(np.ptp(first, 1) * np.ptp(second, 1)).argmin()])


def _principal(points: np.ndarray) -> np.ndarray:
    spread = points - points.mean(0)
    axes = np.linalg.svd(spread.T @ spread)[0]
    axes[:, 2] *= np.sign(np.linalg.det(axes))  # a rotation, not a reflection
    return axes


def corners(box: Box) -> np.ndarray:
    """The eight corners, float64 (8, 3)."""
    signs = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5], indexing="ij"), -1).reshape(8, 3)
    return box.centre + (signs * box.size) @ box.rotation.T
