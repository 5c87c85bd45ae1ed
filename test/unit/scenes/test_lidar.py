"""The LiDAR: what a beam pattern sees of a plain world, what it loses, and what moves."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("open3d", reason="needs Open3D (pip install open3d-cpu) to cast rays")

from iseg3d_ros.scenes.lidar import VLP32C, Lidar, Mount, Mover, World, accumulate, sweep
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.shapes import Shape

LEVEL, HERE = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
CLEAN = Lidar(tuple(np.linspace(-20, 5, 16)), 400, noise=0.0, reach=1000.0, mixed=0.0)


def _world(colour: float = 0.6) -> World:
    still = Composition()
    still.add(Shape().box((-50, -50, -1), (50, 50, 0), (colour,) * 3).mesh(), label=0)
    still.add(Shape().box((9, -3, 0), (10, 3, 4), (colour,) * 3).mesh(), class_name="wall")
    return World(still.build())


def test_returns_lie_on_the_surfaces_and_carry_their_labels() -> None:
    seen = sweep(_world(), CLEAN, LEVEL, HERE, 0.0, np.random.default_rng(0))
    wall = seen.xyz[seen.label == 1]
    assert len(wall) > 100
    assert np.abs(wall[:, 0] - 9).max() < 0.01
    assert np.abs(seen.xyz[seen.label == 0, 2]).max() < 0.01
    assert np.linalg.norm(seen.xyz[:, :2], axis=1).min() > 3  # the vehicle hides what is below it


def test_dark_surfaces_return_less() -> None:
    weak = Lidar(CLEAN.elevations, CLEAN.steps, reach=30.0)
    bright = sweep(_world(0.6), weak, LEVEL, HERE, 0.0, np.random.default_rng(0))
    dark = sweep(_world(0.05), weak, LEVEL, HERE, 0.0, np.random.default_rng(0))
    assert len(dark.xyz) < 0.6 * len(bright.xyz)
    assert dark.intensity.mean() < bright.intensity.mean()


def test_a_flipped_scanner_sees_the_pattern_mirrored() -> None:
    lidar = Lidar(VLP32C, 8)
    up, down = (lidar.directions(Mount(flipped=flip), np.random.default_rng(0)) for flip in (False, True))
    np.testing.assert_allclose(up[..., 2], -down[..., 2], atol=2e-3)


def test_compensated_movers_stay_together_and_others_smear() -> None:
    label = 7
    body = Composition()
    body.add(Shape().box((5, -1, 0), (9, 1, 1.5), (0.6,) * 3).mesh(), label=label)
    mover = Mover(body.build(), label, np.array([10, 0], np.float32), np.array([7, 0, 0.75], np.float32), 3.0)
    world = World(_world().still, (mover,))
    # the nearest sweep sees the tail at 5 m, the earliest saw it at 3 m
    times = (-0.2, -0.1, 0.0)

    def tail(compensated: bool) -> float:
        seen = accumulate(world, CLEAN, lambda time: (LEVEL, HERE), times, np.random.default_rng(0), compensated)
        return float(seen.xyz[seen.label == label, 0].min())

    assert tail(compensated=True) == pytest.approx(5, abs=0.01)
    assert tail(compensated=False) == pytest.approx(3, abs=0.01)
