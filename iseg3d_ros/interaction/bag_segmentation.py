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

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.transforms import SECOND, TransformTree, apply
from iseg3d_ros.interaction.cloud_source import CloudSource, SourceSettings
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.object_messages import OBJECTS, ObjectMessages
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.session_states import from_json
from iseg3d_ros.interaction.view import View, list_objects
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, Bag, Record
from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.predictor import Predictor

LOST_AFTER = 0.3  # as the node's parameter of that name
FARTHEST_METRES = 0.1  # metres from a click to the cloud


@dataclass(frozen=True)
class Segmented:
    """One cloud of the bag as the node would show it."""

    number: int
    record: Record
    view: View


def read_clicks(path: Path) -> list[Click]:
    """`[{"point": [x, y, z], "object": "cup", "time": 0.0, "frame": ""}, ...]`, or a session that the node saved."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "format" in content:
            states, present = from_json(content)
            out = list(states[present].clicks)
        else:
            out = [_click(item) for item in content]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no clicks ({error}): {read_clicks.__doc__}") from error
    if not any(click.object for click in out):
        raise ValueError(f"{path} holds no click on an object: there is nothing to segment")
    return sorted(out, key=lambda click: click.time or 0.0)


def _click(item: dict[str, Any]) -> Click:
    x, y, z = (float(value) for value in item["point"])
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f"the point {item['point']} is not finite")
    frame, time = str(item.get("frame", "")), float(item.get("time", 0))
    return Click((x, y, z), str(item.get("object", "object")), frame, time)


class Offline:
    """Goes through a bag's clouds as the node does in live mode."""

    def __init__(self, predictor: Predictor, clicks: list[Click], fixed: str, say: Callable[[str], None]) -> None:
        self._session = InteractiveSession(predictor)
        self._session.model = SceneModel(predictor, say)
        self._source = CloudSource(SourceSettings("live", lost_after=LOST_AFTER))
        self._waiting, self._fixed, self._say = list(clicks), fixed, say
        self._tree = TransformTree()

    def run(self, bag: Bag, topic: str) -> Iterator[Segmented]:
        """Every cloud of a topic, with the objects that were clicked so far."""
        self._tree = bag.transforms()
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

    def _segment(self, number: int, record: Record, cloud: CurrentCloud, time: float) -> Segmented:
        session, source = self._session, self._source
        cloud.fixed = self._fixed or cloud.frame
        cloud.to_fixed = self._to(cloud.fixed, cloud.frame, cloud.stamp)
        source.on_cloud(cloud, time, session.clicks, session.ids)
        while self._waiting and (self._waiting[0].time or 0.0) <= time:
            self._place(self._waiting.pop(0), cloud)
        clicks = cloud.placed(session.clicks)
        result = session.model.segment_cloud(cloud, clicks, session.ids)
        cloud.masks, model = (result.labels, session.ids), session.model
        view = View(
            serial=number, cloud=cloud, up=cloud.up, result=result,
            objects=list_objects(session.ids, clicks, lost=source.lost, searching=source.searching), active="",
            background=tuple(click for click in clicks if not click.id), can_undo=False, can_redo=False, mode="live",
            model=model.name, encode_ms=model.encode_ms, segment_ms=model.segment_ms, message="",
        )  # fmt: skip
        return Segmented(number, record, view)

    def _place(self, click: Click, cloud: CurrentCloud) -> None:
        """A click on the cloud of its time; from here on it is followed."""
        matrix = self._to(cloud.frame, click.frame or cloud.frame, cloud.stamp)
        index, distance = cloud.nearest(apply(matrix, np.array(click.point)))
        if distance > FARTHEST_METRES:
            self._say(f"the click {click.point} is {distance:.2f} m from the cloud: it was not used")
            return
        if click.id and click.id not in self._session.ids:
            self._session.add(id=click.id)
        x, y, z = (float(value) for value in cloud.points.xyz[index])
        self._session.click((x, y, z), click.id)
        cloud.note(self._session.clicks[-1])

    def _to(self, target: str, source: str, stamp: int) -> np.ndarray:
        try:
            return self._tree.lookup(target, source, stamp)
        except LookupError as error:
            raise ValueError(f"the bag does not say where '{source}' is in '{target}': {error}") from error


def _shown(message: Any) -> CurrentCloud:
    points = read_points(message)
    if len(points) == 0:
        raise ValueError("it holds no points")
    stamp = message.header.stamp.sec * SECOND + message.header.stamp.nanosec
    return CurrentCloud(points, message.header.frame_id.lstrip("/"), stamp, None)


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
            try:
                os.replace(single[0] if single else self._folder / "bag", self._path)
            except OSError as error:
                kept = f"the bag is kept in {self._folder}"
                raise OSError(f"{self._path} cannot be written ({error.strerror}): {kept}") from error
        shutil.rmtree(self._folder, ignore_errors=True)

    def copy(self, record: Record) -> None:
        """A message as it is."""
        self._writer.write(self._connection(record.topic, record.type), record.time, record.raw)

    def labelled(self, topic: str, result: Segmented) -> None:
        """x y z [rgb] instance probability uncertainty [variance], as the node's ~/labelled."""
        view, masks = result.view, result.view.result
        buffer = clouds.labelled(
            view.layouts.labelled, masks.labels, masks.probability, masks.uncertainty, masks.variance
        )
        message = self._message(result.record, buffer)
        raw = self._source.types.serialize_cdr(message, CLOUD)
        self._writer.write(self._connection(topic, CLOUD), result.record.time, raw)
        assert len(view.points) == message.width

    def objects(self, topic: str, result: Segmented) -> None:
        """iseg3d_ros/Objects, as the node's ~/objects."""
        header = self._source.decode(result.record).header
        message = ObjectMessages(self._source.types.types).objects(result.view, header)
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
