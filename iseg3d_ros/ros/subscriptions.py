"""The segmenter's subscriptions. Callbacks note what came and hand it to the inference thread; none of them waits."""

from __future__ import annotations

import time
from collections import deque
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

from iseg3d_ros import limits
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.node_support import CLICKS, mismatch_in_words, nanoseconds, quality
from iseg3d_ros.ros.settings import SegmenterSettings


@dataclass
class HeldCloud:
    """A cloud that clicks refer to, and when it came; let go, it stands for the one after it."""

    message: PointCloud2 | None
    at: float
    after: HeldCloud | None = None

    def there(self) -> HeldCloud:
        """This one, or the next that is still held."""
        held = self
        while held.message is None and held.after is not None:
            held = held.after
        return held


@dataclass(frozen=True)
class ClickRequest:
    """A click as it arrived (`at`: by time.perf_counter()), and the newest cloud then: what the operator looked at."""

    click: Click
    at: float
    held: HeldCloud

    @property
    def newest(self) -> PointCloud2 | None:
        """The newest cloud when the click came."""
        return self.held.there().message

    @property
    def newest_at(self) -> float:
        """When that cloud came."""
        return self.held.there().at

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
        refuse: Callable[[Click, str], object],
    ) -> None:
        """`on_click` and `on_goal` are called on the worker's thread; `shared_goals`: whether goal_pose counts now;
        `refuse` hears of clicks that have no room."""
        self._shared_goals, self._refuse, self._held = shared_goals, refuse, deque([HeldCloud(None, 0.0)])
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
        newest = self._worker.newest
        if newest is not None and self._held[-1].message is not newest:
            self._held[-1].after = HeldCloud(newest, self._worker.newest_at)
            self._held.append(self._held[-1].after)
            if len(self._held) > limits.PINNED_CLOUDS:
                self._held.popleft().message = None
        return ClickRequest(click, time.perf_counter(), self._held[-1])

    def _points(self, topic: str, label: int) -> Subscription:
        def clicked(message: PointStamped) -> None:
            self._click(Click(header=message.header, label=label, point=message.point))

        return self._node.create_subscription(PointStamped, topic, clicked, CLICKS)

    def _lost(self, count: int) -> None:
        self.lost += count

    def _click(self, click: Click) -> None:
        if self._worker.enabled:
            answer = self._worker.call(partial(self._on_click, self.request(click)))
            if answer.refusal:
                self._refuse(click, answer.refusal)

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
