"""The segmenter as a process over DDS, in one frozen scene: what it publishes, and what it is told at run time."""

from __future__ import annotations

import struct
from array import array
from typing import Any

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from cloud_layouts import LAYOUTS, RGB, XYZ
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from ros_operator import BLUE, RED, SEGMENTER, TABLE, Operator, iou, scene
from sensor_msgs.msg import PointCloud2, PointField
from std_srvs.srv import SetBool, Trigger

from iseg3d_ros import clicks as library
from iseg3d_ros.io.pointcloud2_read import read_field, read_points
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.ros import topics

pytestmark = pytest.mark.timeout(240)


def test_labels_equal_the_librarys(robot: Operator) -> None:
    xyz, rgb, truth = scene()
    first = robot.click(RED)
    assert first is not None and first.accepted and first.distance < 0.01
    second = robot.click(BLUE, "~/click/new_object")
    assert second is not None and second.accepted and second.id != first.id
    third = robot.click(TABLE, "~/click/negative")
    assert third is not None and third.accepted and third.id == ""
    given = [(result.point, label) for result, label in ((first, 1), (second, 2), (third, 0))]
    clicks = [library.Click((float(p.x), float(p.y), float(p.z)), label) for p, label in given]
    predictor = Predictor.load("random_walker", voxel_size=0.02)
    expected = predictor.segment(predictor.encode(xyz, rgb), clicks)
    robot.latest("~/objects", lambda m: len(m.background_clicks) == 1)

    def final(message: PointCloud2) -> bool:
        return np.allclose(read_field(message, "uncertainty"), expected.uncertainty, atol=1e-5)

    message = robot.latest("~/labelled", final)
    np.testing.assert_array_equal(read_field(message, "instance"), expected.labels)
    np.testing.assert_allclose(read_field(message, "probability"), expected.probability, atol=1e-5)
    np.testing.assert_array_equal(read_points(message).xyz, xyz)
    np.testing.assert_array_equal(read_points(message).rgb, rgb)
    assert message.header.frame_id == "sensor" and message.header.stamp == robot.sent.header.stamp
    assert iou(expected.labels == 1, truth == 1) > 0.7


def test_autowares_layout_bit_by_bit(robot: Operator) -> None:
    xyz, rgb, _ = scene()
    holes = np.arange(0, len(xyz), 1000)
    xyz[holes] = np.nan
    robot.arrive(xyz, rgb)
    assert robot.call("capture", Trigger).success
    robot.click(RED)
    message = robot.latest("~/segmentation", lambda m: m.width == len(xyz) and read_field(m, "class_id").max() == 255)
    fields = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
    assert fields == [
        ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1),
        ("class_id", 12, 2, 1), ("probability", 16, 7, 1), ("entropy", 20, 7, 1),
    ]  # fmt: skip
    assert (message.point_step, message.row_step, message.is_bigendian) == (24, 24 * len(xyz), False)
    for row in range(0, len(xyz), 500):
        x, _, _, label, probability, entropy = struct.unpack_from("<fffBxxxff", message.data, 24 * row)
        if row in holes:
            assert label == 255 and np.isnan(x) and np.isnan(entropy)
        else:
            assert x == xyz[row, 0] and label in (0, 1) and 0 <= probability <= 1 and entropy >= 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_clouds_of_every_layout_come_back_labelled(robot: Operator, name: str) -> None:
    cloud, colour, _ = LAYOUTS[name]
    message = robot.cloud_message(XYZ)
    message.height, message.width, message.is_bigendian = cloud.height, cloud.width, cloud.is_bigendian
    message.point_step, message.row_step = cloud.point_step, cloud.row_step
    message.fields = [PointField(**vars(field)) for field in cloud.fields]
    message.data = array("B", cloud.data)
    robot.deliver(message)
    assert robot.call("capture", Trigger).success
    result = robot.click(XYZ[2], "~/click/new_object")
    assert result is not None and result.accepted and result.distance == 0
    shown = robot.latest("~/labelled", lambda m: m.width == len(XYZ) and read_field(m, "instance").any())
    points = read_points(shown)
    np.testing.assert_array_equal(points.xyz, XYZ)
    assert read_field(shown, "instance")[2] == 1
    assert points.rgb is None or np.array_equal(points.rgb, RGB)
    assert (points.rgb is not None) == colour
    organised = robot.latest("~/segmentation", lambda m: m.header.stamp == message.header.stamp)
    assert (organised.height, organised.width) == (cloud.height, cloud.width)


def test_every_cloud_agrees_with_the_labels(robot: Operator) -> None:
    robot.click(RED)
    info = robot.objects(1).objects[0]
    mask = read_field(robot.latest("~/labelled", lambda m: read_field(m, "instance").any()), "instance") == 1
    xyz = scene()[0]
    assert info.points == mask.sum()
    grasped = read_points(robot.latest("~/object_points", lambda m: m.width)).xyz
    assert 0.3 * mask.sum() < len(grasped) <= mask.sum() and (grasped[:, 2] > 0.005).all(), "not the table"
    rest = read_points(robot.latest("~/scene_without_object", lambda m: m.width < len(xyz))).xyz
    assert (~mask).sum() <= len(rest) and len(rest) + mask.sum() >= len(xyz), "what is no object stays"
    indices = robot.latest("~/object_indices", lambda m: len(m.indices) == mask.sum())
    np.testing.assert_array_equal(indices.indices, np.flatnonzero(mask))
    np.testing.assert_array_equal(read_points(indices.cloud).xyz, xyz)
    assert indices.object.id == info.id
    np.testing.assert_allclose([info.box_min.x, info.box_max.z], [xyz[mask, 0].min(), xyz[mask, 2].max()], atol=1e-6)
    assert robot.latest("~/uncertainty").width == len(xyz)
    pose = robot.latest("~/object_pose")
    assert pose.pose.position.x == pytest.approx(info.pose.position.x)
    assert {m.ns for m in robot.latest("~/markers", lambda m: len(m.markers) > 3).markers} >= {
        "clicks",
        "boxes",
        "names",
    }
    robot.latest("~/suggested_click")
    first = len(robot.heard["~/object_pose"])
    robot.until(lambda: len(robot.heard["~/object_pose"]) > first + 2, what="a streamed pose")
    assert robot.heard["~/object_pose"][-1].header.stamp != robot.heard["~/object_pose"][first].header.stamp


def test_bad_clouds_do_not_end_the_node(robot: Operator) -> None:
    empty = PointCloud2(height=1, width=0)
    truncated = robot.cloud_message(*scene()[:2])
    truncated.data = truncated.data[:1000]
    huge = robot.cloud_message(*scene()[:2])
    huge.width = 2**31
    nothing = robot.cloud_message(np.full((50, 3), np.nan, np.float32))
    for message, words in ((empty, "no field"), (truncated, "truncated"), (huge, "truncated"), (nothing, "no points")):
        robot.send(message)
        robot.until(lambda words=words: words in robot.call("capture", Trigger).message, what=words)
    robot.arrive(*scene()[:2])
    assert robot.click(RED).accepted  # type: ignore[union-attr]


def test_enable(robot: Operator) -> None:
    assert robot.call("enable", SetBool, data=False).success
    robot.click(RED, wait=False)
    robot.spin(0.5)
    assert not robot.heard["~/click_result"]
    robot.latest("/diagnostics", lambda m: "disabled" in m.status[0].message)
    assert robot.call("enable", SetBool, data=True).success
    robot.arrive(*scene()[:2])
    assert robot.click(RED).accepted  # type: ignore[union-attr]


def test_parameters_are_described_and_some_change(robot: Operator) -> None:
    described = robot.call("describe_parameters", DescribeParameters, names=["max_snap_distance", "scene"]).descriptors
    assert "refused" in described[0].description and described[0].floating_point_range[0].to_value == 100.0
    assert "frozen, live, accumulated" in described[1].additional_constraints

    def change(name: str, value: Any) -> Any:
        return robot.call(
            "set_parameters", SetParameters, parameters=[Parameter(name, value=value).to_parameter_msg()]
        ).results[0]

    assert change("max_snap_distance", 0.001).successful
    assert not robot.click((0, 0, 0.12)).accepted  # type: ignore[union-attr]
    assert change("max_snap_distance", 0.1).successful
    assert robot.click((0, 0, 0.12)).accepted  # type: ignore[union-attr]
    assert not change("max_snap_distance", -1.0).successful
    assert "configured" in change("model", "agile3d").reason


def test_topics_and_types_are_those_of_the_table(robot: Operator) -> None:
    graph = {name: kinds[0] for name, kinds in robot.node.get_topic_names_and_types()}
    for topic in (*topics.SUBSCRIBED, *topics.PUBLISHED):
        name = topic.name.replace("~", SEGMENTER) if topic.name[0] in "~/" else f"/{topic.name}"
        if topic.needs not in ("vision_msgs", "bond"):
            assert graph.get(name) == topic.type, topic
    services = {name: kinds[0] for name, kinds in robot.node.get_service_names_and_types()}
    for service in topics.SERVICES:
        assert services.get(service.name.replace("~", SEGMENTER)) == service.type


def test_diagnostics(robot: Operator) -> None:
    robot.click(RED)
    message = robot.latest(
        "/diagnostics", lambda m: any(v.key == "objects" and v.value == "1" for v in m.status[0].values)
    )
    values = {v.key: v.value for v in message.status[0].values}
    assert int(values["clouds received"]) > 0 and values["model"] == "random_walker"
    assert message.status[0].level == b"\0" or message.status[0].message
