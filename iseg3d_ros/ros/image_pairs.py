"""A colour and a depth image of nearest stamps, joined to a coloured cloud."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from iseg3d_ros.geometry.rgbd import Camera, camera_of, colour_bytes, depth_metres, unproject
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros.node_support import mismatch_in_words, nanoseconds, quality
from iseg3d_ros.ros.point_cloud2 import cloud_message
from iseg3d_ros.ros.settings import RgbdSettings


class ImagePairs:
    """One camera's three topics (colour, depth, calibration); `joined` is given a cloud for every depth image."""

    def __init__(
        self,
        node: Node,
        topics: tuple[str, str, str],
        settings: Callable[[], RgbdSettings],
        joined: Callable[[PointCloud2], object],
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._node, self._settings, self._joined, self._wanted = node, settings, joined, wanted
        self._camera: Camera | None = None
        self._colours: deque[Image] = deque(maxlen=settings().queue)
        self._depths: deque[Image] = deque(maxlen=settings().queue)
        color, depth, self._info_topic = topics
        self.subscriptions: list[Subscription] = [
            node.create_subscription(
                kind, topic, callback, quality(settings().reliability, 5),
                event_callbacks=mismatch_in_words(node, topic, "reliability"),
            )
            for kind, topic, callback in (
                (CameraInfo, self._info_topic, self._on_info),
                (Image, color, self._on_colour),
                (Image, depth, self._on_depth),
            )
        ]  # fmt: skip

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self._camera = camera_of(message)
        except ValueError as error:
            self._warn(str(error))

    def _on_colour(self, message: Image) -> None:
        self._colours.append(message)
        self._join()

    def _on_depth(self, message: Image) -> None:
        self._depths.append(message)
        self._join()

    def _join(self) -> None:
        """Hands on every depth image with its nearest colour image, or drops it when none can come any more."""
        slop = self._settings().slop
        while self._depths and self._colours:
            stamp = nanoseconds(self._depths[0].header.stamp)
            nearest = min(self._colours, key=lambda image: abs(nanoseconds(image.header.stamp) - stamp))
            apart = abs(nanoseconds(nearest.header.stamp) - stamp)
            if apart <= slop * SECOND:
                self._make(self._depths.popleft(), nearest)
            elif nanoseconds(self._colours[-1].header.stamp) > stamp:
                self._depths.popleft()
                self._warn(
                    f"a depth image has no colour image within {slop:g} s (the nearest is "
                    f"{apart / SECOND:.3f} s away): synchronise the camera, or raise slop"
                )
            else:
                return

    def _make(self, depth: Image, colour: Image) -> None:
        if self._camera is None:
            topic, last = self._node.resolve_topic_name(self._info_topic), self._info_topic.rpartition("/")[2]
            self._warn(f"images arrive, but nothing on {topic}: remap {self._info_topic} to the camera's {last}")
            return
        if not self._wanted():
            return
        wanted = self._settings()
        try:
            metres, pixels = depth_metres(depth, wanted.depth_scale), colour_bytes(colour)
        except ValueError as error:
            self._warn(str(error))
            return
        xyz, rgb = unproject(metres, pixels, self._camera, wanted.stride, wanted.near, wanted.far, wanted.organised)
        height = len(range(0, depth.height, wanted.stride)) if wanted.organised else 1
        message = cloud_message(clouds.plain(xyz, rgb), depth.header, height)
        message.is_dense = not wanted.organised
        self._joined(message)

    def _warn(self, sentence: Any) -> None:
        self._node.get_logger().warning(sentence, throttle_duration_sec=5.0)
