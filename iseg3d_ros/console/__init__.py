"""The operator's console in a browser. It knows no ROS: it talks to a `Work` (work.py) by typed updates and commands."""
