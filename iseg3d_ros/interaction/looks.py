"""What an object looks like: a histogram of its colours, by which objects of one shape are told apart."""

from __future__ import annotations

import numpy as np

LEVELS = 6  # of each colour channel
SAMPLE = 1_000  # points that are counted at most
FEWEST = 30  # points below which colours say nothing
RARE = 0.01  # share of an object below which a colour is not one of its own
OLD = 0.8  # share of what was seen before in what is remembered


def look_of(rgb: np.ndarray | None) -> np.ndarray | None:
    """A unit vector from colours uint8 (N, 3): roots of the shares of LEVELS³ colours, shared by neighbours."""
    if rgb is None or len(rgb) < FEWEST:
        return None
    low, part = _levels(rgb[:: max(1, len(rgb) // SAMPLE)])
    total = np.zeros(LEVELS**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=1)
        red, green, blue = (low + corner).T
        total += np.bincount((red * LEVELS + green) * LEVELS + blue, weight, LEVELS**3)
    return np.sqrt(total / total.sum())


def can_be_of(look: np.ndarray | None, rgb: np.ndarray | None) -> np.ndarray | slice:
    """Which points have colours that an object has; all of them where nothing is known."""
    if look is None or rgb is None:
        return slice(None)
    low, part = _levels(rgb)
    red, green, blue = (low + (part > 0.5)).T
    has: np.ndarray = look[(red * LEVELS + green) * LEVELS + blue] ** 2 >= RARE
    return has


def _levels(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level at or below every colour, and how far it is to the next."""
    place = rgb.astype(np.float64) * ((LEVELS - 1) / 255)
    low = np.minimum(place.astype(np.int64), LEVELS - 2)
    return low, place - low


def blended(before: np.ndarray | None, now: np.ndarray | None) -> np.ndarray | None:
    """What is remembered once an object was seen again: it turns, and shadows pass over it."""
    if before is None or now is None:
        return before if now is None else now
    mixed = OLD * before**2 + (1 - OLD) * now**2
    return np.sqrt(mixed / mixed.sum())


def likeness(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Bhattacharyya's coefficient, from 0 to 1; 1 where nothing is known of one of them."""
    return 1.0 if a is None or b is None else float(a @ b)
