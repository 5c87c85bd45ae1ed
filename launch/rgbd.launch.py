"""A colour and depth camera's images to clouds, and the segmenter on them.

ros2 launch iseg3d_ros rgbd.launch.py color:=/camera/color depth:=/camera/aligned_depth_to_color rviz:=true
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("iseg3d_ros")
POINTS = "/rgbd_cloud/points"
ARGUMENTS = (
    ("color", "/camera/color", "namespace of the colour image and its camera_info"),
    ("depth", "/camera/aligned_depth_to_color", "namespace of the depth image, aligned to the colour image"),
    ("rgbd_params", PathJoinSubstitution([SHARE, "config", "rgbd_cloud.yaml"]), "the converter's parameter file"),
)


def generate_launch_description() -> LaunchDescription:
    """The converter, and segment.launch.py with its own arguments."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    segment = PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, "launch", "segment.launch.py"]))
    included = IncludeLaunchDescription(segment, launch_arguments={"points": POINTS}.items())
    return LaunchDescription([*declared, converter(), included])


def converter() -> Node:
    """Images to clouds."""
    color, depth = LaunchConfiguration("color"), LaunchConfiguration("depth")
    return Node(
        package="iseg3d_ros",
        executable="rgbd_cloud",
        name="rgbd_cloud",
        output="screen",
        parameters=[LaunchConfiguration("rgbd_params")],
        remappings=[
            ("~/color", [color, "/image_raw"]),
            ("~/camera_info", [color, "/camera_info"]),
            ("~/depth", [depth, "/image_raw"]),
            ("~/points", POINTS),
        ],
    )
