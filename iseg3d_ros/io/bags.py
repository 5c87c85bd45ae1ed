"""rosbag2 folders and mcap files through `rosbags`: which topics there are, and their messages in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iseg3d_ros.geometry.transforms import SECOND, TransformTree
from iseg3d_ros.io.package_files import share_dir

CLOUD = "sensor_msgs/msg/PointCloud2"
TF = "tf2_msgs/msg/TFMessage"


@dataclass(frozen=True)
class Record:
    """One message of a bag: `raw` is its CDR serialisation, `time` when it was recorded (ns)."""

    topic: str
    type: str
    time: int
    raw: bytes


class Bag:
    """A bag that is open for reading until the end of its `with` statement."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"there is no bag at {path}")
        try:
            from rosbags.highlevel import AnyReader
        except ImportError:
            raise RuntimeError("bags are read by the Python package rosbags: pip install rosbags") from None
        self.path = path
        self.types = typestore()
        try:
            self._reader: Any = AnyReader([path], default_typestore=self.types)
            self._reader.open()
        except Exception as error:  # the reader's own errors are of many kinds
            raise ValueError(f"{self.path} cannot be read as a bag: {error}") from error

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def start(self) -> int:
        """When the first message was recorded."""
        return int(self._reader.start_time)

    def topics(self, kind: str) -> dict[str, int]:
        """Topics of a type and how many messages they have."""
        counts: dict[str, int] = {}
        for connection in self._reader.connections:
            if connection.msgtype == kind:
                counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
        return counts

    def cloud_topic(self, wanted: str = "") -> str:
        """The topic that was asked for, or the first with clouds."""
        topics = self.topics(CLOUD)
        if wanted and wanted not in topics:
            raise ValueError(f"{self.path} has no clouds on {wanted}; it has them on {', '.join(topics) or 'no topic'}")
        if not topics:
            raise ValueError(f"{self.path} has no topic of {CLOUD}")
        return wanted or sorted(topics)[0]

    def messages(self, *topics: str, since: int | None = None) -> Iterator[Record]:
        """The messages of these topics (all of them if none is named), in order of time, from a time (ns) on."""
        chosen = [c for c in self._reader.connections if not topics or c.topic in topics]
        messages = iter(self._reader.messages(connections=chosen, start=since))
        while (found := self._read(next, messages, None)) is not None:
            connection, time, raw = found
            yield Record(connection.topic, connection.msgtype, int(time), bytes(raw))

    def transforms(self) -> TransformTree:
        """All that the bag says of where its frames are."""
        tree = TransformTree(keep_seconds=1e9)
        for record in self.messages(*topics) if (topics := self.topics(TF)) else ():
            for item in self.decode(record).transforms:
                place, turn = item.transform.translation, item.transform.rotation
                pose = (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w)
                stamp = item.header.stamp.sec * SECOND + item.header.stamp.nanosec
                parent, child = item.header.frame_id.lstrip("/"), item.child_frame_id.lstrip("/")
                tree.insert(parent, child, stamp, pose, "static" in record.topic)
        return tree

    def decode(self, record: Record) -> Any:
        """The message as an object with ROS's attribute names (arrays are numpy's)."""
        return self._read(self._reader.deserialize, record.raw, record.type)

    def _read(self, read: Callable[..., Any], *what: Any) -> Any:
        try:
            return read(*what)
        except Exception as error:  # a damaged bag may be wrong in any way
            why = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{self.path} is damaged ({why[:400]}); copy it again, or reindex it.") from error


def typestore() -> Any:
    """The message definitions of Jazzy, and the package's own."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ("Click", "ObjectInfo", "Objects"):
        definition = (share_dir() / "msg" / f"{name}.msg").read_text(encoding="utf-8")
        store.register(get_types_from_msg(definition, f"iseg3d_ros/msg/{name}"))
    return store
