"""The same work over a whole recording, without ROS: clicks from a file, every cloud of a bag segmented and written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.geometry.transforms import SECOND, TransformTree, apply
from iseg3d_ros.interaction.current_cloud import Shown
from iseg3d_ros.interaction.scene_model import Model
from iseg3d_ros.interaction.tracking import Follower, Mark
from iseg3d_ros.interaction.view import Masks
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, TF, Bag, Record
from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.ros.bag_objects import OBJECTS, ObjectsMessages, view_of

LOST_AFTER = 0.3  # as the node's parameter of that name
FARTHEST = 0.1  # metres from a click to the cloud


@dataclass(frozen=True)
class TimedClick:
    """A click of a clicks file: `object` is an id ("" for background), `time` seconds from the bag's start."""

    point: tuple[float, float, float]
    object: str
    time: float = 0.0
    frame: str = ""


@dataclass(frozen=True)
class Segmented:
    """One cloud of the bag with its result."""

    number: int
    record: Record
    shown: Shown
    masks: Masks
    ids: tuple[str, ...]
    lost: frozenset[str]
    marks: tuple[Mark, ...]
    milliseconds: tuple[float, float]  # of the model, for the cloud and for the clicks


def read_clicks(path: Path) -> list[TimedClick]:
    """`[{"point": [x, y, z], "object": "cup", "time": 0.0, "frame": ""}, ...]`, or a session that the node saved."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "state" in content:
            clicks = [{"point": c["point"], "object": c["id"]} for c in content["state"]["clicks"]]
        else:
            clicks = content
        out = [_click(item) for item in clicks]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no clicks ({error}): {read_clicks.__doc__}") from error
    if not any(click.object for click in out):
        raise ValueError(f"{path} holds no click on an object: there is nothing to segment")
    return sorted(out, key=lambda click: click.time)


def _click(item: dict[str, Any]) -> TimedClick:
    x, y, z = (float(value) for value in item["point"])
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f"the point {item['point']} is not finite")
    return TimedClick((x, y, z), str(item.get("object", "object")), float(item.get("time", 0)), item.get("frame", ""))


class Offline:
    """Goes through a bag's clouds as the node does in live mode."""

    def __init__(self, predictor: Predictor, clicks: list[TimedClick], fixed: str, say: Callable[[str], None]) -> None:
        self._model = Model(predictor, say)
        self._waiting, self._fixed, self._say = list(clicks), fixed, say
        self._follower = Follower()
        self._ids: list[str] = []
        self._tree = TransformTree(keep_seconds=1e9)

    def run(self, bag: Bag, topic: str) -> Iterator[Segmented]:
        """Every cloud of a topic, with the objects that were clicked so far."""
        self._learn_transforms(bag)
        number = 0
        for record in bag.messages(topic):
            try:
                shown = _shown(bag.decode(record))
            except ValueError as error:
                self._say(f"cloud at {(record.time - bag.start) / SECOND:.3f} s left out: {error}")
                continue
            yield self._segment(number, record, shown, (record.time - bag.start) / SECOND)
            number += 1
        for click in self._waiting:
            self._say(f"the click at {click.time:g} s comes after the last cloud: it was not used")

    def _segment(self, number: int, record: Record, shown: Shown, time: float) -> Segmented:
        to_fixed = self._to(self._fixed or shown.frame, shown.frame, shown.stamp)
        followed = self._follower.follow(shown, to_fixed, self._ids, LOST_AFTER)
        places = dict(followed.places)
        while self._waiting and self._waiting[0].time <= time:
            self._place(self._waiting.pop(0), shown, to_fixed, places)
        masks = self._model.masks(shown, list(places.values()), self._ids, followed.labels)
        self._follower.learn(shown, to_fixed, masks.labels, self._ids)
        taken = self._model.encode_ms, self._model.segment_ms
        return Segmented(number, record, shown, masks, tuple(self._ids), followed.lost, tuple(places.values()), taken)

    def _place(self, click: TimedClick, shown: Shown, to_fixed: np.ndarray, places: dict[Mark, Mark]) -> None:
        """A click on the cloud of its time; from here on it is followed."""
        matrix = self._to(shown.frame, click.frame or shown.frame, shown.stamp)
        index, distance = shown.nearest(apply(matrix, np.array(click.point)))
        if distance > FARTHEST:
            self._say(f"the click {click.point} is {distance:.2f} m from the cloud: it was not used")
            return
        if click.object and click.object not in self._ids:
            self._ids.append(click.object)
        x, y, z = (float(value) for value in shown.points.xyz[index])
        mark = Mark((x, y, z), click.object)
        self._follower.anchor(mark, to_fixed, np.array(mark.point))
        places[mark] = mark

    def _to(self, target: str, source: str, stamp: int) -> np.ndarray:
        try:
            return self._tree.lookup(target, source, stamp)
        except LookupError as error:
            raise ValueError(f"the bag does not say where '{source}' is in '{target}': {error}") from error

    def _learn_transforms(self, bag: Bag) -> None:
        for record in bag.messages(*topics) if (topics := bag.topics(TF)) else ():
            for item in bag.decode(record).transforms:
                place, turn = item.transform.translation, item.transform.rotation
                pose = (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w)
                stamp = item.header.stamp.sec * SECOND + item.header.stamp.nanosec
                static = "static" in record.topic
                self._tree.insert(
                    item.header.frame_id.lstrip("/"), item.child_frame_id.lstrip("/"), stamp, pose, static
                )


def _shown(message: Any) -> Shown:
    points = read_points(message)
    if len(points) == 0:
        raise ValueError("it holds no points")
    stamp = message.header.stamp.sec * SECOND + message.header.stamp.nanosec
    return Shown(points, message.header.frame_id.lstrip("/"), stamp, None)


class LabelledBag:
    """Writes a bag with labelled clouds; it appears under its name only when it is whole."""

    def __init__(self, path: Path, source: Bag) -> None:
        if path.exists():
            raise ValueError(f"{path} is there already: name a file that is not, or remove it")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"the folder {path.absolute().parent} does not exist")
        self._path, self._source = path, source
        self._connections: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> LabelledBag:
        from rosbags.rosbag2 import StoragePlugin, Writer

        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.absolute().parent))
        plugin = StoragePlugin.SQLITE3 if self._path.suffix == ".db3" else StoragePlugin.MCAP
        self._writer = Writer(self._folder / "bag", version=9, storage_plugin=plugin)
        self._writer.open()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._writer.close()
        if kind is None:
            single = sorted((self._folder / "bag").glob(f"*{self._path.suffix}")) if self._path.suffix else []
            os.replace(single[0] if single else self._folder / "bag", self._path)
        shutil.rmtree(self._folder, ignore_errors=True)

    def copy(self, record: Record) -> None:
        """A message as it is."""
        self._writer.write(self._connection(record.topic, record.type), record.time, record.raw)

    def labelled(self, topic: str, result: Segmented) -> None:
        """x y z [rgb] instance probability uncertainty, as the node's ~/labelled."""
        points, masks = result.shown.points, result.masks
        buffer = clouds.labelled(result.shown.layouts.labelled, masks.labels, masks.probability, masks.uncertainty)
        message = self._message(result.record, buffer)
        raw = self._source.types.serialize_cdr(message, CLOUD)
        self._writer.write(self._connection(topic, CLOUD), result.record.time, raw)
        assert len(points) == message.width

    def objects(self, topic: str, result: Segmented, model: str) -> None:
        """iseg3d_ros/Objects, as the node's ~/objects."""
        header = self._source.decode(result.record).header
        message = ObjectsMessages(self._source.types.types).objects(view_of(result, model), header)
        raw = self._source.types.serialize_cdr(message, OBJECTS)
        self._writer.write(self._connection(topic, OBJECTS), result.record.time, raw)

    def _message(self, record: Record, buffer: clouds.CloudBuffer) -> Any:
        types = self._source.types.types
        dtype, size = buffer.points.dtype, len(buffer.points)
        fields = [
            types["sensor_msgs/msg/PointField"](name=n, offset=o, datatype=t, count=1)
            for n, o, t in clouds.fields_of(dtype)
        ]
        return types[CLOUD](
            header=self._source.decode(record).header,
            height=1,
            width=size,
            fields=fields,
            is_bigendian=False,
            point_step=dtype.itemsize,
            row_step=dtype.itemsize * size,
            data=np.frombuffer(buffer.data, np.uint8),
            is_dense=True,
        )

    def _connection(self, topic: str, kind: str) -> Any:
        if (topic, kind) not in self._connections:
            types = self._source.types
            self._connections[topic, kind] = self._writer.add_connection(topic, kind, typestore=types)
        return self._connections[topic, kind]


def export(folder: Path, kind: str, result: Segmented) -> None:
    """One file a cloud: PLY or npz, or SemanticKITTI's velodyne/*.bin with labels/*.label."""
    points, labels = result.shown.points, result.masks.labels
    cloud = Cloud(np.ascontiguousarray(points.xyz), points.rgb, np.zeros(len(points), np.float32), labels)
    if kind == "semantickitti":
        for name, suffix in (("velodyne", "bin"), ("labels", "label")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            write_cloud(folder / name / f"{result.number:06d}.{suffix}", cloud)
        return
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"probability": result.masks.probability, "uncertainty": result.masks.uncertainty}
    plain = Cloud(cloud.xyz, cloud.rgb, None, labels)
    write_cloud(folder / f"{result.number:06d}.{kind}", plain, fields)
