"""The segmenter's subscriptions. Callbacks note what came and hand it to the inference thread; none of them waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2

from iseg3d_ros import limits
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.click_request import ClickRequest, CloudMessage, HeldCloud, click_at
from iseg3d_ros.ros.image_subscriptions import ImageInputs
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.node_support import CLICKS, mismatch_in_words, quality
from iseg3d_ros.ros.pointing import Pointing
from iseg3d_ros.ros.sensor_inputs import SensorInputs
from iseg3d_ros.ros.settings import SegmenterSettings


class Inputs:
    """Clouds, clicks and goals; made and destroyed on the executor's thread."""

    def __init__(
        self,
        node: Node,
        settings: Callable[[], SegmenterSettings],
        worker: Worker[CloudMessage],
        on_click: Callable[[ClickRequest], object],
        pointing: Pointing,
        refuse: Callable[[Click, str], object],
    ) -> None:
        """`on_click` and `pointing` are called on the worker's thread; `refuse` hears of clicks that have no room."""
        self._settings, self._refuse, self._held = settings, refuse, deque([HeldCloud(None, 0.0)])
        self._node, self._worker, self._on_click, self._pointing = node, worker, on_click, pointing
        self.lost = 0
        reliability = settings().points_reliability
        self.reliable = reliability == "reliable"
        self.sensors: SensorInputs | None = None
        self._subscriptions: list[Subscription] = [
            *self._clouds(quality(reliability)),
            node.create_subscription(Click, "~/click", self._click, CLICKS),
            self._points("clicked_point", Click.POSITIVE),
            self._points("~/click/positive", Click.POSITIVE),
            self._points("~/click/negative", Click.NEGATIVE),
            self._points("~/click/new_object", Click.NEW_OBJECT),
            node.create_subscription(PoseStamped, "~/click/goal", self._goal, CLICKS),
            node.create_subscription(PoseStamped, "goal_pose", self._shared_goal, QoSProfile(depth=10)),
        ]
        self._subscriptions += ImageInputs(node, pointing, self._hand, refuse).subscriptions

    def _clouds(self, qos: QoSProfile) -> list[Subscription]:
        """Those of ~/points, or of all sensors that `inputs` names."""
        if self._settings().sensors:
            self.sensors = SensorInputs(self._node, self._settings, qos, self._worker.offer, self._lost)
            return self.sensors.subscriptions
        events = mismatch_in_words(self._node, "~/points", "points_reliability", self._lost)
        offer = self._worker.offer
        return [self._node.create_subscription(PointCloud2, "~/points", offer, qos, event_callbacks=events)]

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
        self._hand(self._on_click, click)

    def _goal(self, message: PoseStamped) -> None:
        self._hand(self._pointing.goal, click_at((0, 0, 0), message.header.frame_id, message.header.stamp), message)

    def _hand(self, verb: Callable[..., object], click: Click, *given: Any) -> None:
        """Lets the worker call a verb with what is given and the click, and with what was there when it came."""
        if self._worker.enabled:
            answer = self._worker.call(partial(verb, *given, self.request(click)))
            if answer.refusal:
                self._refuse(click, answer.refusal)

    def _shared_goal(self, message: PoseStamped) -> None:
        if self._settings().goal_pose_clicks:
            self._goal(message)
