"""A view of the work as ROS messages, clouds apart (`point_cloud2`): one function a message."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped, Pose
from std_msgs.msg import ColorRGBA

from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.interaction.object_messages import ObjectMessages
from iseg3d_ros.interaction.steps import Step, steps_of
from iseg3d_ros.interaction.view import ObjectView, View, colour_of
from iseg3d_ros.msg import History, HistoryStep, ObjectIndices, ObjectInfo, Objects, Segmentation
from iseg3d_ros.ros.point_cloud2 import full_cloud, header, uncopied


class RosTypes:
    """The generated classes of the ROS installation."""

    def __init__(self) -> None:
        self._classes: dict[str, Any] = {}

    def __getitem__(self, name: str, /) -> Any:
        if name not in self._classes:
            package, kind, message = name.split("/")
            self._classes[name] = getattr(import_module(f"{package}.{kind}"), message)
        return self._classes[name]


MESSAGES = ObjectMessages(RosTypes())


def object_indices(view: View) -> ObjectIndices:
    """The full cloud and the active object's rows in it."""
    active = view.active_object
    message = ObjectIndices(header=header(view), cloud=full_cloud(view), **uncopied(ObjectIndices))
    if active is not None:
        message.indices = unsigned(view.indices(active.index))
        message.object = object_info(view, active)
    return message


def unsigned(indices: np.ndarray) -> array[int]:
    """A uint32[] field's value without a list on the way."""
    out = array("I")
    out.frombytes(indices.astype(np.uint32).tobytes())
    return out


def suggested_click(view: View) -> PointStamped:
    """Where the next click would help most; NaN if nowhere, so that an old suggestion does not stay."""
    place = view.result.suggested_click.point if view.result.suggested_click else (float("nan"),) * 3
    return PointStamped(header=header(view), point=point(place))


def objects(view: View) -> Objects:
    """The whole state of the session."""
    return MESSAGES.objects(view, header(view))


def history(view: View) -> History:
    """What was done and undone, in the objects' colours."""
    told = view.history
    return History(revision=told.revision, steps=[_step(view, step) for step in steps_of(told)], present=told.present)


def _step(view: View, step: Step) -> HistoryStep:
    ordinal = view.ordinals.get(step.id)
    red, green, blue = colour_of(ordinal) if ordinal is not None else (0.0, 0.0, 0.0)
    color = ColorRGBA(r=red, g=green, b=blue, a=float(ordinal is not None))
    return HistoryStep(verb=step.verb, id=step.id, name=step.name, more=step.more, color=color)


def segmentation(view: View) -> Segmentation:
    """One value a point of the message that was segmented, in its order: for the stateless service."""
    points, masks = view.points, view.result
    message = Segmentation(
        **uncopied(Segmentation),
        header=header(view),
        objects=[object_info(view, item) for item in view.objects],
        model=view.model,
        encode_milliseconds=view.encode_ms,
        segment_milliseconds=view.segment_ms,
        **MESSAGES.suggestion(view, header(view)),
    )
    message.labels = _array("H", points.at_message_places(masks.labels.astype(np.uint16), 0))
    message.probability = _array("f", points.at_message_places(masks.probability, np.nan))
    message.uncertainty = _array("f", points.at_message_places(masks.uncertainty, np.nan))
    if masks.variance is not None:
        message.variance = _array("f", points.at_message_places(masks.variance, np.nan))
    return message


def object_info(view: View, item: ObjectView) -> ObjectInfo:
    """One object, with its geometry in the view's frame."""
    return MESSAGES.object(view, item, header(view))


def point(values: Iterable[float]) -> Point:
    """geometry_msgs/Point."""
    return MESSAGES.point(values)


def pose_of(box: Box) -> Pose:
    """Centre and orientation of a box."""
    return MESSAGES.pose(box)


def _array(kind: str, values: np.ndarray) -> array[Any]:
    out: array[Any] = array(kind)
    out.frombytes(values.astype({"H": np.uint16, "f": np.float32}[kind], copy=False).tobytes())
    return out
