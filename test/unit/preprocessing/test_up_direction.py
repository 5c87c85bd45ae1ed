from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.preprocessing.up_direction import dominant_plane, find_up, is_optical, rotation_to_z


def desk(seed: int = 0) -> np.ndarray:
    """A plane with a box on it, z up."""
    rng = np.random.default_rng(seed)
    plane = np.c_[rng.uniform(-0.5, 0.5, (8000, 2)), np.zeros(8000)]
    box = np.c_[rng.uniform(-0.1, 0.1, (3000, 2)), rng.uniform(0, 0.15, 3000)]
    return np.concatenate([plane, box]) + rng.normal(0, 0.001, (11000, 3))


def optical(tilt: float) -> np.ndarray:
    """Rotation from z up to a camera's optical frame that looks down by `tilt` radians."""
    c, s = np.cos(tilt), np.sin(tilt)
    return np.array([[1, 0, 0], [0, -s, -c], [0, c, -s]])


@pytest.mark.parametrize("up", [(0, 0, 1), (0, -1, 0), (1, 2, 3), (0, 0, -1), (0.1, 0, -5)])
def test_rotation_takes_up_to_z(up: tuple[float, float, float]) -> None:
    rotation = rotation_to_z(np.array(up))
    assert rotation @ up == pytest.approx([0, 0, np.linalg.norm(up)], abs=1e-9)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("tilt", [0.3, 0.6, 1.0])
def test_a_camera_frame_with_y_down(tilt: float) -> None:
    seen = desk() @ optical(tilt).T + [0, 0, 1.5]
    assert is_optical(seen)
    assert find_up(seen) == pytest.approx(optical(tilt)[:, 2], abs=0.03)


def test_a_camera_that_hangs_upside_down_over_a_table() -> None:
    flipped = np.diag([-1.0, -1.0, 1.0]) @ optical(0.6)
    assert find_up(desk() @ flipped.T + [0, 0, 0.8]) == pytest.approx(flipped[:, 2], abs=0.03)


def test_a_ceiling_that_a_camera_looks_up_at_stays_above() -> None:
    lying = np.diag([1.0, 1.0, -1.0]) @ desk().T  # what stands on the desk hangs from the ceiling
    seen = optical(-0.6) @ lying + np.array([[0], [0], [2.5]])
    assert find_up(seen.T) == pytest.approx(optical(-0.6)[:, 2], abs=0.03)


def test_z_up_and_slightly_tilted() -> None:
    assert not is_optical(desk())
    assert find_up(desk()) == pytest.approx([0, 0, 1], abs=0.02)
    lean = rotation_to_z(np.array([0.2, 0.1, 1.0]))
    assert find_up(desk() @ lean) == pytest.approx(lean[2], abs=0.02)


def test_lying_on_its_side_things_stand_on_the_plane() -> None:
    side = desk() @ np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) - [0.3, 0, 0]  # up is +x … or −x
    up = find_up(side)
    height = (side - side[:8000].mean(axis=0)) @ up
    assert height[8000:].mean() > 0.05


def test_a_wall_does_not_pass_for_the_floor() -> None:
    rng = np.random.default_rng(2)
    wall = np.c_[rng.uniform(-3, 3, 20000), np.full(20000, 3.0), rng.uniform(0, 3, 20000)]
    floor = np.c_[rng.uniform(-3, 3, (9000, 2)), np.zeros(9000)]
    assert find_up(np.concatenate([wall, floor])) == pytest.approx([0, 0, 1], abs=0.02)


def test_what_is_very_far_is_no_plane() -> None:
    rng = np.random.default_rng(3)
    floor = np.c_[rng.uniform(-1, 1, (200, 2)), np.zeros(200)]
    far = rng.uniform(-9e5, 9e5, (300, 3)) + [0, 0, 1e6]
    normals = np.tile([0.0, 0.0, 1.0], (500, 1))
    plane = dominant_plane(np.concatenate([floor, far]), normals, np.array([0.0, 0.0, 1.0]), 0.0, 0.01)
    assert plane is not None and plane.offset == pytest.approx(0, abs=1e-6) and plane.share == 0.4


@pytest.mark.parametrize("count", [1, 3, 40])
def test_few_points_keep_the_axis(count: int) -> None:
    assert find_up(np.random.default_rng(0).normal(size=(count, 3))).tolist() in ([0, 0, 1], [0, -1, 0])


def test_bad_directions_are_a_sentence() -> None:
    for bad in ([0, 0, 0], [np.nan, 0, 1], [1, 0]):
        with pytest.raises(ValueError, match="up direction"):
            rotation_to_z(np.array(bad))
