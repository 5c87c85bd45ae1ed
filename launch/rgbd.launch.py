"""A colour and depth camera's images to clouds, and the segmenter on them.

ros2 launch iseg3d_ros rgbd.launch.py color_image:=/camera/color/image_raw rviz:=true
"""

from launch import LaunchDescription

from iseg3d_ros.ros.launching import description


def generate_launch_description() -> LaunchDescription:
    """The names are those of a RealSense camera's driver."""
    color, depth = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"
    return description(__file__, color_image=color, depth_image=depth)
