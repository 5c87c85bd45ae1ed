"""The operator's console in a browser. It knows no ROS: it talks to a `Work` by typed updates and commands."""
