"""The segmenter as a process over DDS, in one frozen scene: clicks, goals and services, used and misused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import PoseStamped
from iseg3d_ros.msg import Click, History
from iseg3d_ros.srv import (
    AddObjects,
    GetObject,
    GoToStep,
    PeekClick,
    ProposeObjects,
    RemoveObject,
    SaveSession,
    SegmentCloud,
    SelectObject,
)
from ros_operator import BLUE, RED, TABLE, Operator, Shared, iou, place, scene
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from tables import stool

from iseg3d_ros.io.pointcloud2_read import read_field, read_points

pytestmark = pytest.mark.timeout(240)


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


def test_what_was_done_is_told_and_gone_along(robot: Operator) -> None:
    """One call goes where as many undos would; the list is told once for each change."""
    robot.program_click(RED, Click.NEW_OBJECT, "cup")
    robot.program_click(TABLE, Click.NEGATIVE)
    robot.program_click(BLUE, Click.NEW_OBJECT, "box")
    whole = robot.objects(2)
    robot.follow("~/history", History)
    told = robot.latest("~/history", lambda m: m.steps and m.steps[-1].id == "box")
    assert [(step.verb, step.id) for step in told.steps[-3:]] == [("new", "cup"), ("against", "cup"), ("new", "box")]
    assert told.present == len(told.steps)
    assert [step.color for step in told.steps[-2:]] == [item.color for item in whole.objects]
    first = told.present - 2  # others have been here before
    assert robot.call("go_to_step", GoToStep, revision=told.revision, step=first).success
    back = robot.objects(1)
    assert back.can_undo and back.can_redo and not back.background_clicks
    now = robot.latest("~/history", lambda m: m.present == first)
    assert now.revision == told.revision and now.steps == told.steps
    assert robot.call("select_object", SelectObject, id="").success
    robot.latest("~/history", lambda m: m.steps[-1].verb == "choose" and m.present == first + 1 == len(m.steps))
    stale = robot.call("go_to_step", GoToStep, revision=told.revision, step=first)
    assert not stale.success and "choose again" in stale.message
    seen = len(robot.heard["~/history"])
    assert robot.call("capture", Trigger).success  # another cloud, and nothing else was done
    robot.latest("~/objects", lambda m: "captured" in m.message)
    robot.spin(0.5)
    assert len(robot.heard["~/history"]) == seen


def test_what_a_click_would_hold_is_told_and_nothing_of_it_kept(robot: Operator) -> None:
    thing = Click(label=Click.NEW_OBJECT, point=place(BLUE))
    early = robot.call("peek", PeekClick, click=thing)
    assert not early.success and "clicked on" in early.message, "it encodes nothing: a click would have to wait for it"
    robot.program_click(RED, Click.NEW_OBJECT, "cup")
    before = robot.objects(1)

    def look(click: Click) -> Any:
        while "something else waits" in (answer := robot.call("peek", PeekClick, click=click)).message:
            robot.spin(0.1)  # the node repeats what a late listener has missed
        return answer

    seen = look(thing)
    assert seen.success, seen.message
    xyz, _, truth = scene()
    rows = [int(np.linalg.norm(xyz - (each.x, each.y, each.z), axis=1).argmin()) for each in seen.points]
    assert 100 < len(rows) <= 400 and seen.count > len(rows) and (truth[rows] == 2).mean() > 0.8
    more = look(Click(label=Click.POSITIVE, id="cup", point=place((0.0, 0.04, 0.105))))
    assert more.success and more.count > 100
    for wrong, words in (
        (Click(label=Click.POSITIVE, id="ghost", point=place(RED)), "POSITIVE"),
        (Click(label=Click.NEGATIVE, point=place(RED)), "NEW_OBJECT"),
        (Click(label=Click.NEW_OBJECT, point=place((50, 0, 0))), "hit nothing"),
    ):
        refused = look(wrong)
        assert not refused.success and words in refused.message
    robot.spin(0.5)
    after = robot.objects(1)
    assert [len(item.clicks) for item in after.objects] == [1] and after.can_redo == before.can_redo
    assert after.objects[0].points == before.objects[0].points


def test_what_could_be_an_object_is_proposed_and_accepted(robot: Operator) -> None:
    """Clicks, not masks: nothing of the operator's work changes until some are sent back."""
    answer = robot.call("propose", ProposeObjects, 120, tries=24)
    assert answer.success, answer.message
    assert len(answer.clicks) == len(answer.names) == len(answer.scores) == len(answer.points) >= 2
    assert set(answer.names) == {"object"} and min(answer.points) >= 30
    assert sorted(answer.scores, reverse=True) == list(answer.scores)
    first = answer.clicks[0]
    assert (first.id, first.label, first.header.frame_id) == ("object_1", Click.POSITIVE, "sensor")
    accepted = robot.call("add_objects", AddObjects, ids=[first.id], clicks=[first])
    assert accepted.success, accepted.message
    assert [item.id for item in robot.objects(1).objects] == ["object_1"]
    again = robot.call("propose", ProposeObjects, 120, tries=24)
    assert again.clicks[0].id == "object_2" and again.clicks[0].point == first.point
    refused = robot.call("propose", ProposeObjects, class_name="chair")
    assert not refused.success and "knows no classes" in refused.message


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


def test_segment_encodes_a_cloud_once_and_not_the_operators_again(robot: Operator) -> None:
    robot.click(RED)
    before = robot.objects(1)
    clicks = [Click(label=1, id="b", point=place(BLUE))]
    times = {robot.call("segment", SegmentCloud, clicks=clicks).segmentation.encode_milliseconds for _ in range(3)}
    assert len(times) == 1, "the second request with the same cloud encoded it again"
    assert robot.program_click(BLUE, Click.NEW_OBJECT, "box").accepted  # type: ignore[union-attr]
    assert robot.objects(2).encode_milliseconds == before.encode_milliseconds, "the operator's cloud was encoded again"


def test_an_objects_points_alone_are_segmented_into_its_parts(robot: Operator) -> None:
    xyz, truth = stool()
    seat, leg = (0.1, 0.1, 0.48), (0.03, 0.0, 0.2)
    whole = [Click(label=1, id="stool", point=place(at)) for at in (seat, leg)]
    floor = Click(label=0, point=place((0.7, 0.7, 0.0)))
    answer = robot.call("segment", SegmentCloud, cloud=robot.cloud_message(xyz), clicks=[*whole, floor])
    rows = np.flatnonzero(np.array(answer.segmentation.labels) == 1)
    assert iou(np.isin(np.arange(len(xyz)), rows), truth > 0) > 0.7
    parts = [Click(label=1, id=id, point=place(at)) for id, at in (("seat", seat), ("leg", leg))]
    answer = robot.call("segment", SegmentCloud, cloud=robot.cloud_message(xyz[rows]), clicks=parts)
    labels = np.array(answer.segmentation.labels)
    assert answer.success and len(labels) == len(rows)
    assert iou(labels == 1, truth[rows] == 1) > 0.7 and iou(labels == 2, truth[rows] == 2) > 0.7


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
    publisher = robot.publisher("~/click/goal", PoseStamped)
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


def test_a_goal_that_drives_the_robot_makes_no_object(robot: Operator) -> None:
    goal = PoseStamped()
    goal.header.frame_id = "sensor"
    robot.publisher("/goal_pose", PoseStamped).publish(goal)
    robot.spin(1.0)
    assert not robot.call("get_object", GetObject).success
    assert not [message for message in robot.heard["~/objects"] if message.objects]


def test_an_id_stands_for_one_object(robot: Operator) -> None:
    answer = robot.call("add_objects", AddObjects, ids=["a", "a"])
    assert not answer.success and "names a more than once" in answer.message


def test_saved_files(robot: Operator, shared: Shared) -> None:
    robot.click(RED)
    robot.objects(1)
    for kind in ("ply", "pcd", "npz", "label", "session"):
        answer = robot.call("save", SaveSession, path=f"mine_{kind}", format=kind)
        assert answer.success and Path(answer.path).stat().st_size > 1000 * (kind != "session")
        assert str(shared.folder) in answer.path
    assert np.fromfile(answer.path.replace("mine_session.json", "mine_label.label"), np.uint32).shape == (28000,)
