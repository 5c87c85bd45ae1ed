"""The segmenter's publishers. Who comes late gets the newest state: small messages are latched after every change,
clouds are made for those who listen, and what was latched for others before is withdrawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, String
from visualization_msgs.msg import MarkerArray

from iseg3d_ros.interaction.safe_sets import Safety
from iseg3d_ros.interaction.view import View
from iseg3d_ros.msg import ClickResult, History, ObjectIndices, Objects
from iseg3d_ros.ros import conversion as messages
from iseg3d_ros.ros import markers, point_cloud2
from iseg3d_ros.ros.node_support import CLICKS, LATCHED, NEWEST, quality, vision_messages
from iseg3d_ros.ros.pose_stream import PoseStream
from iseg3d_ros.ros.settings import SegmenterSettings

SMALL = (Objects, History, PointStamped, MarkerArray)  # whose cost is not worth asking whether they are heard
FOLLOWS = {"~/history": lambda view: (view.history.revision, view.history.present)}
TIMES = ("receive_ms", "convert_ms", "encode_ms", "segment_ms", "publish_ms", "total_ms")


@dataclass
class Output:
    """One topic: how its publisher and its messages are made, and the view that was published last."""

    advertise: Callable[[], Publisher]
    make: Callable[[View], Any]
    latched: bool  # who comes later gets the last message from DDS itself
    small: bool  # made for every view, also while nobody listens
    follows: Callable[[View], object] | None = None  # from what, where many views have the same: those of live clouds
    told: object = None  # what the last message followed from
    serial: int = -1
    listeners: int = 0

    def __post_init__(self) -> None:
        self.publisher = self.advertise()

    def wanted(self, view: View) -> bool:
        """Whether there is somebody who has not been told of this view."""
        count = self.publisher.get_subscription_count()
        self.listeners = min(self.listeners, count)
        if self.serial != view.serial:
            return count > 0 or self.small
        return not self.latched and count > self.listeners

    def publish(self, view: View) -> None:
        """Makes the message and sends it; None is not sent."""
        self.listeners = self.publisher.get_subscription_count()
        follows = self.follows and self.follows(view)
        message = self.make(view) if follows is None or follows != self.told else None
        self.told = follows
        if message is not None:
            self.publisher.publish(message)
        self.serial = view.serial

    def stale(self, view: View) -> bool:
        """Whether who comes now would be given an older view."""
        return self.latched and self.serial not in (-1, view.serial) and self.publisher.get_subscription_count() == 0

    def withdraw(self, node: Node) -> None:
        """Takes back what is latched: DDS forgets a publisher's messages with the publisher."""
        node.destroy_publisher(self.publisher)
        self.publisher, self.serial, self.told = self.advertise(), -1, None


class Outputs:
    """All publishers of the segmenter; made and destroyed on the executor's thread, published to from the worker's."""

    def __init__(
        self,
        node: Node,
        settings: Callable[[], SegmenterSettings],
        poses: PoseStream,
        shown: Callable[[float, View], object],
    ) -> None:
        """`shown` hears of every new view that is out, and how many milliseconds it took."""
        self._node, self._settings, self._poses, self._shown = node, settings, poses, shown
        self._publishing = threading.Lock()  # a publisher must not go while the worker's thread uses it
        clouds = quality(settings().clouds_reliability)
        table: list[tuple[str, Any, QoSProfile, Callable[[View], Any]]] = [
            # Labels first: who waits for them shall not wait for the rest.
            ("~/labelled", PointCloud2, LATCHED, point_cloud2.labelled),
            ("~/segmentation", PointCloud2, NEWEST, point_cloud2.segmentation_cloud),
            ("~/objects", Objects, LATCHED, messages.objects),
            ("~/history", History, LATCHED, messages.history),
            ("~/object_pose", PoseStamped, NEWEST, self._pose),
            ("~/approach_pose", PoseStamped, NEWEST, self._approach),
            ("~/object_points", PointCloud2, clouds, self._object_points),
            (
                "~/scene_without_object",
                PointCloud2,
                clouds,
                self._scene,
            ),
            ("~/object_indices", ObjectIndices, LATCHED, messages.object_indices),
            ("~/suggested_click", PointStamped, LATCHED, messages.suggested_click),
            ("~/markers", MarkerArray, LATCHED, markers.markers),
            ("~/coloured", PointCloud2, LATCHED, point_cloud2.coloured),
            ("~/uncertainty", PointCloud2, LATCHED, point_cloud2.uncertainty),
        ]
        if (vision := vision_messages()) is not None:
            table.append(
                ("~/detections", vision.Detection3DArray, NEWEST, lambda view: markers.detections(view, vision))
            )
        for number in range(len(settings().sensors)):
            make = partial(point_cloud2.segmentation_of, sensor=number)
            table.append((f"~/segmentation/input_{number}", PointCloud2, NEWEST, make))
        self._outputs = {
            name: Output(
                partial(node.create_publisher, kind, name, q), make, q is LATCHED, kind in SMALL, FOLLOWS.get(name)
            )
            for name, kind, q, make in table
        }
        self._click_results = node.create_publisher(ClickResult, "~/click_result", CLICKS)
        self._feedback = node.create_publisher(String, "~/feedback", QoSProfile(depth=10))
        self._classes = node.create_publisher(String, "~/classes", LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        self._times = {n: node.create_publisher(Float64, f"~/debug/{n}", QoSProfile(depth=10)) for n in TIMES}

    def close(self) -> None:
        """Destroys the publishers."""
        publishers = [output.publisher for output in self._outputs.values()]
        self._outputs.clear()
        publishers += [*self._times.values(), self._click_results, self._feedback, self._classes, self._diagnostics]
        for publisher in publishers:
            self._node.destroy_publisher(publisher)

    def behind(self, view: View) -> bool:
        """Whether a topic has gained a subscriber since this view was published."""
        return any(output.wanted(view) for output in self._outputs.values())

    def withdraw_stale(self, view: View) -> None:
        """Nobody shall come late and be given what was latched before this view. On the executor's thread."""
        if self._publishing.acquire(blocking=False):  # else a newer view is on its way, and says so again
            try:
                for output in self._outputs.values():
                    if output.stale(view):
                        output.withdraw(self._node)
            finally:
                self._publishing.release()

    def publish(self, view: View) -> float:
        """Sends what is wanted of a view; milliseconds that it took."""
        start = time.perf_counter()
        with self._publishing:
            for output in self._outputs.values():
                if output.wanted(view):
                    output.publish(view)
        return 1e3 * (time.perf_counter() - start)

    def repeat_pose(self, view: View) -> None:
        """The active object's pose once more: consumers take an old stamp for a lost object."""
        publisher = self._outputs["~/object_pose"].publisher
        if publisher.get_subscription_count() > 0 and (pose := self._pose(view)) is not None:
            publisher.publish(pose)

    def _object_points(self, view: View) -> PointCloud2:
        return point_cloud2.object_points(view, safety(self._settings()))

    def _scene(self, view: View) -> PointCloud2:
        return point_cloud2.scene_without_object(view, safety(self._settings()))

    def _pose(self, view: View) -> PoseStamped | None:
        return self._poses.message(view, self._node.get_clock().now().nanoseconds)

    def _approach(self, view: View) -> PoseStamped | None:
        return self._poses.approach(view, self._node.get_clock().now().nanoseconds)

    def notify_operator(self, sentence: str) -> None:
        """A sentence for the operator."""
        self._feedback.publish(String(data=sentence))

    def tell_classes(self, names: Sequence[str]) -> None:
        """The classes that the model knows; who comes later hears them, too."""
        self._classes.publish(String(data="\n".join(names)))

    def click_result(self, result: ClickResult) -> None:
        """What became of a click."""
        self._click_results.publish(result)

    def show(self, view: View, since: float) -> None:
        """Sends a new view; `since` is time.perf_counter() at the click or cloud that caused it."""
        publish_ms = self.publish(view)
        total_ms = 1e3 * (time.perf_counter() - since)
        self._shown(total_ms, view)
        cloud = view.cloud
        for name, value in zip(
            TIMES,
            (cloud.receive_ms, cloud.convert_ms, view.encode_ms, view.segment_ms, publish_ms, total_ms),
            strict=True,
        ):
            if self._times[name].get_subscription_count() > 0:
                self._times[name].publish(Float64(data=float(value)))

    def diagnostics(self, level: int, sentence: str, values: dict[str, Any]) -> None:
        """The node's state on /diagnostics."""
        status = DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: segmentation",
            message=sentence,
            hardware_id="",
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def safety(settings: SegmenterSettings) -> Safety:
    """The parameters for what may be acted on."""
    return Safety(settings.grasp_probability, settings.removal_probability, settings.removal_margin)
