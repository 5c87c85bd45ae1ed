"""A segmenter's messages as the console's updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Header

from iseg3d_ros.clicks import Click as ModelClick
from iseg3d_ros.console.updates import (
    CloudUpdate,
    Done,
    HistoryUpdate,
    LabelsUpdate,
    ObjectState,
    Place,
    StateUpdate,
    Suggestion,
)
from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.interaction.view import LOST
from iseg3d_ros.io.pointcloud2_read import Points, read_field, read_points
from iseg3d_ros.msg import Click, History, ObjectInfo, Objects
from iseg3d_ros.ros.conversion import point
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.node_support import nanoseconds, stamp_of
from iseg3d_ros.ros.point_cloud2 import STRUCTURED
from iseg3d_ros.ros.rotations import rotation_matrix


@dataclass(frozen=True)
class Key:
    """Which cloud it is: clicks on it say so."""

    frame: str = ""
    stamp: int = 0
    size: int = 0
    preview: bool = True


class HeardClouds:
    """Clouds as they come; what was sent already is not sent again for new labels."""

    def __init__(self, publish: Callable[..., None]) -> None:
        self._publish = publish
        self.shown = Key()
        self.serial = 0

    def newest(self, message: PointCloud2) -> bool:
        """A cloud of the sensor, which nobody has segmented."""
        points = read_points(message, structured=STRUCTURED)
        header = message.header
        # No stamp: a click on it is meant for the cloud that the segmenter takes at that moment.
        self._publish(self._cloud(Key(frame_name(header.frame_id), 0, len(points)), points))
        return True

    def labelled(self, message: PointCloud2) -> bool:
        """A result; whether any point of it has a label."""
        key = Key(frame_name(message.header.frame_id), nanoseconds(message.header.stamp), message.width, False)
        labels, *values = (read_field(message, name) for name in ("instance", "probability", "uncertainty"))
        points = read_points(message, structured=STRUCTURED)
        if points.kept is not None:
            labels, *values = (column[points.kept] for column in (labels, *values))
        cloud = [] if key == self.shown else [self._cloud(key, points)]
        # Together: a live cloud that is drawn before its labels come would flicker.
        self._publish(*cloud, LabelsUpdate(self.serial, labels.astype(np.int32), *values))
        return bool(labels.any())

    def _cloud(self, key: Key, points: Points) -> CloudUpdate:
        self.serial += 1
        self.shown = key
        xyz = np.ascontiguousarray(points.xyz)
        return CloudUpdate(self.serial, xyz, points.rgb, key.frame, key.preview, points.intensity)


def state_of(message: Objects) -> StateUpdate:
    """The state of the work."""
    hint = message.suggested_click
    known = hint.id if hint.label == Click.POSITIVE else ""
    return StateUpdate(
        objects=tuple(object_of(item) for item in message.objects),
        active=message.active_id,
        background=tuple(place(click.point) for click in message.background_clicks),
        suggestion=Suggestion(place(hint.point), known) if message.has_suggested_click else None,
        can_undo=message.can_undo,
        can_redo=message.can_redo,
        mode=message.mode,
        model=message.model,
        encode_ms=message.encode_milliseconds,
        segment_ms=message.segment_milliseconds,
    )


def click_message(click: ModelClick, new: bool, shown: Key) -> Click:
    """A click on the cloud that is shown: on an object by its id, on background without one, or on a new object."""
    label = Click.NEW_OBJECT if new else Click.POSITIVE if click.id else Click.NEGATIVE
    header = Header(frame_id=shown.frame, stamp=stamp_of(shown.stamp))
    return Click(header=header, id=click.id, label=label, point=point(click.point))


def history_of(message: History) -> HistoryUpdate:
    """What was done and undone."""
    steps = tuple(
        Done(each.verb, each.id, each.name, each.more, _bytes(each.color) if each.color.a else ())
        for each in message.steps
    )
    return HistoryUpdate(message.revision, steps, message.present)


def _bytes(color: ColorRGBA) -> tuple[int, int, int]:
    return round(255 * color.r), round(255 * color.g), round(255 * color.b)


def object_of(info: ObjectInfo) -> ObjectState:
    """One object with its box."""
    box = None
    if info.points:
        centre, size = np.array(place(info.pose.position)), np.array(place(info.size))
        turn = info.pose.orientation
        box = Box(centre, rotation_matrix(turn)[:3, :3], size)
    return ObjectState(
        info.id, info.name, info.index, _bytes(info.color), info.points, info.confidence, info.state == LOST,
        tuple(place(click.point) for click in info.clicks), box,
        guesses=tuple(zip(info.classes, info.class_probabilities, strict=True)),
    )  # fmt: skip


def place(message: object) -> Place:
    """x, y, z of a Point or Vector3."""
    return float(message.x), float(message.y), float(message.z)  # type: ignore[attr-defined]
