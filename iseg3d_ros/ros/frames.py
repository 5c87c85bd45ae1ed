"""Transforms between frames: by tf2_ros where it is installed, else from /tf and /tf_static, else none at all."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import yaml
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from iseg3d_ros import limits
from iseg3d_ros.geometry.transforms import TransformTree
from iseg3d_ros.ros.inference_thread import NotYet
from iseg3d_ros.ros.node_support import nanoseconds
from iseg3d_ros.ros.rotations import pose_matrix


class Frames(Protocol):
    """4x4 transforms between frames at a time in nanoseconds (0: the newest)."""

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """Takes coordinates in `source` to `target`; LookupError says in words why that cannot be done."""

    def newest(self, target: str, source: str) -> tuple[np.ndarray, int]:
        """The newest transform and the time at which it is true (0: always)."""

    def root(self, frame: str) -> str:
        """The frame above all that a frame is connected with: it does not move, as far as TF tells."""

    def begin_anew(self) -> None:
        """Time has jumped back: what was known of moving frames belongs to another run."""

    def close(self) -> None:
        """Stops listening."""


def frames_of(node: Node) -> Frames:
    """The best source of transforms that this machine has. To be called on the executor's thread."""
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        pass
    else:
        return Tf2Frames(node)
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        node.get_logger().warning(
            "neither tf2_ros nor tf2_msgs is installed: clicks must come in the cloud's own frame"
        )
        return SameFrame()
    return TopicFrames(node, TFMessage)


class SameFrame:
    """No transforms at all."""

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """The identity, or a sentence."""
        if target == source:
            return np.eye(4)
        raise LookupError(
            f"'{source}' differs from '{target}', and without tf2_ros or tf2_msgs no transform is known: give clicks "
            f"in '{target}' (RViz: set the Fixed Frame to it), or install tf2_ros"
        )

    def newest(self, target: str, source: str) -> tuple[np.ndarray, int]:
        """The identity, or a sentence."""
        return self.lookup(target, source, 0), 0

    def root(self, frame: str) -> str:
        """The frame itself."""
        return frame

    def begin_anew(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to stop."""


class TopicFrames:
    """A transform tree fed by /tf and /tf_static."""

    def __init__(self, node: Node, message_type: Any) -> None:
        self._node = node
        self._tree = TransformTree()
        self._lock = threading.Lock()
        static = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(message_type, "/tf", self._moving, QoSProfile(depth=100)),
            node.create_subscription(message_type, "/tf_static", self._static, static),
        ]

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """As the tree knows it now."""
        with self._lock:
            return self._tree.lookup(target, source, stamp)

    def newest(self, target: str, source: str) -> tuple[np.ndarray, int]:
        """As the tree knows it now."""
        with self._lock:
            return self._tree.newest(target, source)

    def root(self, frame: str) -> str:
        """As the tree knows it now."""
        with self._lock:
            return self._tree.root(frame)

    def begin_anew(self) -> None:
        """The tree notices by itself, transform by transform."""

    def close(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _moving(self, message: Any) -> None:
        self._insert(message, static=False)

    def _static(self, message: Any) -> None:
        self._insert(message, static=True)

    def _insert(self, message: Any, static: bool) -> None:
        with self._lock:
            for item in message.transforms:
                place, turn = item.transform.translation, item.transform.rotation
                pose = (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w)
                stamp = nanoseconds(item.header.stamp)
                self._tree.insert(
                    frame_name(item.header.frame_id), frame_name(item.child_frame_id), stamp, pose, static
                )


class Tf2Frames:
    """tf2_ros' own buffer and listener."""

    def __init__(self, node: Node) -> None:
        import tf2_ros

        self._error = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=10))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """As the buffer knows it now."""
        return np.eye(4) if target == source else self._found(target, source, stamp)[0]

    def newest(self, target: str, source: str) -> tuple[np.ndarray, int]:
        """As the buffer knows it now."""
        return (np.eye(4), 0) if target == source else self._found(target, source, 0)

    def _found(self, target: str, source: str, stamp: int) -> tuple[np.ndarray, int]:
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
        except self._error as error:
            raise LookupError(f"tf2 says: {error}") from None
        pose = pose_matrix(found.transform.translation, found.transform.rotation)
        return pose, nanoseconds(found.header.stamp)

    def root(self, frame: str) -> str:
        """As the buffer knows it now."""
        frames = yaml.safe_load(self._buffer.all_frames_as_yaml()) or {}
        seen = {frame}
        while isinstance(frames, dict) and (parent := frames.get(frame, {}).get("parent")) and parent not in seen:
            seen.add(parent)
            frame = parent
        return frame

    def begin_anew(self) -> None:
        """Forgets what moves; static transforms stay in tf2's buffer."""
        self._buffer.clear()

    def close(self) -> None:
        """Ends the subscriptions."""
        self._listener.unregister()


class Patience:
    """How long a matter may wait for its transforms: `timeout` seconds from `since`; of one frame, not too many.

    The inference thread never waits: what has to, is asked again at its next turn.
    """

    def __init__(self, frames: Frames, timeout: Callable[[], float]) -> None:
        self._frames, self._timeout = frames, timeout
        self.since = 0.0  # when the present matter came, by time.perf_counter()
        self._waiting: Counter[str] = Counter()  # matters of this turn, by the frame that they wait for

    def begin_turn(self, since: float) -> None:
        """All that waits is asked again, first the cloud that came then."""
        self.since = since
        self._waiting.clear()

    def transform(self, target: str, source: str, stamp: int) -> np.ndarray:
        """A transform; NotYet while it may come, LookupError with a sentence when the time is up."""
        try:
            return self._frames.lookup(target, source, stamp)
        except LookupError as error:
            timeout, name = self._timeout(), source[: limits.NAME]
            crowd = self._waiting[name] >= limits.PENDING_OF_ONE or self._waiting.total() >= limits.PENDING
            if time.perf_counter() < self.since + timeout and not crowd:
                self._waiting[name] += 1
                raise NotYet from error
            late = f"and {self._waiting[name]} others wait for it" if crowd else f"within {timeout:g} s"
            raise LookupError(f"no transform from '{source}' to '{target}' {late}: {error}") from None


def frame_name(name: str) -> str:
    """tf2 knows no leading slash; some old drivers still write one."""
    return name.lstrip("/")
