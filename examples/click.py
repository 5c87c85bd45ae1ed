"""A click from a program: the thing at that place of the cloud becomes an object, and the active one.

Run beside the segmenter: `python3 examples/click.py 0.4 0.1 0.9 cup` (metres in the cloud's frame, the object's id)
"""

from __future__ import annotations

import sys
import time

import rclpy
from geometry_msgs.msg import Point
from iseg3d_ros.msg import Click
from iseg3d_ros.srv import AddObjects


def main(place: list[str], name: str) -> int:
    """Asks until the segmenter has a cloud, with patience for one that starts, and says what became of the click."""
    x, y, z = map(float, place)
    rclpy.init()
    node = rclpy.create_node("click")
    client = node.create_client(AddObjects, "/segmenter/add_objects")
    if not client.wait_for_service(120.0):
        print("no segmenter offers /segmenter/add_objects", file=sys.stderr)
        return 1
    click = Click(id=name, label=Click.POSITIVE, point=Point(x=x, y=y, z=z))
    for _ in range(30):  # a segmenter that has just started has no cloud yet
        future = client.call_async(AddObjects.Request(ids=[name], clicks=[click]))
        rclpy.spin_until_future_complete(node, future, timeout_sec=60.0)
        answer = future.result()
        if answer is None or answer.success:
            break
        time.sleep(1.0)
    print(answer.message if answer else "no answer within a minute")
    rclpy.shutdown()
    return 0 if answer and answer.success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:4], sys.argv[4] if len(sys.argv) > 4 else "object_1"))
