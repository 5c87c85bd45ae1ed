"""Where a robot stops: on the free side, with room, facing the object; and in words where there is no such place."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.geometry.approach import Approach, Robot, approach
from iseg3d_ros.geometry.transforms import apply, matrix

UP = np.array([0.0, 0.0, 1.0])
ROBOT = Robot(0.3, 1.5)


def plane(low: tuple[float, float], high: tuple[float, float], seed: int = 0, per_metre: int = 400) -> np.ndarray:
    """Points of a floor."""
    rng = np.random.default_rng(seed)
    count = int((high[0] - low[0]) * (high[1] - low[1]) * per_metre)
    return np.c_[rng.uniform(low, high, (count, 2)), rng.normal(0, 0.005, count)]


def block(low: tuple[float, float, float], high: tuple[float, float, float], seed: int = 1) -> np.ndarray:
    """Points in a box."""
    return np.random.default_rng(seed).uniform(low, high, (3000, 3))


def cloud(*parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All points, and the rows of the first part."""
    return np.concatenate(parts).astype(np.float32), np.arange(len(parts[0]))


BOX = block((-0.2, -0.2, 0.0), (0.2, 0.2, 0.4))
AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
FLOOR = plane((-4, -4), (4, 4))


def checked(found: Approach, thing: np.ndarray, distance: float) -> np.ndarray:
    """On the ground, at the distance, x towards the thing, z up; the place."""
    apart = np.linalg.norm(thing[:, :2] - found.place[:2], axis=1).min()
    assert apart == pytest.approx(distance, abs=0.02)
    assert abs(found.place[2]) < 0.05
    ahead = (thing.mean(0) - found.place)[:2]
    np.testing.assert_allclose(found.rotation[:2, 0], ahead / np.linalg.norm(ahead), atol=1e-3)
    np.testing.assert_allclose(found.rotation[:, 2], UP, atol=1e-9)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    return found.place


@pytest.mark.parametrize("start", [(3.0, 0.0, 0.0), (0.0, -3.0, 0.5), (-2.0, 2.0, 1.0)])
def test_in_the_open_from_where_the_robot_is(start: tuple[float, float, float]) -> None:
    xyz, chosen = cloud(BOX, FLOOR)
    place = checked(approach(xyz, chosen, UP, np.array(start), 0.8, ROBOT), BOX, 0.8)
    towards = np.array(start[:2]) / np.linalg.norm(start[:2])
    assert place[:2] @ towards / np.linalg.norm(place[:2]) > 0.99


def test_at_a_wall_the_free_side_is_taken_also_from_behind_it() -> None:
    wall = np.concatenate([block((x, 0.25, 0.0), (x + 1.0, 0.3, 2.0), x + 10) for x in range(-4, 4)])
    xyz, chosen = cloud(BOX, FLOOR, wall)
    place = checked(approach(xyz, chosen, UP, np.array([0.0, 3.0, 0.0]), 0.8, ROBOT), BOX, 0.8)
    assert place[1] < 0.25 - ROBOT.radius, "not behind the wall, and not in it"


def test_a_robot_has_room_all_around() -> None:
    pillar = block((0.9, -0.1, 0.0), (1.1, 0.1, 1.0))
    xyz, chosen = cloud(BOX, FLOOR, pillar)
    place = checked(approach(xyz, chosen, UP, np.array([3.0, 0.0, 0.0]), 0.8, ROBOT), BOX, 0.8)
    assert np.linalg.norm(np.clip(np.abs(place[:2] - [1.0, 0.0]) - 0.1, 0, None)) > ROBOT.radius - 0.05


def test_something_on_a_table_is_approached_at_the_tables_edge() -> None:
    cup = block((-0.04, -0.04, 0.75), (0.04, 0.04, 0.85))
    table = np.concatenate([plane((-0.4, -0.4), (0.4, 0.4)) + [0, 0, 0.74], block((0.35, 0.35, 0), (0.4, 0.4, 0.7))])
    xyz, chosen = cloud(cup, FLOOR, table)
    found = approach(xyz, chosen, UP, np.array([-3.0, 0.0, 0.0]), 0.8, ROBOT)
    assert abs(found.place[2]) < 0.05 and found.place[0] < -0.4 - ROBOT.radius


def test_a_slope_is_ground() -> None:
    tilt = matrix(np.array([0.0, 0.0, 0.0, 0.0, np.sin(0.03), 0.0, np.cos(0.03)]))
    xyz, chosen = cloud(BOX, apply(tilt, FLOOR))
    found = approach(xyz, chosen, UP, np.array([3.0, 0.0, 0.0]), 0.8, ROBOT)
    assert found.place[0] > 0.9


def test_any_frame_will_do() -> None:
    """As a camera sees it: z forward, y down."""
    turned = matrix(np.array([0.3, 1.0, -2.0, 0.5, -0.5, 0.5, -0.5]))
    xyz, chosen = cloud(BOX, FLOOR)
    start = np.array([3.0, 0.0, 0.0])
    level = approach(xyz, chosen, UP, start, 0.8, ROBOT)
    moved = apply(turned, xyz.astype(np.float64)).astype(np.float32)
    found = approach(moved, chosen, turned[:3, :3] @ UP, apply(turned, start), 0.8, ROBOT)
    assert np.linalg.norm(found.place - apply(turned, level.place)) < 0.15
    np.testing.assert_allclose(found.rotation[:, 2], turned[:3, 2], atol=1e-6)


@pytest.mark.parametrize(
    "rest",
    [
        [plane((-0.5, -0.5), (0.5, 0.5))],  # the ground is not seen
        [
            FLOOR,
            *(block((x - 0.3, y - 0.3, 0), (x + 0.3, y + 0.3, 1), 3) for x, y in AROUND),
        ],
    ],
    ids=["unknown", "crammed"],
)
def test_without_a_place_it_says_so(rest: list[np.ndarray]) -> None:
    xyz, chosen = cloud(BOX, *rest)
    with pytest.raises(ValueError, match="no free ground"):
        approach(xyz, chosen, UP, np.array([3.0, 0.0, 0.0]), 0.6, ROBOT)
