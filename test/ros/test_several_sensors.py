"""Two sensors in one node, over DDS: one encoding, labels sent back to each in its own frame and order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from ros_operator import BLUE, RED, Operator, iou, scene, transform
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from iseg3d_ros.io.pointcloud2_read import read_field
from iseg3d_ros.ros.settings import SegmenterSettings

pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
pytestmark = pytest.mark.timeout(180)
PLACES = {"left": (0.5, 0.2, 0.1), "right": (-0.3, 0.0, 0.4)}  # of the sensors in odom
MIDDLE = 0.17  # where the made scene is cut


def half(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One sensor's points in its own frame, some without a return among them; their labels; their colours."""
    xyz, rgb, truth = scene()
    mine = (xyz[:, 0] < MIDDLE) == (name == "left")
    xyz = xyz[mine] - np.float32(PLACES[name])
    xyz[::5] = np.nan
    return xyz, truth[mine], rgb[mine]


def publish(robot: Operator, *names: str) -> int:
    """One cloud of each of the sensors, of one time."""
    now = robot.node.get_clock().now().nanoseconds
    for name in names:
        xyz, _, rgb = half(name)
        robot.publisher(f"/{name}/points", PointCloud2).publish(
            robot.cloud_message(xyz, None if name == "left" else rgb, name, now)
        )
    robot.spin(0.3)
    return now


def begin(robot: Operator, start: Callable[..., NodeProcess], *parameters: str) -> None:
    start("inputs:=/left/points, /right/points", "fixed_frame:=odom", "tf_timeout:=2.0", *parameters)
    for name, place in PLACES.items():
        transform(robot, "odom", name, place, 0, static=True)
        robot.spin(0.2)
    for number in (0, 1):
        robot.follow(f"~/segmentation/input_{number}", PointCloud2, QoSProfile(depth=1))


def test_labels_go_back_to_each_sensor(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    begin(lone_robot, start_node)

    def clicked() -> bool:
        publish(lone_robot, "left", "right")
        lone_robot.call("capture", Trigger)
        click = lone_robot.click(BLUE, "~/click/new_object", "odom")
        return click is not None and click.accepted

    lone_robot.until(clicked, what="a click on the fused cloud")
    lone_robot.call("clear", Trigger)
    stamp = publish(lone_robot, "left", "right")
    assert lone_robot.click(RED, "~/click/new_object", "odom").accepted  # type: ignore[union-attr]
    assert lone_robot.click((0.35 - 0.3, 0.1, 0.5), "~/click/negative", "right").accepted is False  # type: ignore[union-attr]
    assert lone_robot.click(np.subtract(BLUE, PLACES["right"]), "~/click/new_object", "right").accepted  # type: ignore[union-attr]
    state = lone_robot.objects(2)
    assert state.header.frame_id == "odom"
    for number, name in enumerate(("left", "right")):
        xyz, truth, _ = half(name)
        message = lone_robot.latest(
            f"~/segmentation/input_{number}", lambda m, own=number + 1: (read_field(m, "class_id") == own).any()
        )
        assert message.header.frame_id == name and message.width * message.height == len(xyz)
        assert message.header.stamp.nanosec == stamp % 10**9
        labels = read_field(message, "class_id")
        gone = np.isnan(xyz[:, 0])
        assert (labels[gone] == 255).all() and (labels[~gone] < 255).all()
        assert iou(labels[~gone] == number + 1, truth[~gone] == number + 1) > 0.7


def test_a_silent_sensor_is_named_and_the_other_goes_on(
    lone_robot: Operator, start_node: Callable[..., NodeProcess]
) -> None:
    begin(lone_robot, start_node, "scene:=live")
    lone_robot.follow("/diagnostics", DiagnosticArray, QoSProfile(depth=10))

    def clicked() -> bool:
        publish(lone_robot, "left")
        click = lone_robot.click(RED, "~/click/positive", "odom")
        return click is not None and click.accepted

    lone_robot.until(clicked, what="a click on the one sensor's cloud")

    def named() -> bool:
        publish(lone_robot, "left")
        heard = lone_robot.heard["/diagnostics"]
        return bool(heard) and "no cloud on /right/points" in heard[-1].status[0].message

    lone_robot.until(named, what="a warning that names the silent sensor")
    message = lone_robot.latest("~/segmentation/input_0", lambda m: (read_field(m, "class_id") == 1).any())
    assert message.header.frame_id == "left" and not lone_robot.heard["~/segmentation/input_1"]


def test_a_camera_beside_a_lidar(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """An RGB-D pair is joined in the node: a box that only the camera sees is clicked in the fused cloud."""
    start_node("inputs:=/left/points,/color+/depth+/info", "fixed_frame:=odom", "fuse_window:=1.0")
    transform(lone_robot, "odom", "left", PLACES["left"], 0, static=True)
    lone_robot.spin(0.2)
    transform(lone_robot, "odom", "optical", (3.0, 0.0, 0.0), 0, static=True)
    v, u = np.mgrid[:60, :80]
    depth = np.where((abs(u - 40) < 10) & (abs(v - 30) < 8), 800, 1000).astype(np.uint16)
    colour = np.full((60, 80, 3), 90, np.uint8)

    def image(encoding: str, values: np.ndarray) -> Image:
        out = Image(width=80, height=60, encoding=encoding, step=values.nbytes // 60, data=values.tobytes())
        out.header.frame_id, out.header.stamp = "optical", lone_robot.node.get_clock().now().to_msg()
        return out

    info = CameraInfo(width=80, height=60, k=[80.0, 0.0, 39.5, 0.0, 80.0, 29.5, 0.0, 0.0, 1.0])

    def clicked() -> bool:
        lone_robot.publisher("/info", CameraInfo).publish(info)
        lone_robot.publisher("/color", Image).publish(image("rgb8", colour))
        lone_robot.publisher("/depth", Image).publish(image("16UC1", depth))
        publish(lone_robot, "left")
        lone_robot.call("capture", Trigger)
        click = lone_robot.click((3.0, 0.0, 0.8), "~/click/new_object", "odom")
        return click is not None and click.accepted and bool(lone_robot.click(RED, frame="odom").accepted)  # type: ignore[union-attr]

    lone_robot.until(clicked, what="clicks on both sensors' points")


def test_what_inputs_may_name() -> None:
    wanted = SegmenterSettings(inputs=" /a , /c+/d+/i", fixed_frame="odom")
    assert wanted.sensors == (("/a",), ("/c", "/d", "/i")) and SegmenterSettings().sensors == ()
    with pytest.raises(ValueError, match="fixed_frame"):
        SegmenterSettings(inputs="/a,/b")
    with pytest.raises(ValueError, match=r"'/a\+/b'"):
        SegmenterSettings(inputs="/a+/b", fixed_frame="odom")
