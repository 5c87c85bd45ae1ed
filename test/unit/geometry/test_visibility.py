"""What a sensor could have seen: taken away, hidden, out of view."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.geometry.visibility import seen_through

BOX = np.random.default_rng(0).uniform((-0.1, -0.1, 0.95), (0.1, 0.1, 1.0), (2000, 3))  # where it was, before the wall


def seen(low: float, high: float, depth: float, step: float = 0.004) -> np.ndarray:
    """What a camera at the origin gets of a wall: directions from `low` to `high` in x, all in y."""
    u, v = np.meshgrid(np.arange(low, high, step), np.arange(-0.4, 0.4, step))
    return np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1) * depth


@pytest.mark.parametrize(
    "cloud, low, high",
    [
        (seen(-0.4, 0.4, 2.0), 0.95, 1.0),  # it was taken away: the wall behind is seen
        (np.concatenate([seen(-0.4, 0.4, 2.0)[::3], seen(-0.2, 0.2, 0.5)]), 0.0, 0.05),  # something is before it
        (seen(0.2, 0.6, 2.0), 0.0, 0.05),  # the camera looks elsewhere
        (np.concatenate([seen(-0.4, 0.0, 0.5), seen(0.0, 0.4, 2.0)]), 0.3, 0.7),  # half of it is hidden
        (BOX, 0.0, 0.15),  # it is there
    ],
    ids=["gone", "hidden", "out of view", "half", "there"],
)
def test_the_share_that_was_looked_through(cloud: np.ndarray, low: float, high: float) -> None:
    assert low <= seen_through(cloud, np.zeros(3), BOX, 0.02) <= high
    moved = np.array([3.0, -2.0, 1.0])
    assert low <= seen_through((cloud + moved).astype(np.float32), moved, BOX + moved, 0.02) <= high


def test_of_no_returns_nothing_is_said() -> None:
    assert seen_through(np.zeros((0, 3)), np.zeros(3), BOX, 0.02) == 0.0
