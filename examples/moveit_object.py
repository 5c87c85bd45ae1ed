"""From click to grasp: the clicked object becomes MoveIt's CollisionObject, the rest of the cloud its obstacles.

Run beside the segmenter and move_group: `python3 examples/moveit_object.py --ros-args -p frame:=base_link`
"""

from __future__ import annotations

import rclpy
from geometry_msgs.msg import Pose
from iseg3d_ros.srv import GetObject
from moveit_msgs.msg import CollisionObject, PlanningScene
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from shape_msgs.msg import SolidPrimitive
from std_srvs.srv import Trigger


class MoveItObject(Node):
    """Asks the segmenter for the active object and puts it into the planning scene, on `~/take`."""

    def __init__(self) -> None:
        super().__init__("moveit_object")
        self._frame = self.declare_parameter("frame", "base_link").value
        self._object = self.create_client(GetObject, "/segmenter/get_object")
        self._scene = self.create_publisher(PlanningScene, "/planning_scene", 1)
        # For move_group's octomap: the scene without the object, so that the gripper may touch what it is to grasp.
        self._obstacles = self.create_publisher(PointCloud2, "~/obstacles", 1)
        self.create_subscription(PointCloud2, "/segmenter/scene_without_object", self._obstacles.publish, 1)
        self.create_service(Trigger, "~/take", self._take)

    def _take(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        future = self._object.call_async(GetObject.Request(target_frame=self._frame))
        future.add_done_callback(lambda done: self._put(done.result()))
        response.success, response.message = True, "the object is on its way into the planning scene"
        return response

    def _put(self, answer: GetObject.Response) -> None:
        """A box around the object; a grasp planner would take answer.cloud with answer.indices here."""
        if not answer.success:
            self.get_logger().error(answer.message)
            return
        size = answer.object.size
        thing = CollisionObject(header=answer.pose.header, id=answer.object.id, pose=answer.pose.pose)
        thing.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[size.x, size.y, size.z])]
        thing.primitive_poses = [Pose()]
        thing.operation = CollisionObject.ADD
        scene = PlanningScene(is_diff=True)
        scene.world.collision_objects = [thing]
        self._scene.publish(scene)
        self.get_logger().info(f"{answer.object.name}: {len(answer.indices)} points, {size.x:.2f} x {size.y:.2f} m")


def main() -> None:
    """Runs the node."""
    rclpy.init()
    rclpy.spin(MoveItObject())


if __name__ == "__main__":
    main()
