"""The goal before the selected object, over DDS: on the free side of a wall, in the fixed frame; or words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from ros_operator import Operator, transform

pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
pytestmark = pytest.mark.timeout(180)


def room() -> tuple[np.ndarray, np.ndarray]:
    """A floor with a box at a wall, the wall at y = 0.25; the ground is 0.4 m below the sensor."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-3, 3, (36000, 2)), rng.normal(0, 0.003, 36000)]
    wall = np.c_[rng.uniform(-3, 3, 8000), rng.normal(0.3, 0.003, 8000), rng.uniform(0, 2, 8000)]
    box = rng.uniform(-0.2, 0.2, (4000, 3))
    side = rng.integers(0, 3, 4000)
    box[np.arange(4000), side] = np.sign(box[np.arange(4000), side]) * 0.2
    colours = np.repeat([[120, 120, 120], [160, 160, 160], [200, 30, 30]], [36000, 8000, 4000], axis=0)
    xyz = np.concatenate([floor, wall, box + [0, 0, 0.21]]) - [0, 0, 0.4]
    return xyz.astype(np.float32), colours.astype(np.uint8)


def test_a_goal_on_the_free_side(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("voxel_size:=0.05", "fixed_frame:=odom", "up_frame:=odom", "robot_radius:=0.3")
    transform(lone_robot, "odom", "sensor", (5.0, 0.0, 0.4), 0, static=True)
    lone_robot.follow("~/approach_pose", PoseStamped, QoSProfile(depth=10))
    lone_robot.arrive(*room())
    assert lone_robot.click((0.0, -0.2, -0.1), "~/click/new_object", "sensor").accepted  # type: ignore[union-attr]
    goal = lone_robot.latest("~/approach_pose")
    place, turn = goal.pose.position, goal.pose.orientation
    assert goal.header.frame_id == "odom" and abs(place.z) < 0.05
    assert place.y < -0.05, "on the box's side of the wall"
    away = np.hypot(max(abs(place.x - 5.0) - 0.2, 0.0), max(abs(place.y) - 0.2, 0.0))
    assert 0.7 < away < 1.3
    heading = np.arctan2(2 * (turn.w * turn.z + turn.x * turn.y), 1 - 2 * (turn.y**2 + turn.z**2))
    wanted = np.arctan2(-place.y, 5.0 - place.x)
    assert abs(np.angle(np.exp(1j * (heading - wanted)))) < 0.1


def test_without_ground_it_says_so(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("voxel_size:=0.05", "up_frame:=sensor")
    lone_robot.follow("~/approach_pose", PoseStamped, QoSProfile(depth=10))
    xyz, rgb = room()
    near = (np.abs(xyz[:, :2]) < 0.4).all(1)
    lone_robot.arrive(xyz[near], rgb[near])
    assert lone_robot.click((0.0, -0.2, -0.1), "~/click/new_object").accepted  # type: ignore[union-attr]
    lone_robot.latest("~/feedback", lambda m: "no free ground" in m.data)
    assert not lone_robot.heard["~/approach_pose"]
