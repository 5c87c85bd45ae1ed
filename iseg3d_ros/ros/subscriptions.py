"""The segmenter's subscriptions. Callbacks note what came and hand it to the inference thread; none of them waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from iseg3d_ros.msg import Click
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.node_support import CLICKS, mismatch_in_words, nanoseconds, quality
from iseg3d_ros.ros.settings import SegmenterSettings


@dataclass(frozen=True)
class ClickRequest:
    """A click as it arrived, and the newest cloud at that moment: the one the operator may have been looking at.

    `at` and `newest_at`: when they came, by time.perf_counter().
    """

    click: Click
    at: float
    newest: PointCloud2 | None
    newest_at: float

    @property
    def frame(self) -> str:
        """Frame of the point; empty: the cloud's."""
        return frame_name(self.click.header.frame_id)

    @property
    def stamp(self) -> int:
        """When it was given, or the stamp of the cloud that is meant; 0: the one shown now."""
        return nanoseconds(self.click.header.stamp)


class Inputs:
    """Clouds, clicks and goals; made and destroyed on the executor's thread."""

    def __init__(
        self,
        node: Node,
        settings: SegmenterSettings,
        worker: Worker[PointCloud2],
        on_click: Callable[[ClickRequest], object],
        on_goal: Callable[[PoseStamped, ClickRequest], object],
        shared_goals: Callable[[], bool],
    ) -> None:
        """`on_click` and `on_goal` are called on the worker's thread; `shared_goals`: whether goal_pose counts now."""
        self._shared_goals = shared_goals
        self._node, self._worker, self._on_click, self._on_goal = node, worker, on_click, on_goal
        self.lost = 0
        self.reliable = settings.points_reliability == "reliable"
        events = mismatch_in_words(node, "~/points", "points_reliability", self._lost)
        quality_of_points = quality(settings.points_reliability)
        self._subscriptions: list[Subscription] = [
            node.create_subscription(PointCloud2, "~/points", worker.offer, quality_of_points, event_callbacks=events),
            node.create_subscription(Click, "~/click", self._click, CLICKS),
            self._points("clicked_point", Click.POSITIVE),
            self._points("~/click/positive", Click.POSITIVE),
            self._points("~/click/negative", Click.NEGATIVE),
            self._points("~/click/new_object", Click.NEW_OBJECT),
            node.create_subscription(PoseStamped, "~/click/goal", self._goal, CLICKS),
            node.create_subscription(PoseStamped, "goal_pose", self._shared_goal, QoSProfile(depth=10)),
        ]

    def close(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def request(self, click: Click) -> ClickRequest:
        """A click together with what was there when it came."""
        return ClickRequest(click, time.perf_counter(), self._worker.newest, self._worker.newest_at)

    def _points(self, topic: str, label: int) -> Subscription:
        def clicked(message: PointStamped) -> None:
            self._click(Click(header=message.header, label=label, point=message.point))

        return self._node.create_subscription(PointStamped, topic, clicked, CLICKS)

    def _lost(self, count: int) -> None:
        self.lost += count

    def _click(self, click: Click) -> None:
        if self._worker.enabled:
            self._worker.call(partial(self._on_click, self.request(click)))

    def _goal(self, message: PoseStamped) -> None:
        if self._worker.enabled:
            place = click_at((0, 0, 0), message.header.frame_id, message.header.stamp)
            self._worker.call(partial(self._on_goal, message, self.request(place)))

    def _shared_goal(self, message: PoseStamped) -> None:
        if self._shared_goals():
            self._goal(message)


def click_at(point: Any, frame: str, stamp: Any) -> Click:
    """A positive click on the active object."""
    place = Point(x=float(point[0]), y=float(point[1]), z=float(point[2]))
    return Click(header=Header(frame_id=frame, stamp=stamp), label=Click.POSITIVE, point=place)
