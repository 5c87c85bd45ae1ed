"""The segmenter as a process over DDS, in one frozen scene: what goes in and what comes out."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros, needs_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from iseg3d_ros.msg import Click, ObjectIndices
from iseg3d_ros.srv import AddObjects, GetObject, RemoveObject, SaveSession, SegmentCloud, SelectObject
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_operator import SEGMENTER, Operator, domain, iou, operator, place, scene, segmenter_process
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from iseg3d_ros import clicks as library
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.ros import topics
from iseg3d_ros.ros.convert import read_field, read_points

RED, BLUE, TABLE = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.4, -0.4, 0.0)
pytestmark = [needs_ros, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Operator, NodeProcess, Path]]:
    """One segmenter for all tests here; each test begins with it cleared."""
    with tempfile.TemporaryDirectory() as folder, domain() as number, operator(number) as robot:
        process = segmenter_process(Path(folder), f"session_directory:={folder}/work")
        for topic, kind in (
            ("~/labelled", PointCloud2),
            ("~/segmentation", PointCloud2),
            ("~/object_points", PointCloud2),
            ("~/scene_without_object", PointCloud2),
            ("~/uncertainty", PointCloud2),
            ("~/object_indices", ObjectIndices),
            ("~/object_pose", PoseStamped),
            ("~/suggested_click", PointStamped),
            ("~/markers", MarkerArray),
        ):
            robot.follow(topic, kind, QoSProfile(depth=5))
        robot.follow("/diagnostics", DiagnosticArray, QoSProfile(depth=10))
        try:
            yield robot, process, Path(folder)
        finally:
            process.end()


@pytest.fixture
def robot(shared: tuple[Operator, NodeProcess, Path]) -> Operator:
    """The operator with a cleared segmenter that has received the made scene."""
    one = shared[0]
    assert one.call("clear", Trigger).success
    xyz, rgb, _ = scene()
    one.arrive(xyz, rgb)
    one.forget()
    return one


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


def test_every_cloud_agrees_with_the_labels(robot: Operator) -> None:
    robot.click(RED)
    info = robot.objects(1).objects[0]
    mask = read_field(robot.latest("~/labelled", lambda m: read_field(m, "instance").any()), "instance") == 1
    xyz = scene()[0]
    assert info.points == mask.sum()
    robot.latest("~/object_points", lambda m: m.width == mask.sum())
    np.testing.assert_array_equal(read_points(robot.latest("~/object_points")).xyz, xyz[mask])
    rest = robot.latest("~/scene_without_object", lambda m: m.width == (~mask).sum())
    np.testing.assert_array_equal(read_points(rest).xyz, xyz[~mask])
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


@pytest.mark.parametrize(
    ("point", "frame", "words"),
    [
        ((9.0, 0.0, 0.0), "", "hit nothing: the cloud's nearest point is 8."),
        ((float("nan"), 0.0, 0.0), "", "not finite"),
        (RED, "nowhere", "names the frame 'nowhere'"),
    ],
)
def test_refused_clicks_say_why(robot: Operator, point: Any, frame: str, words: str) -> None:
    result = robot.click(point, frame=frame)
    assert result is not None and not result.accepted and words in result.reason
    robot.until(lambda: any(words in m.data for m in robot.heard["~/feedback"]), what="feedback")
    assert not robot.call("undo", Trigger).success or robot.call("redo", Trigger).success


def test_programs_click_with_ids(robot: Operator) -> None:
    unknown = robot.program_click(RED, Click.POSITIVE, "cup")
    assert unknown is not None and not unknown.accepted and "no object 'cup'" in unknown.reason
    new = robot.program_click(RED, Click.NEW_OBJECT, "cup")
    assert new is not None and new.accepted and new.id == "cup"
    again = robot.program_click(RED, Click.NEW_OBJECT, "cup")
    assert again is not None and not again.accepted and "already" in again.reason
    more = robot.program_click((0.0, 0.04, 0.105), Click.POSITIVE, "cup")
    assert more is not None and more.accepted
    wrong = robot.program_click(RED, 7)
    assert wrong is not None and not wrong.accepted and "label 7" in wrong.reason
    assert [
        len(o.clicks) for o in robot.latest("~/objects", lambda m: m.objects and len(m.objects[0].clicks) == 2).objects
    ] == [2]


def test_objects_come_and_go_and_come_back(robot: Operator) -> None:
    answer = robot.call(
        "add_objects",
        AddObjects,
        ids=["cup", ""],
        names=["the cup", "the box"],
        clicks=[Click(label=1, id="cup", point=place(RED))],
    )
    assert answer.success and answer.ids[0] == "cup" and list(answer.indices) == [1, 2]
    made = answer.ids[1]
    assert robot.program_click(BLUE, Click.POSITIVE, made).accepted  # type: ignore[union-attr]
    both = robot.objects(2)
    assert [o.name for o in both.objects] == ["the cup", "the box"] and both.can_undo
    assert robot.call("select_object", SelectObject, id="cup").success
    robot.latest("~/objects", lambda m: m.active_id == "cup")
    assert robot.call("remove_object", RemoveObject, id="cup").success
    left = robot.objects(1)
    assert (left.objects[0].id, left.objects[0].index) == (made, 1)
    assert robot.call("undo", Trigger).success
    assert [o.id for o in robot.objects(2).objects] == ["cup", made]
    assert robot.call("redo", Trigger).success
    robot.objects(1)
    for _ in range(2):  # the removal; the selection
        robot.call("undo", Trigger)
    robot.call("undo", Trigger)  # the click on the box
    robot.call("undo", Trigger)  # both objects with the cup's click: one step
    robot.latest("~/objects", lambda m: not m.objects and m.can_redo)


def test_misused_services_answer_in_words(robot: Operator) -> None:
    for service, kind, fields, words in (
        ("remove_object", RemoveObject, {"id": "ghost"}, "no object 'ghost'"),
        ("remove_object", RemoveObject, {}, "no object is active"),
        ("select_object", SelectObject, {"id": "ghost"}, "no object 'ghost'"),
        ("get_object", GetObject, {"id": "ghost"}, "no object 'ghost'"),
        ("add_objects", AddObjects, {}, "names no object"),
        ("add_objects", AddObjects, {"ids": ["a"], "names": ["x", "y"]}, "1 ids but 2 names"),
        ("save", SaveSession, {"format": "doc"}, "none of session"),
        ("save", SaveSession, {"path": "../../outside"}, "outside the session directory"),
        ("segment", SegmentCloud, {"clicks": [Click(label=1, point=place((50, 0, 0)))]}, "hit nothing"),
        ("segment", SegmentCloud, {"cloud": PointCloud2(width=3, height=1, point_step=12)}, "truncated"),
    ):
        answer = robot.call(service, kind, **fields)
        assert not answer.success and words in answer.message, (service, answer.message)
    refused = robot.call("add_objects", AddObjects, ids=["a", "b"], clicks=[Click(label=1, point=place(RED))])
    assert not refused.success and "without id" in refused.results[0].reason


def test_segment_leaves_the_work_alone(robot: Operator) -> None:
    robot.click(RED)
    before = robot.objects(1)
    clicks = [Click(label=1, id="b", point=place(BLUE)), Click(label=1, id="r", point=place(RED))]
    answer = robot.call("segment", SegmentCloud, clicks=clicks)
    assert answer.success and [o.id for o in answer.segmentation.objects] == ["b", "r"]
    labels = np.array(answer.segmentation.labels)
    truth = scene()[2]
    assert iou(labels == 1, truth == 2) > 0.7 and iou(labels == 2, truth == 1) > 0.7
    assert len(answer.segmentation.probability) == len(labels) == len(truth)
    robot.spin(0.5)
    assert robot.heard["~/objects"][-1].objects[0].id == before.objects[0].id


def test_get_object_feeds_a_grasp_sampler(robot: Operator) -> None:
    """Antipodal pairs on the object that leave room for fingers in the full cloud: both are needed."""
    open3d = pytest.importorskip("open3d", reason="open3d is not installed")
    robot.click(RED)
    answer = robot.call("get_object", GetObject)
    assert answer.success and answer.pose.header.frame_id == "sensor"
    xyz = read_points(answer.cloud).xyz.astype(float)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(np.ascontiguousarray(xyz)))
    thing = cloud.select_by_index(list(answer.indices))
    thing.estimate_normals(open3d.geometry.KDTreeSearchParamHybrid(0.02, 30))
    points, normals = np.asarray(thing.points), np.asarray(thing.normals)
    first = np.flatnonzero(np.abs(normals[:, 0]) > 0.95)[::20]
    grasps = []
    tree = open3d.geometry.KDTreeFlann(cloud)
    for index in first:
        across = points[np.abs(points - points[index] * [-1, 1, 1]).max(1) < 0.02]
        if len(across) and 0.05 < abs(across[0, 0] - points[index, 0]) < 0.15:
            outside = points[index] + [0.03 * np.sign(points[index, 0]), 0, 0.02]
            if tree.search_radius_vector_3d(outside, 0.005)[0] == 0:
                grasps.append(points[index])
    assert len(grasps) > 3
    assert np.abs(np.mean(grasps, 0)[:2]).max() < 0.05


def test_goal_pose_chooses_a_column(robot: Operator) -> None:
    publisher = robot.publisher("/goal_pose", PoseStamped)
    goal = PoseStamped()
    goal.header.frame_id = "sensor"
    goal.pose.position.x, goal.pose.position.y = 0.35, 0.1
    publisher.publish(goal)
    made = robot.objects(1)
    truth = scene()[2]
    labels = read_field(robot.latest("~/labelled", lambda m: read_field(m, "instance").any()), "instance")
    assert iou(labels == 1, truth == 2) > 0.7
    robot.click(RED, "~/click/new_object")
    robot.latest("~/objects", lambda m: m.active_id != made.active_id)
    publisher.publish(goal)
    robot.latest("~/objects", lambda m: m.active_id == made.active_id)


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


def test_saved_files(robot: Operator, shared: tuple[Operator, NodeProcess, Path]) -> None:
    robot.click(RED)
    robot.objects(1)
    for kind in ("ply", "pcd", "npz", "label", "session"):
        answer = robot.call("save", SaveSession, path=f"mine_{kind}", format=kind)
        assert answer.success and Path(answer.path).stat().st_size > 1000 * (kind != "session")
        assert str(shared[2]) in answer.path
    assert np.fromfile(answer.path.replace("mine_session.json", "mine_label.label"), np.uint32).shape == (28000,)


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
        if topic.needs != "vision_msgs":
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
