"""The segmenter on a cloud file with the browser console: a try-out on a machine that has ROS.

ros2 launch iseg3d_ros demo.launch.py play:=scan.ply
"""

from pathlib import Path

from launch import LaunchDescription

import iseg3d_ros
from iseg3d_ros.ros.launching import description


def generate_launch_description() -> LaunchDescription:
    """A made room is played unless another scene is given."""
    room = Path(iseg3d_ros.__file__).parent / "demo" / "room.npz"
    return description(__file__, play=str(room), console="true")
