"""The cloud that a grasp network wants: all points, and which of them are the object's. Saves both for any planner.

Run beside the segmenter: `python3 examples/grasp_cloud.py grasp.npz`
"""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from iseg3d_ros.srv import GetObject

from iseg3d_ros.io.pointcloud2_read import read_points


def main(path: str) -> int:
    """Calls get_object once and writes xyz, indices and the box's pose."""
    rclpy.init()
    node = rclpy.create_node("grasp_cloud")
    client = node.create_client(GetObject, "/segmenter/get_object")
    if not client.wait_for_service(5.0):
        print("no segmenter offers /segmenter/get_object", file=sys.stderr)
        return 1
    future = client.call_async(GetObject.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
    answer = future.result()
    if answer is None or not answer.success:
        print(answer.message if answer else "no answer within 30 s", file=sys.stderr)
        return 1
    centre = answer.pose.pose.position
    np.savez(
        path,
        xyz=read_points(answer.cloud).xyz,
        indices=np.asarray(answer.indices),
        centre=np.array([centre.x, centre.y, centre.z]),
    )
    print(f"{path}: {answer.cloud.width} points, {len(answer.indices)} of them on {answer.object.name}")
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "grasp.npz"))
