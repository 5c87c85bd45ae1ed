"""A view of the work as ROS messages: one function a message."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped, Vector3
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Header

from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.geometry.transforms import quaternion
from iseg3d_ros.interaction.view import EMPTY, LOST, SEEN, ClickView, ObjectView, View
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.msg import Click, ObjectIndices, ObjectInfo, Objects, Segmentation
from iseg3d_ros.ros.node_support import stamp_of


def header(view: View) -> Header:
    """Stamp and frame of the source cloud."""
    return Header(stamp=stamp_of(view.stamp), frame_id=view.frame)


def labelled(view: View) -> PointCloud2:
    """x y z [rgb] instance probability uncertainty."""
    masks = view.masks
    buffer = clouds.labelled(view.layouts.labelled, masks.labels, masks.probability, masks.uncertainty)
    return buffer.message(header(view))


def segmentation_cloud(view: View) -> PointCloud2:
    """PointXYZCPE, in the source's order and shape."""
    points, masks = view.points, view.masks
    labels = points.at_message_places(masks.labels, -1)
    probability = points.at_message_places(masks.probability, 0.0)
    entropy = points.at_message_places(masks.uncertainty, np.nan)
    message = clouds.classified(view.layouts.cpe, labels, probability, entropy).message(header(view), points.shape[0])
    message.is_dense = points.kept is None
    return message


def object_points(view: View) -> PointCloud2:
    """The active object's points."""
    active = view.active_object
    chosen = view.indices(active.index) if active else np.zeros(0, np.int64)
    return clouds.plain(np.take(view.points.xyz.T, chosen, axis=1).T).message(header(view))


def scene_without_object(view: View) -> PointCloud2:
    """All points but the active object's."""
    active = view.active_object
    if active is None:
        return clouds.plain(view.points.xyz).message(header(view))
    return clouds.plain(view.points.xyz.T[:, view.masks.labels != active.index].T).message(header(view))


def full_cloud(view: View) -> PointCloud2:
    """x y z [rgb]."""
    return view.layouts.plain.message(header(view))


def uncertainty(view: View) -> PointCloud2:
    """Coloured by entropy, from 0 to its largest value log(objects + 1)."""
    largest = float(np.log(max(view.masks.objects, 1) + 1))
    return clouds.coloured_by(view.points.xyz, view.masks.uncertainty, largest).message(header(view))


def object_indices(view: View) -> ObjectIndices:
    """The full cloud and the active object's rows in it."""
    active = view.active_object
    message = ObjectIndices(header=header(view), cloud=full_cloud(view), **clouds.uncopied(ObjectIndices))
    if active is not None:
        message.indices = unsigned(view.indices(active.index))
        message.object = object_info(view, active)
    return message


def unsigned(indices: np.ndarray) -> array[int]:
    """A uint32[] field's value without a list on the way."""
    out = array("I")
    out.frombytes(indices.astype(np.uint32).tobytes())
    return out


def object_pose(view: View) -> PoseStamped | None:
    """Centre and orientation of the active object's box; None if there is none to be seen."""
    active = view.active_object
    measures = view.measures(active.index) if active else None
    return PoseStamped(header=header(view), pose=pose_of(measures.box)) if measures else None


def suggested_click(view: View) -> PointStamped:
    """Where the next click would help most; NaN if nowhere, so that an old suggestion does not stay."""
    place = view.masks.suggested[0] if view.masks.suggested else (float("nan"),) * 3
    return PointStamped(header=header(view), point=point(place))


def objects(view: View) -> Objects:
    """The whole state of the work."""
    message = Objects(
        header=header(view),
        objects=[object_info(view, item) for item in view.objects],
        active_id=view.active,
        background_clicks=[click(view, item) for item in view.background],
        can_undo=view.can_undo,
        can_redo=view.can_redo,
        mode=view.mode,
        model=view.model,
        cloud_points=len(view.points),
        encode_milliseconds=view.encode_ms,
        segment_milliseconds=view.segment_ms,
        message=view.message,
    )
    _suggest(view, message)
    return message


def segmentation(view: View) -> Segmentation:
    """One value a point of the message that was segmented, in its order: for the stateless service."""
    points, masks = view.points, view.masks
    message = Segmentation(
        **clouds.uncopied(Segmentation),
        header=header(view),
        objects=[object_info(view, item) for item in view.objects],
        model=view.model,
        encode_milliseconds=view.encode_ms,
        segment_milliseconds=view.segment_ms,
    )
    message.labels = _array("H", points.at_message_places(masks.labels.astype(np.uint16), 0))
    message.probability = _array("f", points.at_message_places(masks.probability, np.nan))
    message.uncertainty = _array("f", points.at_message_places(masks.uncertainty, np.nan))
    if masks.variance is not None:
        message.variance = _array("f", points.at_message_places(masks.variance, np.nan))
    _suggest(view, message)
    return message


def object_info(view: View, item: ObjectView) -> ObjectInfo:
    """One object, with its geometry in the view's frame."""
    message = ObjectInfo(
        id=item.id,
        name=item.name,
        index=item.index,
        state=LOST if item.lost else EMPTY,
        clicks=[click(view, each) for each in item.clicks],
        confidence=float("nan"),
        uncertainty=float("nan"),
        color=ColorRGBA(**dict(zip("rgb", item.colour, strict=True)), a=1.0),
    )
    measures = view.measures(item.index)
    if measures is not None:
        message.state = LOST if item.lost else SEEN
        message.points = measures.count
        message.pose = pose_of(measures.box)
        message.size = Vector3(**_xyz(measures.box.size))
        message.box_min, message.box_max = point(measures.low), point(measures.high)
        message.centroid = point(measures.centroid)
        message.confidence, message.uncertainty = measures.confidence, measures.uncertainty
    return message


def click(view: View, item: ClickView) -> Click:
    """A click at the point it was snapped to."""
    label = Click.POSITIVE if item.id else Click.NEGATIVE
    return Click(header=header(view), id=item.id, label=label, point=point(item.point))


def point(values: Iterable[float]) -> Point:
    """geometry_msgs/Point."""
    return Point(**_xyz(values))


def pose_of(box: Box) -> Pose:
    """Centre and orientation of a box."""
    pose = Pose(position=point(box.centre))
    turn = quaternion(box.rotation)
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = (float(v) for v in turn)
    return pose


def _suggest(view: View, message: Any) -> None:
    """Fills the fields for the suggested click."""
    if view.masks.suggested is None:
        return
    place, label = view.masks.suggested
    wanted = next((item.id for item in view.objects if item.index == label), "")
    message.has_suggested_click = True
    message.suggested_click = click(view, ClickView(place, wanted))


def _xyz(values: Iterable[float]) -> dict[str, float]:
    return {name: float(value) for name, value in zip("xyz", values, strict=True)}


def _array(kind: str, values: np.ndarray) -> array[Any]:
    out: array[Any] = array(kind)
    out.frombytes(values.astype({"H": np.uint16, "f": np.float32}[kind], copy=False).tobytes())
    return out
