"""A robot that drives, and programs that come late: what the segmenter tells them over DDS."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import PoseStamped
from iseg3d_ros.msg import Objects
from iseg3d_ros.srv import RemoveObject
from rclpy.qos import QoSProfile
from ros_operator import BLUE, LATCHED, RED, Operator, scene, transform
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from iseg3d_ros.io.pointcloud2_read import read_field
from iseg3d_ros.ros.node_support import nanoseconds

pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
pytestmark = pytest.mark.timeout(120)
SECOND = 10**9


@pytest.mark.parametrize("frames", [(), ("fixed_frame:=odom",), ("target_frame:=base",)], ids=["root", "odom", "base"])
def test_a_standing_objects_pose_stays_while_the_robot_drives(
    lone_robot: Operator, start_node: Callable[..., NodeProcess], frames: tuple[str, ...]
) -> None:
    """Half a metre a second around it: whoever transforms the pose by its stamp and frame finds the object's place."""
    start_node("tf_timeout:=2.0", *frames)
    begun = lone_robot.node.get_clock().now().nanoseconds
    lone_robot.follow("~/object_pose", PoseStamped, QoSProfile(depth=10))

    def place(stamp: int) -> tuple[float, float, float]:
        angle = 0.5 * (stamp - begun) / SECOND
        return (math.cos(angle) - 1.0, math.sin(angle), 0.0)

    def drive() -> None:
        now = lone_robot.node.get_clock().now().nanoseconds
        transform(lone_robot, "odom", "base", place(now), now)
        lone_robot.spin(0.02)

    transform(lone_robot, "base", "sensor", (0.0, 0.0, 0.5), 0, static=True)
    drive()
    xyz, rgb, _ = scene()
    stamp = lone_robot.node.get_clock().now().nanoseconds
    transform(lone_robot, "odom", "base", place(stamp), stamp)
    lone_robot.arrive(xyz, rgb, stamp=stamp)
    assert lone_robot.click(RED, frame="sensor").accepted  # type: ignore[union-attr]
    truth = np.array([*place(stamp)[:2], 0.5]) + [0, 0, 0.055]
    end = lone_robot.node.get_clock().now().nanoseconds + 3 * SECOND
    while lone_robot.node.get_clock().now().nanoseconds < end:
        drive()
    poses = lone_robot.heard["~/object_pose"]
    assert len(poses) > 8
    assert nanoseconds(poses[-1].header.stamp) > end - SECOND, "an old stamp is taken for a lost object"
    for pose in poses:
        at = pose.pose.position
        found = np.array([at.x, at.y, at.z])
        if pose.header.frame_id == "base":
            found += place(nanoseconds(pose.header.stamp))
        else:
            assert pose.header.frame_id == "odom"
        assert np.linalg.norm(found - truth) < 0.05, (pose.header, found, truth)


def test_who_comes_late_gets_the_newest_state(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """As `ros2 topic echo --once` does: the first message that a new subscriber is given is the state of now."""
    start_node()
    lone_robot.arrive(*scene()[:2])
    early = lone_robot.node.create_subscription(PointCloud2, "/segmenter/labelled", lambda _: None, LATCHED)
    lone_robot.click(RED)
    lone_robot.objects(1)
    lone_robot.spin(0.5)
    lone_robot.node.destroy_subscription(early)
    lone_robot.click(BLUE, "~/click/new_object")
    lone_robot.objects(2)

    def first(topic: str, kind: type) -> object:
        heard: list[object] = []
        subscription = lone_robot.node.create_subscription(kind, topic, heard.append, LATCHED)
        lone_robot.until(lambda: heard, 20, f"a message of {topic}")
        lone_robot.node.destroy_subscription(subscription)
        return heard[0]

    lone_robot.node.destroy_subscription(
        next(s for s in lone_robot.node.subscriptions if s.topic_name == "/segmenter/objects")
    )
    lone_robot.spin(0.5)
    labels = read_field(first("/segmenter/labelled", PointCloud2), "instance")
    assert set(np.unique(labels)) == {0, 1, 2}
    lone_robot.click((-0.3, 0.3, 0.0), "~/click/new_object")
    assert lone_robot.call("remove_object", RemoveObject, id="object_1").success
    lone_robot.spin(0.5)
    state = first("/segmenter/objects", Objects)
    assert [item.id for item in state.objects] == ["object_2", "object_3"]  # type: ignore[attr-defined]
    assert lone_robot.call("clear", Trigger).success
    lone_robot.spin(0.5)
    assert not first("/segmenter/objects", Objects).objects  # type: ignore[attr-defined]
