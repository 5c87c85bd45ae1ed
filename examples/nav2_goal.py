"""From click to Nav2: drives to where the selected object can be reached, once, and says how it went.

The goal is the segmenter's approach pose: on free ground before the object, facing it. Select an object first.
Run beside the segmenter and Nav2: `python3 examples/nav2_goal.py`
"""

from __future__ import annotations

import sys

import rclpy
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient


def main() -> int:
    """Waits for the newest approach pose and hands it to Nav2's action."""
    rclpy.init()
    node = rclpy.create_node("nav2_goal")
    goals: list[PoseStamped] = []
    node.create_subscription(PoseStamped, "/segmenter/approach_pose", goals.append, 1)
    end = node.get_clock().now().nanoseconds + 10 * 10**9
    while not goals and node.get_clock().now().nanoseconds < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    if not goals:
        print("no approach pose within 10 s: /segmenter/feedback says why", file=sys.stderr)
        return 1
    client = ActionClient(node, NavigateToPose, "navigate_to_pose")
    if not client.wait_for_server(5.0):
        print("Nav2 offers no navigate_to_pose", file=sys.stderr)
        return 1
    sent = client.send_goal_async(NavigateToPose.Goal(pose=goals[-1]))
    rclpy.spin_until_future_complete(node, sent)
    if not sent.result().accepted:
        print("Nav2 refused the goal", file=sys.stderr)
        return 1
    ended = sent.result().get_result_async()
    rclpy.spin_until_future_complete(node, ended)
    print(f"Nav2 ended with status {ended.result().status} (4: arrived)")
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
