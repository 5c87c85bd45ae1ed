"""The node `rgbd_cloud`: colour, registered depth and camera_info in, a coloured cloud out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from iseg3d_ros.ros.image_pairs import ImagePairs
from iseg3d_ros.ros.node_support import quality, run
from iseg3d_ros.ros.parameters import declare, read, refusal
from iseg3d_ros.ros.settings import RgbdSettings


class RgbdCloud(Node):
    """Publishes one cloud per depth image."""

    def __init__(self) -> None:
        super().__init__("rgbd_cloud")
        declare(self, RgbdSettings)
        self.settings = read(self, RgbdSettings)
        self.add_on_set_parameters_callback(self._changed)
        points = self.create_publisher(PointCloud2, "~/points", quality("reliable"))
        self._pairs = ImagePairs(
            self,
            ("~/color", "~/depth", "~/camera_info"),
            lambda: self.settings,
            points.publish,
            lambda: points.get_subscription_count() > 0,
        )

    def _changed(self, changes: list[Any]) -> SetParametersResult:
        reason = refusal(RgbdSettings, changes, active=True)
        if not reason:
            values = {**vars(self.settings), **{c.name: c.value for c in changes if hasattr(self.settings, c.name)}}
            self.settings = RgbdSettings(**values)
        return SetParametersResult(successful=not reason, reason=reason)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(RgbdCloud, args)


if __name__ == "__main__":
    raise SystemExit(main())
