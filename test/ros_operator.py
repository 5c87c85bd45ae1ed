"""A robot's side of the nodes' tests: publishes clouds and clicks, keeps what comes back, calls services."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from conftest import NodeProcess, domain
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped, PoseStamped, TransformStamped
from iseg3d_ros.msg import Click, ClickResult, ObjectIndices, Objects
from iseg3d_ros.srv import SegmentCloud
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.point_cloud2 import cloud_message

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SEGMENTER = "/segmenter"
VOXEL = "voxel_size:=0.02"  # coarse, so that tests are fast
RED, BLUE, TABLE = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.4, -0.4, 0.0)  # places on the scene's things


def scene(
    seed: int = 0, shift: tuple[float, float] = (0.0, 0.0), second: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table top with a red and a blue cube: xyz float32, rgb uint8, truth (0 table, 1 red, 2 blue)."""
    rng = np.random.default_rng(seed)
    table = np.c_[rng.uniform(-0.6, 0.6, (20000, 2)), rng.normal(0, 0.0005, 20000)]
    parts, colours, truth = [table], [np.full((20000, 3), 120)], [np.zeros(20000, int)]
    places = [(shift[0], shift[1], (200, 30, 30)), (0.35, 0.1, (30, 30, 200))]
    for index, (x, y, colour) in enumerate(places[: 2 if second else 1], 1):
        cube, face = rng.uniform(-0.05, 0.05, (4000, 3)), rng.integers(0, 3, 4000)
        cube[np.arange(4000), face] = np.sign(cube[np.arange(4000), face]) * 0.05
        parts.append(cube + [x, y, 0.055])
        colours.append(np.tile(colour, (4000, 1)))
        truth.append(np.full(4000, index))
    return np.concatenate(parts).astype(np.float32), np.concatenate(colours).astype(np.uint8), np.concatenate(truth)


@contextlib.contextmanager
def operator(number: int) -> Iterator[Operator]:
    """An operator with a node and a context of its own."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=number)
    node = rclpy.create_node("operator", context=context)
    try:
        yield Operator(node)
    finally:
        node.destroy_node()
        context.shutdown()


def segmenter_process(folder: Path, *parameters: str) -> NodeProcess:
    """A segmenter with the model that needs no weights, ready."""
    process = node_process(folder, "segmenter", "autostart:=true", "model:=random_walker", VOXEL, *parameters)
    try:
        process.wait_for("ready: clouds on", 100)  # imports take long on a busy machine
    except AssertionError:
        process.end()
        raise
    return process


def node_process(folder: Path, node: str, *parameters: str, remap: tuple[str, ...] = ()) -> NodeProcess:
    """One of our nodes as `python -m`, its output in a file of the folder."""
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    arguments += [word for rule in remap for word in ("-r", rule)]
    command = [sys.executable, "-m", f"iseg3d_ros.ros.{node}_node", "--ros-args", *arguments]
    return NodeProcess(command, folder / f"{node}_{time.monotonic_ns()}.log")


class Operator:
    """Spins the test's node and remembers the newest message of every topic it was told to follow."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.executor = SingleThreadedExecutor(context=node.context)
        self.executor.add_node(node)
        self.heard: dict[str, list[Any]] = {}
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.sent = PointCloud2()
        self.follow("~/click_result", ClickResult, QoSProfile(depth=1000))
        self.follow("~/feedback", String, QoSProfile(depth=100))
        self.follow("~/objects", Objects, LATCHED)

    def follow(self, topic: str, kind: Any, qos: QoSProfile = LATCHED) -> None:
        """Subscribes; `~` is the segmenter."""
        self.heard[topic] = []
        self.node.create_subscription(kind, topic.replace("~", SEGMENTER), self.heard[topic].append, qos)

    def until(self, condition: Callable[[], Any], seconds: float = 120.0, what: str = "") -> Any:
        """Spins until the condition holds; its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                heard = {topic: len(messages) for topic, messages in self.heard.items()}
                said = [message.data for message in self.heard["~/feedback"]]
                raise AssertionError(f"not within {seconds} s: {what or condition}; heard {heard}; {said}")
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def spin(self, seconds: float) -> None:
        """Spins for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def publisher(self, topic: str, kind: Any, qos: QoSProfile | int = 10) -> Any:
        """A publisher that somebody listens to already."""
        name = topic.replace("~", SEGMENTER)
        if name not in self._publishers:
            self._publishers[name] = self.node.create_publisher(kind, name, qos)
            self.until(lambda: self._publishers[name].get_subscription_count() > 0, what=f"a subscriber of {name}")
            self.spin(0.2)  # it must have met this publisher as well, or it misses what comes first
        return self._publishers[name]

    def cloud_message(
        self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "sensor", stamp: int = 0
    ) -> PointCloud2:
        """A cloud, stamped now unless told otherwise."""
        now = self.node.get_clock().now().nanoseconds
        return cloud_message(clouds.plain(xyz, rgb), Header(frame_id=frame, stamp=stamp_of(stamp or now)))

    def send(self, message: PointCloud2) -> None:
        """Publishes a cloud."""
        self.publisher("~/points", PointCloud2).publish(message)
        self.sent = message

    def arrive(self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "sensor", stamp: int = 0) -> None:
        """Publishes a cloud until the segmenter has it."""
        self.deliver(self.cloud_message(xyz, rgb, frame, stamp))

    def deliver(self, message: PointCloud2) -> None:
        """Publishes a message until the segmenter has it: best effort may lose what comes before discovery ends."""

        def there() -> bool:
            self.send(message)
            answer = self.call("segment", SegmentCloud)
            return bool(answer.segmentation.header.stamp == message.header.stamp)

        self.until(there, what="the segmenter has the cloud")

    def forget(self) -> None:
        """Forgets what was heard."""
        self.spin(0.2)
        for messages in self.heard.values():
            messages.clear()

    def click(
        self, point: Any, topic: str = "~/click/positive", frame: str = "", stamp: int = 0, wait: bool = True
    ) -> ClickResult | None:
        """Publishes a PointStamped; what became of it."""
        message = PointStamped(header=Header(frame_id=frame, stamp=stamp_of(stamp)), point=place(point))
        return self._clicked(self.publisher(topic, PointStamped), message, wait)

    def program_click(self, point: Any, label: int, name: str = "") -> ClickResult | None:
        """Publishes the package's own Click."""
        return self._clicked(self.publisher("~/click", Click), Click(label=label, id=name, point=place(point)), True)

    def _clicked(self, publisher: Any, message: Any, wait: bool) -> ClickResult | None:
        before = len(self.heard["~/click_result"])
        publisher.publish(message)
        if not wait:
            return None
        self.until(lambda: len(self.heard["~/click_result"]) > before, what="what became of the click")
        result: ClickResult = self.heard["~/click_result"][-1]
        return result

    def call(self, service: str, kind: Any, seconds: float = 60.0, **fields: Any) -> Any:
        """Calls a service of the segmenter."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, f"{SEGMENTER}/{service}")
            self.until(self._clients[service].service_is_ready, what=f"the service {service}")
            self.spin(0.3)  # the service must have met this client as well, or its answer is dropped
        client = self._clients[service]
        self.until(client.service_is_ready, what=f"the service {service}")
        future = client.call_async(kind.Request(**fields))
        self.until(future.done, seconds, f"an answer of {service}")
        return future.result()

    def latest(self, topic: str, condition: Callable[[Any], bool] = lambda _: True, seconds: float = 60.0) -> Any:
        """The newest message of a topic that satisfies a condition, waited for."""
        heard = self.heard[topic]
        self.until(lambda: heard and condition(heard[-1]), seconds, f"a message on {topic}")
        return heard[-1]

    def objects(self, count: int) -> Objects:
        """The newest Objects with that many, each with points."""
        return self.latest("~/objects", lambda m: len(m.objects) == count and all(o.points for o in m.objects))


@dataclass(frozen=True)
class Shared:
    """One segmenter for many tests, and the folder in which it works."""

    robot: Operator
    folder: Path


@contextlib.contextmanager
def shared_segmenter() -> Iterator[Shared]:
    """A segmenter with an operator who follows all that it publishes."""
    with tempfile.TemporaryDirectory() as folder, domain() as number, operator(number) as robot:
        process = segmenter_process(Path(folder), f"session_directory:={folder}/work")
        for topic in ("labelled", "segmentation", "object_points", "scene_without_object", "uncertainty"):
            robot.follow(f"~/{topic}", PointCloud2, QoSProfile(depth=5))
        for topic, kind in (
            ("~/object_indices", ObjectIndices),
            ("~/object_pose", PoseStamped),
            ("~/suggested_click", PointStamped),
            ("~/markers", MarkerArray),
            ("/diagnostics", DiagnosticArray),
        ):
            robot.follow(topic, kind, QoSProfile(depth=10))
        try:
            yield Shared(robot, Path(folder))
        finally:
            process.end()


def cleared(robot: Operator) -> Operator:
    """The operator, once the segmenter is cleared and has received the made scene."""
    assert robot.call("clear", Trigger).success
    xyz, rgb, _ = scene()
    robot.arrive(xyz, rgb)
    robot.forget()
    return robot


def transform(
    robot: Operator, parent: str, child: str, place: tuple[float, float, float], stamp: int, static: bool = False
) -> None:
    """Publishes where a frame is in its parent."""
    from tf2_msgs.msg import TFMessage

    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp_of(stamp)
    message.transform.translation.x, message.transform.translation.y, message.transform.translation.z = place
    topic = "/tf_static" if static else "/tf"
    durability = DurabilityPolicy.TRANSIENT_LOCAL if static else DurabilityPolicy.VOLATILE
    qos = QoSProfile(depth=100, durability=durability)
    robot.publisher(topic, TFMessage, qos).publish(TFMessage(transforms=[message]))


def place(point: Any) -> Point:
    """geometry_msgs/Point of three numbers."""
    return Point(x=float(point[0]), y=float(point[1]), z=float(point[2]))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max((a | b).sum(), 1))
