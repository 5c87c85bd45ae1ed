"""Pixels, boxes and masks of a camera's image become clicks: over DDS, with an RGB-D camera, on a driving robot."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import Point, Point32, PointStamped, Polygon, PolygonStamped
from iseg3d_ros.msg import ClickResult
from ros_operator import RED, Operator, scene, transform
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from iseg3d_ros.geometry.rgbd import camera_of
from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.ros import image_subscriptions
from iseg3d_ros.ros.node_support import stamp_of

pytestmark = pytest.mark.timeout(180)
SECOND = 10**9
WIDTH, HEIGHT, F = 160, 120, 150.0
INFO = CameraInfo(width=WIDTH, height=HEIGHT, k=[F, 0.0, 79.5, 0.0, F, 59.5, 0.0, 0.0, 1.0])
INFO.header.frame_id = "optical"
ABOVE = 1.0  # metres of the camera above the made scene, looking down: x right, y away from it


def pixel(place: tuple[float, float, float], moved: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """Where a point of the made scene is in the image of the camera above it."""
    x, y, z = place
    depth = ABOVE - z
    return F * (x - moved[0]) / depth + 79.5, F * (moved[1] - y) / depth + 59.5


def look_down(robot: Operator, parent: str) -> None:
    """The camera's optical frame, turned so that it looks down."""
    from geometry_msgs.msg import TransformStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from tf2_msgs.msg import TFMessage

    message = TransformStamped(child_frame_id="optical")
    message.header.frame_id, message.transform.translation.z = parent, ABOVE
    message.transform.rotation.x, message.transform.rotation.w = 1.0, 0.0
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.publisher("/tf_static", TFMessage, latched).publish(TFMessage(transforms=[message]))


def point_at(
    robot: Operator, place: tuple[float, float], topic: str = "", frame: str = "optical", stamp: int = 0
) -> ClickResult:
    """A click in the image; what became of it."""
    before = len(robot.heard["~/click_result"])
    calibrate(robot)
    click = PointStamped(header=Header(frame_id=frame, stamp=stamp_of(stamp)), point=Point(x=place[0], y=place[1]))
    robot.publisher(f"~/image_click{topic}", PointStamped).publish(click)
    robot.until(lambda: len(robot.heard["~/click_result"]) > before, 60, "what became of the click")
    result: ClickResult = robot.heard["~/click_result"][-1]
    return result


def calibrate(robot: Operator) -> None:
    """As drivers do, with every image."""
    for _ in range(5):
        robot.publisher("~/camera_info", CameraInfo).publish(INFO)
        robot.spin(0.1)


def near(result: ClickResult, place: tuple[float, float, float], metres: float = 0.01) -> bool:
    return bool(np.linalg.norm(np.subtract((result.point.x, result.point.y, result.point.z), place)) < metres)


def test_clicks_in_the_image(robot: Operator) -> None:
    look_down(robot, "sensor")
    top = (RED[0], RED[1], 0.105)
    first = point_at(robot, pixel(top), "/new_object")
    assert first.accepted and first.id == "object_1" and near(first, top), first
    assert point_at(robot, pixel((0.02, 0.02, 0.105))).id == "object_1"
    assert point_at(robot, pixel((0.2, -0.2, 0.0)), "/negative").id == ""
    robot.latest("~/objects", lambda m: len(m.objects[0].clicks) == 2 and len(m.background_clicks) == 1)
    point = robot.publisher("~/image_click/point", Point)
    point.publish(Point(x=pixel(top)[0], y=pixel(top)[1]))
    robot.latest("~/objects", lambda m: len(m.objects[0].clicks) == 3)


def test_scribbles_in_the_image_are_clicks_in_one_step(robot: Operator) -> None:
    look_down(robot, "sensor")
    calibrate(robot)

    def scribble(topic: str, *places: tuple[float, float, float]) -> None:
        points = [Point32(x=x, y=y) for x, y in map(pixel, places)]
        message = PolygonStamped(header=Header(frame_id="optical"), polygon=Polygon(points=points))
        robot.publisher(f"~/image_scribble{topic}", PolygonStamped).publish(message)

    scribble("/new_object", (RED[0] - 0.04, RED[1], 0.105), (RED[0] + 0.04, RED[1], 0.105))
    state = robot.objects(1)
    first = len(state.objects[0].clicks)
    assert 1 <= first <= 6 and not state.background_clicks
    scribble("/negative", (0.2, -0.2, 0.0), (0.3, -0.2, 0.0))
    robot.latest("~/objects", lambda m: len(m.background_clicks) >= 1)
    scribble("", (RED[0], RED[1] - 0.04, 0.105), (RED[0], RED[1] + 0.04, 0.105))
    robot.latest("~/objects", lambda m: len(m.objects) == 1 and len(m.objects[0].clicks) > first)
    for _ in range(3):
        assert robot.call("undo", Trigger).success
    robot.latest("~/objects", lambda m: not m.objects and not m.background_clicks)


def test_what_the_image_does_not_show_is_refused_in_words(robot: Operator) -> None:
    look_down(robot, "sensor")
    assert "no calibration of the camera 'other'" in point_at(robot, (80.0, 60.0), frame="other").reason
    assert "outside the image" in point_at(robot, (500.0, 60.0)).reason
    late = robot.node.get_clock().now().nanoseconds + 3600 * SECOND
    result = point_at(robot, pixel((0.0, 0.0, 0.105)), "/new_object", stamp=late)
    assert result.accepted, "static transforms hold always"


def test_a_mask_becomes_an_object_in_one_step(robot: Operator) -> None:
    look_down(robot, "sensor")
    (left, bottom), (right, top) = pixel((-0.05, -0.05, 0.105)), pixel((0.05, 0.05, 0.105))
    mask = np.zeros((2 * HEIGHT, 2 * WIDTH), np.uint8)  # of twice the size: the mask of a scaled image
    mask[round(2 * top) : round(2 * bottom), round(2 * left) : round(2 * right)] = 255
    message = Image(width=2 * WIDTH, height=2 * HEIGHT, encoding="mono8", step=2 * WIDTH, data=mask.tobytes())
    message.header.frame_id = "optical"
    masks = robot.publisher("~/image_mask", Image)
    calibrate(robot)
    masks.publish(message)
    state = robot.objects(1)
    assert len(state.objects[0].clicks) == 3 and 1 <= len(state.background_clicks) <= 4
    assert 2000 < state.objects[0].points < 6000, "the cube has 4000 points"
    robot.forget()
    masks.publish(message)
    robot.latest("~/feedback", lambda m: "object already" in m.data)
    assert robot.call("undo", Trigger).success
    robot.latest("~/objects", lambda m: not m.objects and not m.background_clicks)


def test_an_image_click_on_a_driving_robot(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """The image is younger than the cloud, and the camera has moved between: the click is where the pixel was then."""
    start_node("tf_timeout:=3.0")
    transform(lone_robot, "base", "sensor", (0.0, 0.0, 0.0), 0, static=True)
    lone_robot.spin(0.2)
    look_down(lone_robot, "base")
    taken = lone_robot.node.get_clock().now().nanoseconds
    for tenth in range(-5, 15):
        transform(lone_robot, "odom", "base", (0.02 * tenth, 0.0, 0.0), taken + tenth * SECOND // 10)
    lone_robot.arrive(*scene()[:2], stamp=taken)
    top = (RED[0], RED[1], 0.105)
    result = point_at(lone_robot, pixel(top, moved=(0.2, 0.0)), "/new_object", stamp=taken + SECOND)
    assert result.accepted and near(result, top, 0.02), result


def rgbd() -> tuple[np.ndarray, np.ndarray]:
    """What an RGB-D camera above a table with a box sees: depth in millimetres, and colours."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).normal(0, 1.0, (HEIGHT, WIDTH))
    box = (abs(u - 90) < 20) & (abs(v - 60) < 15)
    depth = np.where(box, 850, 1000) + noise
    depth[:, :8] = 0  # no return
    colour = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    colour[box] = (200, 30, 30)
    return depth.astype(np.uint16), colour


def test_from_an_image_click_to_the_grasp_cloud(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """As rgbd.launch.py: the camera's images to a cloud, a click in the colour image, the points to grasp at."""
    start_node(node="rgbd_cloud", remap=("~/points:=/segmenter/points",))
    start_node("voxel_size:=0.01")
    depth, colour = rgbd()
    lone_robot.follow("~/object_points", PointCloud2, 5)

    def message(encoding: str, values: np.ndarray) -> Image:
        out = Image(width=WIDTH, height=HEIGHT, encoding=encoding, step=values.nbytes // HEIGHT, data=values.tobytes())
        out.header.frame_id, out.header.stamp = "optical", lone_robot.node.get_clock().now().to_msg()
        return out

    def clicked() -> bool:
        lone_robot.publisher("/rgbd_cloud/camera_info", CameraInfo).publish(INFO)
        lone_robot.publisher("/rgbd_cloud/color", Image).publish(message("rgb8", colour))
        lone_robot.publisher("/rgbd_cloud/depth", Image).publish(message("16UC1", depth))
        lone_robot.spin(0.3)
        return point_at(lone_robot, (90.0, 60.0), "/new_object").accepted

    lone_robot.until(clicked, what="a click on a cloud")
    grasp = read_points(lone_robot.latest("~/object_points", lambda m: m.width > 0)).xyz
    right = (np.abs(grasp[:, 2] - 0.85) < 0.02).mean()
    assert right >= 0.98 and len(grasp) > 0.5 * 39 * 29, (right, len(grasp))
    assert lone_robot.heard["~/objects"][-1].header.frame_id == "optical"
    assert "nothing at the pixel" in point_at(lone_robot, (1.0, 60.0)).reason, "there is no depth"


def test_boxes_of_a_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """vision_msgs' layout: an ellipse in the box, the class as a name; those of an array are a stream."""
    kinds = SimpleNamespace(Detection2D="Detection2D", Detection2DArray="Detection2DArray")
    monkeypatch.setattr(image_subscriptions, "vision_messages", lambda: kinds)
    heard: dict[str, Callable[[Any], None]] = {}
    node: Any = SimpleNamespace(
        create_subscription=lambda kind, topic, callback, qos: heard.setdefault(topic, callback),
        resolve_topic_name=lambda name: name,
    )
    handed: list[tuple[Any, ...]] = []
    refused: list[str] = []
    pointing: Any = SimpleNamespace(pixel="pixel", region="region", rectified=True)
    image_subscriptions.ImageInputs(
        node, pointing, lambda *given: handed.append(given), lambda click, reason: refused.append(reason)
    )
    centre = SimpleNamespace(position=SimpleNamespace(x=50.0, y=40.0), theta=0.0)
    one = SimpleNamespace(
        header=Header(frame_id="optical"), id="7", bbox=SimpleNamespace(center=centre, size_x=20.0, size_y=10.0),
        results=[SimpleNamespace(hypothesis=SimpleNamespace(class_id="cup", score=0.9))],
    )  # fmt: skip
    heard["~/image_box"](one)
    assert not handed and "camera_info" in refused[0]
    heard["~/camera_info"](INFO)
    heard["~/image_box"](one)
    heard["~/image_boxes"](SimpleNamespace(header=Header(frame_id="optical"), detections=[one, one]))
    assert [given[0] for given in handed] == ["region"] * 3
    _, click, camera, region = handed[0]
    assert click.header.frame_id == "optical" and camera == camera_of(INFO)
    assert (region.id, region.name, region.stream) == ("7", "cup", False) and handed[1][3].stream
    lines, columns = np.nonzero(region.mask)
    assert abs(columns.mean() - 50) < 0.5 and abs(lines.mean() - 40) < 0.5 and len(lines) == pytest.approx(157, abs=15)
