"""Which point of a cloud a ray from the eye means: the nearest surface within a few pixels of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PIXELS = 0.004  # radians: about four pixels of a page


def pick(
    points: np.ndarray,
    origin: Sequence[float],
    direction: Sequence[float],
    radius: float,
    allowed: np.ndarray | None = None,
) -> int | None:
    """Index of the point that was clicked on, among all (not only those drawn); None where the ray meets none.

    A point is met where the ray passes within `radius` metres, or within a few pixels. Of those met, the ones on the
    nearest surface count, and of these the one nearest to the ray.
    """
    eye = np.asarray(origin, np.float32)
    ahead = np.asarray(direction, np.float32)
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    offset = points - eye
    with np.errstate(invalid="ignore", over="ignore"):
        along = offset @ ahead
        aside = np.einsum("ij,ij->i", offset, offset) - along * along
        reach = radius + PIXELS * along
        met = (along > 0) & (aside < reach * reach)
    if allowed is not None:
        met &= allowed
    hits = np.flatnonzero(met)
    if len(hits) == 0:
        return None
    nearest = float(along[hits].min())
    front = hits[along[hits] <= nearest + 2 * (radius + PIXELS * nearest)]
    return int(front[aside[front].argmin()])
