"""The action ~/segment_object: clicks to an object, with progress; a goal that does not succeed changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from iseg3d_ros.action import SegmentObject
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros.click_request import ClickRequest
from iseg3d_ros.ros.object_answer import Active, answer_with_object, sentence
from iseg3d_ros.ros.point_cloud2 import cloud_message, header
from iseg3d_ros.ros.services import REFUSALS, Written

Stage = SegmentObject.Feedback
STAGES = {
    Stage.WAITING: (0.0, "waiting for the segmenter"),
    Stage.ENCODING: (0.1, "the model looks at the cloud"),
    Stage.SEGMENTING: (0.7, "the model segments"),
    Stage.WRITING: (0.9, "the work is being written"),
}
CANCELLED = "cancelled: the work is as it was"
PREEMPTED = "a newer goal has taken this one's place: the work is as it was"


class Ended(Exception):
    """The goal is not wanted any more."""


class SegmentAction:
    """One goal at a time: the newest. Made and destroyed on the executor's thread."""

    def __init__(self, node: Node, active: Callable[[], Active]) -> None:
        """`active` gives the parts of an active node, or raises RuntimeError with a sentence."""
        self._node, self._active = node, active
        self._newest: Any = None
        self._server = ActionServer(
            node, SegmentObject, "~/segment_object", self._execute, callback_group=ReentrantCallbackGroup(),
            handle_accepted_callback=self._accepted, cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )  # fmt: skip

    def close(self) -> None:
        """Ends the server."""
        self._server.destroy()

    def _accepted(self, goal: Any) -> None:
        self._newest = goal
        goal.execute()

    async def _execute(self, goal: Any) -> SegmentObject.Result:
        result = SegmentObject.Result()
        try:
            await self._segment(goal, result)
            result.success = True
            goal.succeed()
        except Ended:
            result = SegmentObject.Result(message=CANCELLED if goal.is_cancel_requested else PREEMPTED)
            (goal.canceled if goal.is_cancel_requested else goal.abort)()
        except REFUSALS as error:
            result.message = sentence(error)
            goal.abort()
        except Exception as error:  # a fault of ours: the node lives on, the log has the traceback
            self._node.get_logger().error(f"the action failed: {error!r}")
            result.message = f"the segmenter failed: {error!r}"
            goal.abort()
        return result

    async def _segment(self, goal: Any, result: Any) -> None:
        """Three calls of the inference thread, so that others come in between and a cancelled goal costs no more."""
        active, wanted = self._active(), goal.request
        requests = [active.inputs.request(click) for click in wanted.clicks]
        if not requests:
            raise ValueError("the goal holds no click")
        self._tell(goal, Stage.WAITING)
        if wanted.capture:
            newest, at = active.worker.newest, active.worker.newest_at
            await active.worker.call(lambda: self._checked(goal) and active.work.capture(newest, at))
        await active.worker.call(lambda: self._encode(goal, active, requests[0]))
        await active.worker.call(lambda: self._click(goal, active, requests, result))
        self._tell(goal, Stage.WRITING)
        await Written(active.store, active.worker.wake)

    def _encode(self, goal: Any, active: Active, first: ClickRequest) -> None:
        """The cloud that the clicks are on; nothing of the work changes."""
        self._checked(goal)
        shown = active.work.shown_for(first)[0]
        self._tell(goal, Stage.ENCODING)
        active.work.session.model.prepare(shown)

    def _click(self, goal: Any, active: Active, requests: list[ClickRequest], result: Any) -> None:
        """Object, clicks and answer in one step, which does not count where one fails or nobody wants it now."""
        self._checked(goal)
        self._tell(goal, Stage.SEGMENTING)
        work, wanted, held = active.work, goal.request, active.work.stage.held
        try:
            with work.session.step():
                done = work.add_objects([wanted.id], [wanted.name] if wanted.name else [], requests)
                result.results, result.message, result.id = done.results, done.message, done.ids[0]
                if not done.success:
                    raise ValueError(done.message)
                view = answer_with_object(active, result.id, wanted.target_frame, result)
                self._checked(goal)
        except (Ended, *REFUSALS):
            work.stage.held = held
            work.refresh()
            raise
        chosen = np.asarray(result.sure_indices, np.int64)
        result.object_cloud = cloud_message(clouds.plain(view.points.xyz[chosen]), header(view))

    def _checked(self, goal: Any) -> bool:
        """True, or the goal's end."""
        if self._newest is not goal or goal.is_cancel_requested:
            raise Ended
        return True

    def _tell(self, goal: Any, stage: int) -> None:
        progress, text = STAGES[stage]
        goal.publish_feedback(SegmentObject.Feedback(stage=stage, progress=progress, text=text))
