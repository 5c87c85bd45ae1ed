"""The images of a camera for the console's page: the newest one, with where its camera stands in the shown cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from iseg3d_ros.console.updates import ImagesUpdate, Message
from iseg3d_ros.geometry.rgbd import Camera, camera_of, colour_bytes
from iseg3d_ros.io.bag_images import unpacked
from iseg3d_ros.io.camera_images import CameraImage
from iseg3d_ros.ros.console_conversion import Key
from iseg3d_ros.ros.frames import Frames, frame_name, frames_of
from iseg3d_ros.ros.node_support import nanoseconds, quality

PERIOD = 1.0  # seconds between two images that are shown: each is compared with the whole cloud


class ConsoleImages:
    """Listens while somebody watches; on the executor's thread."""

    def __init__(self, node: Node, publish: Callable[..., None], shown: Callable[[], Key]) -> None:
        self._node, self._publish, self._shown = node, publish, shown
        self._subscriptions: list[Subscription] = []
        self._frames: Frames | None = None
        self._camera: tuple[Camera, str] | None = None
        self._last, self._told, self._offered = 0.0, "", False

    def look(self) -> None:
        """Offer images where a camera publishes some."""
        topics = ("~/image", "~/image/compressed")
        there = any(self._node.count_publishers(self._node.resolve_topic_name(topic)) for topic in topics)
        if there != self._offered:
            self._offered = there
            self._publish(ImagesUpdate(offered=there))

    def watch(self, wanted: bool) -> None:
        """Listen from now on, or no longer."""
        if not wanted:
            self.close()
            return
        self._frames = self._frames or frames_of(self._node)
        if not self._subscriptions:
            table: list[tuple[Any, str, Callable[[Any], None]]] = [
                (CameraInfo, "~/camera_info", self._info),
                (Image, "~/image", self._image),
                (CompressedImage, "~/image/compressed", self._image),
            ]
            newest = quality("best_effort")
            self._subscriptions = [self._node.create_subscription(*row, newest) for row in table]

    def close(self) -> None:
        """Listen no longer."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._frames is not None:
            self._frames.close()
        self._frames, self._told = None, ""

    def _info(self, message: CameraInfo) -> None:
        try:
            self._camera = camera_of(message), frame_name(message.header.frame_id)
        except ValueError as error:
            self._say(str(error))

    def _image(self, message: Any) -> None:
        if self._camera is None or time.monotonic() - self._last < PERIOD:
            return
        self._last = time.monotonic()
        camera, frame = self._camera
        try:
            pixels = colour_bytes(message) if isinstance(message, Image) else unpacked(bytes(message.data))
            pose = self._pose(frame_name(message.header.frame_id) or frame, nanoseconds(message.header.stamp))
        except (ValueError, LookupError) as error:
            self._say(f"The camera's image cannot be shown: {error}")
            return
        height, width = pixels.shape[:2]
        shown = CameraImage(frame, camera.scaled(width, height), pose, lambda: pixels)
        self._publish(ImagesUpdate((shown,), offered=True))

    def _pose(self, frame: str, stamp: int) -> np.ndarray:
        """Where the camera was, in the shown cloud's frame; where older transforms are forgotten, by the newest."""
        assert self._frames is not None  # somebody watches
        frames, cloud = self._frames, self._shown()
        if frame == cloud.frame:
            return np.eye(4)
        fixed = frames.root(cloud.frame)
        try:
            return np.linalg.inv(frames.lookup(fixed, cloud.frame, cloud.stamp)) @ frames.lookup(fixed, frame, stamp)
        except LookupError:
            return frames.lookup(cloud.frame, frame, 0)

    def _say(self, sentence: str) -> None:
        if sentence != self._told:
            self._told = sentence
            self._publish(Message(sentence))
