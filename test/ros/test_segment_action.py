"""The action ~/segment_object over DDS: result and feedback; cancelled, pre-empted and refused goals change nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from action_msgs.msg import GoalStatus
from iseg3d_ros.action import SegmentObject
from iseg3d_ros.msg import Click
from rclpy.action import ActionClient
from ros_operator import BLUE, RED, Operator, iou, place, scene

from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.ros.segment_action import PREEMPTED, SegmentAction

pytestmark = pytest.mark.timeout(180)
Stage = SegmentObject.Feedback


class Client:
    """Sends goals and waits for what becomes of them."""

    def __init__(self, robot: Operator) -> None:
        self._robot, self.stages = robot, list[int]()
        self._client = ActionClient(robot.node, SegmentObject, "/segmenter/segment_object")
        robot.until(self._client.server_is_ready, what="the action's server")

    def send(self, *clicks: Click, **more: Any) -> Any:
        """An accepted goal."""
        goal = SegmentObject.Goal(clicks=list(clicks), **more)
        sent = self._client.send_goal_async(goal, lambda message: self.stages.append(message.feedback.stage))
        self._robot.until(sent.done, what="whether the goal is accepted")
        return sent.result()

    def end(self, goal: Any) -> tuple[int, SegmentObject.Result]:
        """Status and result of a goal."""
        ended = goal.get_result_async()
        self._robot.until(ended.done, what="the goal's result")
        return ended.result().status, ended.result().result

    def close(self) -> None:
        """Ends the client."""
        self._client.destroy()


@pytest.fixture
def client(robot: Operator) -> Iterator[Client]:
    one = Client(robot)
    yield one
    one.close()


def on(point: tuple[float, float, float], label: int = Click.POSITIVE) -> Click:
    return Click(label=label, point=place(point))


def test_a_goal_becomes_an_object(robot: Operator, client: Client) -> None:
    goal = client.send(on(RED), on((0.2, -0.2, 0.0), Click.NEGATIVE), id="cup", name="a cup")
    status, result = client.end(goal)
    assert status == GoalStatus.STATUS_SUCCEEDED and result.success, result.message
    xyz, _, truth = scene()
    mask = np.zeros(len(xyz), bool)
    mask[result.indices] = True
    assert iou(mask, truth == 1) > 0.7
    assert result.id == result.object.id == "cup" and result.object.name == "a cup" and len(result.results) == 2
    assert set(result.sure_indices) <= set(result.indices) and len(result.probabilities) == len(result.indices)
    grasp = read_points(result.object_cloud).xyz
    np.testing.assert_array_equal(grasp, xyz[result.sure_indices])
    assert result.cloud.width == len(xyz) and result.pose.header.frame_id == "sensor"
    assert client.stages == [Stage.WAITING, Stage.ENCODING, Stage.SEGMENTING, Stage.WRITING]
    assert [item.id for item in robot.objects(1).objects] == ["cup"]


def test_what_was_wrong_is_said(robot: Operator, client: Client) -> None:
    status, result = client.end(client.send())
    assert status == GoalStatus.STATUS_ABORTED and "no click" in result.message
    status, result = client.end(client.send(on((9.0, 9.0, 9.0)), id="far"))
    assert status == GoalStatus.STATUS_ABORTED and not result.success and "hit nothing" in result.message
    status, result = client.end(client.send(on(RED), target_frame="nowhere"))
    assert status == GoalStatus.STATUS_ABORTED and "nowhere" in result.message
    robot.latest("~/objects", lambda m: not m.objects)


class Pretended:
    """A goal of the server without DDS: what it was told, and how it ended."""

    def __init__(self, *clicks: Click, **more: Any) -> None:
        self.request = SegmentObject.Goal(clicks=list(clicks), **more)
        self.is_cancel_requested, self.ended, self.stages = False, "", list[int]()

    def publish_feedback(self, message: Any) -> None:
        self.stages.append(message.stage)

    def succeed(self) -> None:
        self.ended = "succeeded"

    def abort(self) -> None:
        self.ended = "aborted"

    def canceled(self) -> None:
        self.ended = "canceled"


@pytest.fixture
def node(ros_domain: int, tmp_path: Any) -> Iterator[Any]:
    """A segmenter in this process with a cloud."""
    from iseg3d_ros.ros.testbed import segmenter

    with segmenter("random_walker", str(tmp_path), "frozen", voxel_size=0.02) as bench:
        xyz, rgb, _ = scene()
        bench.arrive(xyz, rgb)
        yield bench.node


def run(action: SegmentAction, goal: Pretended) -> Any:
    """Executes a goal to its end, on this thread."""
    coroutine = action._execute(goal)
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        threading.Event().wait(0.01)


@pytest.mark.parametrize("stage", [Stage.ENCODING, Stage.SEGMENTING])
@pytest.mark.parametrize("how", ["cancelled", "pre-empted"])
def test_a_goal_that_is_not_wanted_any_more_leaves_no_trace(node: Any, stage: int, how: str) -> None:
    """Its end is wished for in the middle of a stage, on the inference thread."""
    action, work = node._parts.action, node._parts.work
    first = Pretended(on(BLUE), id="before")
    action._newest = first
    assert run(action, first).success and first.ended == "succeeded"
    state = work.session.content()
    goal = Pretended(on(RED), id="cup")
    action._newest = goal
    tell: Callable[[Any], None] = goal.publish_feedback

    def told(message: Any) -> None:
        tell(message)
        if message.stage == stage:
            if how == "cancelled":
                goal.is_cancel_requested = True
            else:
                action._newest = Pretended()

    goal.publish_feedback = told  # type: ignore[method-assign]
    result = run(action, goal)
    assert goal.ended == ("canceled" if how == "cancelled" else "aborted") and not result.success
    assert ("cancelled" in result.message) if how == "cancelled" else (result.message == PREEMPTED)
    assert goal.stages[-1] == stage and work.ids == ["before"]
    assert work.session.content() == state, "history as well"


def test_the_newest_goal_wins_over_dds(robot: Operator, client: Client) -> None:
    """Many goals at once: the last one succeeds, of the others none leaves half an object."""
    goals = [client.send(on(RED), id=f"cup_{number}") for number in range(4)]
    ended = [client.end(goal) for goal in goals]
    assert ended[-1][0] == GoalStatus.STATUS_SUCCEEDED
    done = {f"cup_{index}" for index, (status, _) in enumerate(ended) if status == GoalStatus.STATUS_SUCCEEDED}
    state = robot.latest("~/objects", lambda m: {item.id for item in m.objects} == done)
    assert all(len(item.clicks) == 1 for item in state.objects)
