"""The ROS 2 side: nodes and message conversion. Nothing outside this sub-package imports rclpy or a message."""
