"""The segmenter on a cloud file with the browser console: a try-out on a machine that has ROS.

ros2 launch iseg3d_ros demo.launch.py scene:=scan.ply
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """segment.launch.py with a player and the console."""
    scene = DeclareLaunchArgument("scene", description="a cloud file, folder, sequence or bag")
    segment = PathJoinSubstitution([FindPackageShare("iseg3d_ros"), "launch", "segment.launch.py"])
    given = {"play": LaunchConfiguration("scene"), "console": "true"}
    source = PythonLaunchDescriptionSource(segment)
    return LaunchDescription([scene, IncludeLaunchDescription(source, launch_arguments=given.items())])
