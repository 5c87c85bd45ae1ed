"""From click to Nav2: hands the clicked object's pose to nav2_following or nav2_docking, and drives up to it.

nav2_docking: its SimpleChargingDock plugin listens to `detected_dock_pose` with `use_external_detection_pose: true`;
nav2_following, where the distribution has it (Jazzy has not), listens to `detected_dynamic_pose`.
Run beside the segmenter: `python3 examples/nav2_follow.py --ros-args -r pose:=detected_dynamic_pose`
"""

from __future__ import annotations

import rclpy
from geometry_msgs.msg import PoseStamped
from iseg3d_ros.msg import ObjectInfo, Objects
from rclpy.node import Node


class Follow(Node):
    """Passes the pose on while the object is seen, and stops when it is lost: Nav2 then times out by itself."""

    def __init__(self) -> None:
        super().__init__("follow")
        self._seen = False
        self._out = self.create_publisher(PoseStamped, "pose", 10)
        self.create_subscription(Objects, "/segmenter/objects", self._on_objects, 1)
        self.create_subscription(PoseStamped, "/segmenter/object_pose", self._on_pose, 1)

    def _on_objects(self, message: Objects) -> None:
        active = [item for item in message.objects if item.id == message.active_id]
        self._seen = bool(active) and active[0].state == ObjectInfo.SEEN

    def _on_pose(self, message: PoseStamped) -> None:
        if self._seen:
            self._out.publish(message)


def main() -> None:
    """Runs the node."""
    rclpy.init()
    rclpy.spin(Follow())


if __name__ == "__main__":
    main()
