"""The node `rgbd_cloud`: colour, registered depth and camera_info in, a coloured cloud out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from iseg3d_ros.geometry.rgbd import Camera, camera_of, colour_bytes, depth_metres, unproject
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros.node_support import mismatch_in_words, nanoseconds, quality, run
from iseg3d_ros.ros.parameters import declare, read, refusal
from iseg3d_ros.ros.point_cloud2 import cloud_message
from iseg3d_ros.ros.settings import RgbdSettings


class RgbdCloud(Node):
    """Joins images whose stamps are nearest, and publishes one cloud per depth image."""

    def __init__(self) -> None:
        super().__init__("rgbd_cloud")
        declare(self, RgbdSettings)
        self.settings = read(self, RgbdSettings)
        self.add_on_set_parameters_callback(self._changed)
        self._camera: Camera | None = None
        self._colours: deque[Image] = deque(maxlen=self.settings.queue)
        self._depths: deque[Image] = deque(maxlen=self.settings.queue)
        self._points = self.create_publisher(PointCloud2, "~/points", quality("reliable"))
        for kind, topic, callback in (
            (CameraInfo, "~/camera_info", self._on_info),
            (Image, "~/color", self._on_colour),
            (Image, "~/depth", self._on_depth),
        ):
            events = mismatch_in_words(self, topic, "reliability")
            self.create_subscription(
                kind, topic, callback, quality(self.settings.reliability, 5), event_callbacks=events
            )

    def _changed(self, changes: list[Any]) -> SetParametersResult:
        reason = refusal(RgbdSettings, changes, active=True)
        if not reason:
            values = {**vars(self.settings), **{c.name: c.value for c in changes if hasattr(self.settings, c.name)}}
            self.settings = RgbdSettings(**values)
        return SetParametersResult(successful=not reason, reason=reason)

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
        """Publishes every depth image with its nearest colour image, or drops it when none can come any more."""
        while self._depths and self._colours:
            stamp = nanoseconds(self._depths[0].header.stamp)
            nearest = min(self._colours, key=lambda image: abs(nanoseconds(image.header.stamp) - stamp))
            apart = abs(nanoseconds(nearest.header.stamp) - stamp)
            if apart <= self.settings.slop * SECOND:
                self._publish(self._depths.popleft(), nearest)
            elif nanoseconds(self._colours[-1].header.stamp) > stamp:
                self._depths.popleft()
                self._warn(
                    f"a depth image has no colour image within {self.settings.slop:g} s (the nearest is "
                    f"{apart / SECOND:.3f} s away): synchronise the camera, or raise slop"
                )
            else:
                return

    def _publish(self, depth: Image, colour: Image) -> None:
        if self._camera is None:
            self._warn(f"images arrive, but nothing on {self.resolve_topic_name('~/camera_info')}: remap ~/camera_info")
            return
        if self._points.get_subscription_count() == 0:
            return
        wanted = self.settings
        try:
            metres, pixels = depth_metres(depth, wanted.depth_scale), colour_bytes(colour)
        except ValueError as error:
            self._warn(str(error))
            return
        xyz, rgb = unproject(metres, pixels, self._camera, wanted.stride, wanted.near, wanted.far, wanted.organised)
        height = len(range(0, depth.height, wanted.stride)) if wanted.organised else 1
        message = cloud_message(clouds.plain(xyz, rgb), depth.header, height)
        message.is_dense = not wanted.organised
        self._points.publish(message)

    def _warn(self, sentence: str) -> None:
        self.get_logger().warning(sentence, throttle_duration_sec=5.0)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(RgbdCloud, args)


if __name__ == "__main__":
    raise SystemExit(main())
