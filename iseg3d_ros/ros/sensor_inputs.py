"""Several sensors in one node: clouds and RGB-D cameras, of which what belongs together is handed on as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2

from iseg3d_ros.interaction.fusion import Bundle, Bundler
from iseg3d_ros.ros.image_pairs import ImagePairs
from iseg3d_ros.ros.node_support import mismatch_in_words, nanoseconds
from iseg3d_ros.ros.settings import RgbdSettings, SegmenterSettings


class SensorInputs:
    """Subscriptions to all sensors that the parameter `inputs` names; `lost` hears how many clouds were lost."""

    def __init__(
        self,
        node: Node,
        settings: Callable[[], SegmenterSettings],
        qos: QoSProfile,
        offer: Callable[[Bundle], object],
        lost: Callable[[int], None],
    ) -> None:
        self._offer, self.topics = offer, [node.resolve_topic_name(names[-1]) for names in settings().sensors]
        self._bundler = Bundler(len(self.topics), lambda: settings().fuse_window)
        begun = time.monotonic()
        self._heard = [begun] * len(self.topics)
        images = RgbdSettings(reliability=settings().points_reliability)
        self.subscriptions: list[Subscription] = []
        for number, names in enumerate(settings().sensors):
            add = partial(self._add, number)
            if len(names) == 1:
                events = mismatch_in_words(node, names[0], "points_reliability", lost)
                one = node.create_subscription(PointCloud2, names[0], add, qos, event_callbacks=events)
                self.subscriptions.append(one)
            else:
                color, depth, info = names
                self.subscriptions += ImagePairs(node, (color, depth, info), lambda: images, add).subscriptions

    def silent(self, seconds: float) -> list[str]:
        """Topics on which nothing has come for that long."""
        now = time.monotonic()
        return [topic for topic, heard in zip(self.topics, self._heard, strict=True) if now - heard > seconds]

    def _add(self, number: int, message: PointCloud2) -> None:
        self._heard[number] = time.monotonic()
        bundle = self._bundler.add(number, nanoseconds(message.header.stamp), message)
        if bundle is not None:
            self._offer(bundle)
