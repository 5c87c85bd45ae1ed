"""The segmenter, and on request RViz, the browser console and a player of recorded clouds.

ros2 launch iseg3d_ros segment.launch.py points:=/lidar/points rviz:=true
"""

from launch import LaunchDescription

from iseg3d_ros.ros.launching import description


def generate_launch_description() -> LaunchDescription:
    """Clouds come on `points`."""
    return description(__file__)
