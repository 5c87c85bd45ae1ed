"""The node `player`: clouds from files, sequences and bags as PointCloud2 with TF, at a rate, over and over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data import recordings
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import TF, Bag
from iseg3d_ros.ros.node_support import nanoseconds, quality, run, stamp_of
from iseg3d_ros.ros.parameters import declare, read, refusal
from iseg3d_ros.ros.point_cloud2 import created
from iseg3d_ros.ros.rotations import quaternion_message
from iseg3d_ros.ros.settings import PlayerSettings

TICK = 0.005  # seconds between two looks at the clock


@dataclass
class Event:
    """What is published when: `due` in nanoseconds from the start of the recording."""

    due: int
    cloud: PointCloud2 | None = None
    transforms: list[TransformStamped] = field(default_factory=list)
    static: bool = False


class Player(Node):
    """Publishes events when they are due, with stamps shifted to the present."""

    def __init__(self) -> None:
        super().__init__("player")
        declare(self, PlayerSettings)
        self.settings = read(self, PlayerSettings)
        if not self.settings.path:
            raise ValueError("the player has nothing to play: set the parameter path (-p path:=FILE)")
        self.add_on_set_parameters_callback(self._changed)
        self._open = ExitStack()
        self._points = self.create_publisher(
            PointCloud2, "~/points", quality(self.settings.reliability, 1, latched=True)
        )
        self._transforms = self._transform_publishers()
        self._events = self._recording()
        self._next: Event | None = next(self._events)
        self._start = self.get_clock().now().nanoseconds
        self._timer = self.create_timer(TICK, self._tick)
        self.get_logger().info(f"playing {self.settings.path} on {self._points.topic_name}")

    def destroy_node(self) -> None:
        """Closes the recording as well."""
        self._open.close()
        super().destroy_node()

    def _transform_publishers(self) -> tuple[Any, Any] | None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self.get_logger().warning("tf2_msgs is not installed: clouds are played without transforms")
            return None
        return (
            self.create_publisher(TFMessage, "/tf", QoSProfile(depth=100)),
            self.create_publisher(TFMessage, "/tf_static", quality("reliable", 100, latched=True)),
        )

    def _recording(self) -> Iterator[Event]:
        path = Path(self.settings.path).expanduser()
        if path.suffix == ".mcap" or (path / "metadata.yaml").is_file():
            bag = self._open.enter_context(Bag(path))
            return bag_events(bag, bag.cloud_topic(self.settings.topic), lambda: self.settings)
        return frame_events(recordings.frames_of(path), lambda: self.settings)

    def _tick(self) -> None:
        now = self.get_clock().now().nanoseconds
        while self._next is not None and self._start + self._next.due <= now:
            self._publish(self._next)
            try:
                self._next = next(self._events, None)
            except (ValueError, OSError) as error:
                self.get_logger().error(f"playing ends: {error}")
                self._next = None

    def _publish(self, event: Event) -> None:
        shift = 0 if self.settings.original_stamps else self._start
        headers = [item.header for item in event.transforms]
        for header in headers if event.cloud is None else [event.cloud.header, *headers]:
            header.stamp = stamp_of(max(nanoseconds(header.stamp) + shift, 0))
        if event.transforms and self._transforms is not None:
            from tf2_msgs.msg import TFMessage

            self._transforms[event.static].publish(TFMessage(transforms=event.transforms))
        if event.cloud is not None:
            self._points.publish(event.cloud)

    def _changed(self, changes: list[Any]) -> SetParametersResult:
        reason = refusal(PlayerSettings, changes, active=True)
        if not reason:
            known = {change.name: change.value for change in changes if hasattr(self.settings, change.name)}
            self.settings = replace(self.settings, **known)
        return SetParametersResult(successful=not reason, reason=reason)


def frame_events(frames: Sequence[recordings.Frame], current: Callable[[], PlayerSettings]) -> Iterator[Event]:
    """The events of cloud files; stamps are times from the start, or the sequence's own where they are asked for."""
    settings = current()
    frame_id = settings.frame or "sensor"
    if all(frame.pose is None for frame in frames):
        yield Event(0, transforms=[_transform(settings.fixed_frame, frame_id, 0, np.eye(4))], static=True)
    begun = 0
    cached: dict[Path, Cloud] = {}
    while True:
        settings = current()
        for due, frame in recordings.schedule(frames, settings.rate):
            time = frame.stamp if settings.original_stamps and frame.stamp is not None else begun + due
            cloud = cached.get(frame.path) or frame.read()
            if len(frames) == 1:
                cached[frame.path] = cloud
            pose = [] if frame.pose is None else [_transform(settings.fixed_frame, frame_id, time, frame.pose)]
            yield Event(begun + due, _message(cloud, frame_id, time), pose)
        if not current().loop:
            return
        begun += recordings.period(frames, settings.rate)


def bag_events(bag: Bag, topic: str, current: Callable[[], PlayerSettings]) -> Iterator[Event]:
    """The events of a bag. At a rate the whole of it runs faster or slower, so that transforms stay in step."""
    from importlib import import_module

    kinds = {record: import_module("tf2_msgs.msg").TFMessage for record in bag.topics(TF)} if _has_tf() else {}
    begun = 0
    while True:
        settings = current()
        last, scale = 0, _scale(bag, topic, settings.rate)
        for record in bag.messages(topic, *kinds):
            due = last = begun + int((record.time - bag.start) * scale)
            message = deserialize_message(record.raw, kinds.get(record.topic, PointCloud2))
            headers = [t.header for t in message.transforms] if record.topic in kinds else [message.header]
            for header in headers if not settings.original_stamps else []:
                taken = nanoseconds(header.stamp)
                header.stamp = stamp_of(max(begun + int((taken - bag.start) * scale), 0))
            if record.topic in kinds:
                yield Event(due, None, list(message.transforms), "static" in record.topic)
            else:
                message.header.frame_id = settings.frame or message.header.frame_id
                yield Event(due, message)
        if not current().loop:
            return
        begun = last + int(SECOND / (settings.rate or 10.0))


def _scale(bag: Bag, topic: str, rate: float) -> float:
    """How much slower than recorded, so that clouds come at `rate`; 0: as recorded."""
    if rate <= 0:
        return 1.0
    times = [record.time for record in bag.messages(topic)]
    spacing = (times[-1] - times[0]) / max(len(times) - 1, 1) / SECOND
    return 1.0 / (rate * spacing) if spacing > 0 else 1.0


def _has_tf() -> bool:
    from importlib.util import find_spec

    return find_spec("tf2_msgs") is not None


def _message(cloud: Cloud, frame_id: str, time: int) -> PointCloud2:
    finite = np.asarray(cloud.xyz, np.float32)
    return created(
        clouds.plain(finite, cloud.rgb, cloud.intensity).points, Header(frame_id=frame_id, stamp=stamp_of(time))
    )


def _transform(parent: str, child: str, time: int, pose: np.ndarray) -> TransformStamped:
    message = TransformStamped(header=Header(frame_id=parent, stamp=stamp_of(time)), child_frame_id=child)
    place, message.transform.rotation = message.transform.translation, quaternion_message(pose[:3, :3])
    place.x, place.y, place.z = (float(v) for v in pose[:3, 3])
    return message


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(Player, args)


if __name__ == "__main__":
    raise SystemExit(main())
