"""The nodes as processes over DDS, each test with its own: transforms, live scenes, overload, lifecycle, crashes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from iseg3d_ros.msg import ObjectInfo
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_operator import Operator, iou, node_process, place, scene, transform
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.io.pointcloud2_read import read_field, read_points
from iseg3d_ros.ros.node_support import nanoseconds, stamp_of

pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
RED, BLUE = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105)
pytestmark = pytest.mark.timeout(300)


def test_a_click_in_another_frame_and_time(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """RViz clicks in its fixed frame with its own time: the transform of the cloud's time is what counts."""
    start_node("tf_timeout:=2.0")
    xyz, rgb, truth = scene()
    lone_robot.follow("~/labelled", PointCloud2)
    now = lone_robot.node.get_clock().now().nanoseconds
    for seconds in (-2, -1, 0):  # the robot drives on while the operator looks at the cloud of one second ago
        transform(lone_robot, "map", "sensor", (10.0 + seconds, 0.0, 1.0), now + seconds * 10**9)
    lone_robot.arrive(xyz, rgb, stamp=now - 10**9)
    result = lone_robot.click((9.0 + RED[0], RED[1], 1.0 + RED[2]), frame="map", stamp=now)
    assert result is not None and result.accepted and result.distance < 0.01, result
    labels = read_field(lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").any()), "instance")
    assert iou(labels == 1, truth == 1) > 0.7


def test_a_transform_that_is_late(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("tf_timeout:=5.0")
    now = lone_robot.node.get_clock().now().nanoseconds
    transform(lone_robot, "map", "sensor", (10.0, 0.0, 0.0), now - 10**9)
    lone_robot.arrive(*scene()[:2], stamp=now)
    lone_robot.click((10.0, 0.0, 0.105), frame="map", wait=False)
    lone_robot.spin(0.5)
    assert not lone_robot.heard["~/click_result"]
    transform(lone_robot, "map", "sensor", (10.0, 0.0, 0.0), now + 10**9)
    lone_robot.latest("~/click_result", lambda m: m.accepted)


def test_a_transform_that_never_comes(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("tf_timeout:=0.2")
    now = lone_robot.node.get_clock().now().nanoseconds
    transform(lone_robot, "map", "base", (0.0, 0.0, 0.0), now)
    lone_robot.arrive(*scene()[:2])
    result = lone_robot.click(RED, frame="map")
    assert result is not None and not result.accepted
    assert "no transform names the frame 'sensor' (known frames: base, map)" in result.reason


def test_a_good_click_does_not_wait_behind_bad_ones(
    lone_robot: Operator, start_node: Callable[..., NodeProcess]
) -> None:
    """And a refused first click keeps no cloud."""
    start_node("tf_timeout:=20.0")
    xyz, rgb, _ = scene()
    lone_robot.arrive(xyz, rgb, stamp=10**9)
    publisher = lone_robot.publisher("~/click/positive", PointStamped, 1000)
    for number in range(250):
        bad = PointStamped(point=place(RED))
        bad.header.frame_id = f"nowhere_{number % 2}"
        publisher.publish(bad)
    result = lone_robot.click((5.0, 5.0, 5.0))
    assert result is not None and "it hit nothing" in result.reason
    lone_robot.arrive(xyz, rgb, stamp=2 * 10**9)
    lone_robot.forget()
    assert lone_robot.click(RED).accepted  # type: ignore[union-attr]
    assert len(lone_robot.heard["~/click_result"]) == 1, "a good click is answered while the bad ones wait"
    assert lone_robot.objects(1).header.stamp.sec == 2, "the refused clicks have kept the cloud before"
    lone_robot.until(lambda: len(lone_robot.heard["~/click_result"]) == 251, 90, "what became of all others")


def test_target_frame(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("target_frame:=base", "tf_timeout:=2.0")
    lone_robot.follow("~/labelled", PointCloud2)
    transform(lone_robot, "base", "sensor", (1.0, 2.0, 3.0), 0, static=True)
    lone_robot.arrive(*scene()[:2])
    assert lone_robot.click((1.0, 2.0, 3.105)).accepted  # type: ignore[union-attr]
    message = lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").any())
    assert message.header.frame_id == "base"
    np.testing.assert_allclose(read_points(message).xyz, scene()[0] + [1, 2, 3], atol=1e-5)


def test_live_objects_keep_their_ids_get_lost_and_are_found(
    lone_robot: Operator, start_node: Callable[..., NodeProcess]
) -> None:
    """The red cube moves and the sensor too; then the blue one is taken away and put back."""
    start_node("scene:=live", "fixed_frame:=map", "tf_timeout:=3.0")
    lone_robot.follow("~/labelled", PointCloud2)
    stamp = lone_robot.node.get_clock().now().nanoseconds

    def step(number: int, shift: tuple[float, float], second: bool = True) -> tuple[Any, np.ndarray]:
        xyz, rgb, truth = scene(number, shift, second)
        time = stamp + number * 10**8
        transform(lone_robot, "map", "sensor", (0.02 * number, 0.0, 0.0), time)
        message = lone_robot.cloud_message(xyz - np.float32([0.02 * number, 0, 0]), rgb, stamp=time)

        def labelled() -> bool:
            lone_robot.send(message)
            lone_robot.spin(0.3)
            return any(m.header.stamp == message.header.stamp for m in lone_robot.heard["~/labelled"])

        lone_robot.until(labelled, 120, f"labels of cloud {number}")
        found = [m for m in lone_robot.heard["~/labelled"] if m.header.stamp == message.header.stamp][-1]
        lone_robot.latest("~/objects", lambda m: m.header.stamp == message.header.stamp)
        return found, truth

    step(0, (0.0, 0.0))
    assert lone_robot.click(RED, "~/click/new_object").accepted  # type: ignore[union-attr]
    assert lone_robot.click(BLUE, "~/click/new_object").accepted  # type: ignore[union-attr]
    ids = [item.id for item in lone_robot.objects(2).objects]
    for number in range(1, 3):
        message, truth = step(number, (0.03 * number, -0.01 * number))
        labels = read_field(message, "instance")
        assert iou(labels == 1, truth == 1) > 0.6 and iou(labels == 2, truth == 2) > 0.6, number
    states = {}
    for number in range(3, 6):
        gone = number < 5
        message, truth = step(number, (0.06, -0.02), second=not gone)
        objects = lone_robot.heard["~/objects"][-1].objects
        assert [item.id for item in objects] == ids
        states[number] = objects[1].state
        assert iou(read_field(message, "instance") == 1, truth == 1) > 0.6
    missed = (ObjectInfo.LOST, ObjectInfo.SEARCHING)  # the sensor lies in the table's plane: few rays pass
    assert states[4] in missed and states[5] == ObjectInfo.SEEN, states
    assert iou(read_field(message, "instance") == 2, truth == 2) > 0.6


def test_accumulated_sweeps(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    start_node("scene:=accumulated", "fixed_frame:=map", "accumulate_voxel:=0.002", "tf_timeout:=3.0")
    lone_robot.follow("~/labelled", PointCloud2)
    xyz, rgb, truth = scene()
    stamp = lone_robot.node.get_clock().now().nanoseconds
    part = np.arange(len(xyz)) % 4
    for number in range(8):
        time = stamp + number * 10**8
        transform(lone_robot, "map", "sensor", (float(number), 0.0, 0.0), time)
        chosen = part == number % 4
        lone_robot.send(lone_robot.cloud_message(xyz[chosen] - np.float32([number, 0, 0]), rgb[chosen], stamp=time))
        lone_robot.spin(0.25)
    assert lone_robot.click(RED, frame="map").accepted  # type: ignore[union-attr]
    message = lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").any())
    assert message.header.frame_id == "map" and message.width > 1.5 * (part == 0).sum()
    found = read_points(message).xyz[read_field(message, "instance") == 1]
    assert np.abs(found[:, :2]).max() < 0.12


def test_a_mismatch_of_qualities_is_said(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    process = start_node("points_reliability:=reliable")
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    lone_robot.node.create_publisher(PointCloud2, "/segmenter/points", best_effort)
    lone_robot.until(lambda: "set the parameter points_reliability" in process.output, what="a warning")


def test_a_storm_of_clicks(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """A thousand clicks within a second: all of them answered, in few inferences, and the services live."""
    start_node("autosave:=true")
    xyz, rgb, truth = scene()
    lone_robot.arrive(xyz, rgb)
    lone_robot.follow("~/labelled", PointCloud2, QoSProfile(depth=100))
    lone_robot.click(RED)
    cube = xyz[truth == 1]
    publisher = lone_robot.publisher("~/click/positive", PointStamped)
    for point in cube[:1000]:
        publisher.publish(PointStamped(point=place(point)))
        lone_robot.executor.spin_once(timeout_sec=0)
    assert lone_robot.call("undo", Trigger).success
    lone_robot.until(lambda: len(lone_robot.heard["~/click_result"]) > 1000, 120, "all results")
    assert all(result.accepted for result in lone_robot.heard["~/click_result"])
    lone_robot.latest("~/objects", lambda m: len(m.objects[0].clicks) == 1000)
    assert len(lone_robot.heard["~/labelled"]) < 100


def test_clouds_faster_than_the_model(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """More clouds than a live scene has time for: the newest wins, the rest is dropped and counted, none queues."""
    start_node("scene:=live", "diagnostics_period:=0.1")
    lone_robot.follow("~/labelled", PointCloud2)
    lone_robot.follow("/diagnostics", DiagnosticArray, QoSProfile(depth=10))
    xyz, rgb, _ = scene()
    lone_robot.arrive(xyz, rgb)
    lone_robot.click(RED)
    lone_robot.objects(1)
    message, sent = lone_robot.cloud_message(xyz, rgb), []

    def overloaded() -> bool:
        message.header.stamp = lone_robot.node.get_clock().now().to_msg()
        sent.append(nanoseconds(message.header.stamp))
        lone_robot.send(message)
        values = {v.key: v.value for heard in lone_robot.heard["/diagnostics"][-1:] for v in heard.status[0].values}
        return int(values.get("clouds dropped", 0)) > 5 and len(lone_robot.heard["~/labelled"]) > 6

    lone_robot.until(overloaded)
    before = len(lone_robot.heard["~/labelled"])

    def stamps() -> list[int]:
        return [nanoseconds(labelled.header.stamp) for labelled in lone_robot.heard["~/labelled"]]

    lone_robot.until(lambda: stamps()[-1] == sent[-1], what="the newest cloud's labels")
    assert stamps() == sorted(stamps()), "an older cloud after a newer one"
    assert len(stamps()) - before <= 3, "clouds wait in a queue"  # in the model, the newest, and one on its way


def test_lifecycle_cycles(lone_robot: Operator, start_node: Callable[..., NodeProcess], tmp_path: Path) -> None:
    """Two rounds of configure, activate, deactivate, cleanup; the work outlives a deactivation, not a cleanup."""
    process = node_process(tmp_path, "segmenter", "model:=random_walker", f"session_directory:={tmp_path}/work")

    def change(transition: int) -> None:
        assert lone_robot.call("change_state", ChangeState, 60, transition=Transition(id=transition)).success

    try:
        for _ in range(2):
            change(Transition.TRANSITION_CONFIGURE)
            assert "not active" in lone_robot.call("undo", Trigger).message
            change(Transition.TRANSITION_ACTIVATE)
            lone_robot.arrive(*scene()[:2])
            lone_robot.click(RED)
            lone_robot.objects(1)
            change(Transition.TRANSITION_DEACTIVATE)
            assert not lone_robot.call("clear", Trigger).success
            lone_robot.forget()
            change(Transition.TRANSITION_ACTIVATE)
            lone_robot.objects(1)
            change(Transition.TRANSITION_DEACTIVATE)
            change(Transition.TRANSITION_CLEANUP)
        assert lone_robot.call("get_state", GetState).current_state.id == State.PRIMARY_STATE_UNCONFIGURED
        assert process.process.poll() is None
        assert process.end() == 0
    finally:
        process.end()


def test_a_killed_segmenter_takes_its_work_up_again(
    lone_robot: Operator, start_node: Callable[..., NodeProcess]
) -> None:
    lone_robot.follow("~/labelled", PointCloud2)
    process = start_node()
    lone_robot.arrive(*scene()[:2])
    lone_robot.click(RED)
    lone_robot.click(BLUE, "~/click/new_object")
    before = lone_robot.objects(2)
    labels = read_field(lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").max() == 2), "instance")
    process.end(signal.SIGKILL)
    lone_robot.forget()
    process = start_node("resume:=true")
    after = lone_robot.objects(2)
    assert [(o.id, o.name, len(o.clicks)) for o in after.objects] == [
        (o.id, o.name, len(o.clicks)) for o in before.objects
    ]
    assert after.header == before.header
    again = read_field(lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").max() == 2), "instance")
    np.testing.assert_array_equal(again, labels)
    assert lone_robot.call("undo", Trigger).success


def test_weights_that_are_not_there(tmp_path: Path, lone_robot: Operator) -> None:
    process = node_process(tmp_path, "segmenter", "autostart:=true", "weights:=/nowhere/x.safetensors")
    assert process.process.wait(200) == 1
    assert "there is no file" in process.output and "Traceback" not in process.output


def test_player_to_segmenter(lone_robot: Operator, start_node: Callable[..., NodeProcess], tmp_path: Path) -> None:
    xyz, rgb, truth = scene()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    start_node(f"path:={tmp_path}/scan.ply", "rate:=5.0", node="player", remap=("~/points:=/segmenter/points",))
    start_node()
    lone_robot.follow("~/labelled", PointCloud2)
    lone_robot.until(
        lambda: (r := lone_robot.click(RED, frame="map")) is not None and r.accepted, what="a click in map"
    )
    labels = read_field(lone_robot.latest("~/labelled", lambda m: read_field(m, "instance").any()), "instance")
    assert iou(labels == 1, truth == 1) > 0.7


def test_rgbd_cloud(lone_robot: Operator, start_node: Callable[..., NodeProcess]) -> None:
    """A tilted plane seen by a camera, in millimetres; colours belong to their points."""
    start_node("slop:=0.05", node="rgbd_cloud")
    clouds: list[PointCloud2] = []
    lone_robot.node.create_subscription(PointCloud2, "/rgbd_cloud/points", clouds.append, 5)
    width, height, f = 64, 48, 50.0
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    depth = (1000 + 5 * u).astype(np.uint16)
    depth[:4] = 0
    colour = np.dstack([4 * u, 5 * v, np.full_like(u, 9)]).astype(np.uint8)
    info = CameraInfo(width=width, height=height, k=[f, 0.0, 31.5, 0.0, f, 23.5, 0.0, 0.0, 1.0])

    def image(encoding: str, values: np.ndarray, stamp: int) -> Image:
        message = Image(width=width, height=height, encoding=encoding, step=values.nbytes // height)
        message.header.frame_id, message.header.stamp = "optical", stamp_of(stamp)
        message.data = values.tobytes()
        return message

    publishers = [
        lone_robot.publisher(f"/rgbd_cloud/{name}", kind)
        for name, kind in (("camera_info", CameraInfo), ("color", Image), ("depth", Image))
    ]

    def sent() -> bool:
        now = lone_robot.node.get_clock().now().nanoseconds
        publishers[0].publish(info)
        publishers[1].publish(image("bgr8", np.ascontiguousarray(colour[:, :, ::-1]), now - 10**7))
        publishers[2].publish(image("16UC1", depth, now))
        lone_robot.spin(0.3)
        return bool(clouds)

    lone_robot.until(sent, what="a cloud")
    points = read_points(clouds[-1])
    seen = depth > 0
    z = depth[seen] / 1000
    expected = np.stack([(u[seen] - 31.5) / f * z, (v[seen] - 23.5) / f * z, z], 1)
    np.testing.assert_allclose(points.xyz, expected, atol=1e-5)
    np.testing.assert_array_equal(points.rgb, colour[seen])
    assert clouds[-1].header.frame_id == "optical"
