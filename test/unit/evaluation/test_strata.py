"""Kinds of objects, told from points and labels."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.evaluation.strata import strata

SIZE = 0.05
UP = np.array([0.0, 0.0, 1.0])


def sheet(wide: int, high: int, away: float = 0.0) -> np.ndarray:
    """An upright rectangle of voxels at y = away."""
    x, z = np.meshgrid(np.arange(wide), np.arange(high))
    return np.stack([x.ravel() * SIZE, np.full(x.size, away), z.ravel() * SIZE], 1).astype(np.float32)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A wall (1) with a picture in its plane (2), a cube apart (3) and a speck on its top (4)."""
    wall = sheet(60, 40)
    inside = (np.abs(wall[:, 0] - 1.5) < 0.3) & (np.abs(wall[:, 2] - 1.0) < 0.3)
    cube = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3) * SIZE + [1.0, 2.0, 0.0]
    speck = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3) * SIZE + [1.1, 2.1, 0.3]
    points = np.concatenate([wall, cube, speck]).astype(np.float32)
    instance = np.concatenate([np.where(inside, 2, 1), np.full(len(cube), 3), np.full(len(speck), 4)])
    return points, instance.astype(np.int32)


def test_a_wall_what_is_flush_on_it_and_what_is_small_are_told_apart() -> None:
    points, instance = scene()
    found = {k: set(strata(points, instance, k, SIZE, UP)) for k in (1, 2, 3, 4)}
    assert "wall" in found[1] and "flush" not in found[1]
    assert "flush" in found[2] and "wall" not in found[2]
    assert found[3] == set()
    assert {"small", "crowded"} <= found[4]


def test_without_an_upright_direction_nothing_is_a_wall() -> None:
    points, instance = scene()
    assert "wall" not in strata(points, instance, 1, SIZE, None)


def test_a_few_voxels_are_small_and_nothing_else_is_asked_of_them() -> None:
    points, instance = np.zeros((3, 3), np.float32), np.ones(3, np.int32)
    assert strata(points, instance, 1, SIZE, UP) == ("small",)
