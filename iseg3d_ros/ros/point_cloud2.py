"""A view of the work as PointCloud2 messages, one function a topic; buffers become messages without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from iseg3d_ros.interaction.current_cloud import Layouts
from iseg3d_ros.interaction.safe_sets import Safety, removable, sure_points
from iseg3d_ros.interaction.view import View
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import Structured
from iseg3d_ros.io.pointcloud2_write import CloudBuffer, fields_of
from iseg3d_ros.ros.node_support import stamp_of

try:
    from sensor_msgs_py.point_cloud2 import create_cloud
    from sensor_msgs_py.point_cloud2 import read_points as structured_points
except ImportError:  # it comes with ROS, not with pip: our own code gives the same
    create_cloud = structured_points = None

STRUCTURED: Structured | None = structured_points  # for io.pointcloud2_read.read_points
GREY = 110
_FIELDS: dict[np.dtype, list[PointField]] = {}  # every layout's fields, made once


def created(points: np.ndarray, header: Header) -> PointCloud2:
    """A structured array as PointCloud2, by sensor_msgs_py where it is installed; its bytes are copied once more."""
    fields, step = _fields(points.dtype), points.dtype.itemsize
    named = points[[field.name for field in fields]]  # without padding
    if create_cloud is not None and len(points):
        message = create_cloud(header, fields, named, step)
        message.is_dense = True
        return message
    buffer = CloudBuffer(points.dtype, len(points))
    buffer.points[:] = points
    return cloud_message(buffer, header)


def cloud_message(buffer: CloudBuffer, header: Header, height: int = 1) -> PointCloud2:
    """The PointCloud2 with a buffer's bytes, which are not copied: they serve result after result."""
    dtype = buffer.points.dtype
    width = len(buffer.points) // max(height, 1)
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=_fields(dtype),
        is_bigendian=False,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
        is_dense=True,
        **uncopied(PointCloud2),
    )
    message.data = buffer.data
    return message


def _fields(dtype: np.dtype) -> list[PointField]:
    if dtype not in _FIELDS:
        _FIELDS[dtype] = [PointField(name=n, offset=o, datatype=t, count=1) for n, o, t in fields_of(dtype)]
    return list(_FIELDS[dtype])


def uncopied(kind: Any) -> dict[str, bool]:
    """What makes a message take arrays as they are: from Jazzy on only one that checks its fields does not copy them.

    Only where they are assigned: the constructor copies them in any case.
    """
    return {"check_fields": True} if "_check_fields" in kind.__slots__ else {}


def header(view: View) -> Header:
    """Stamp and frame of the source cloud."""
    return Header(stamp=stamp_of(view.stamp), frame_id=view.frame)


def labelled(view: View) -> PointCloud2:
    """x y z [rgb] instance probability uncertainty [variance]."""
    masks = view.result
    buffer = clouds.labelled(
        view.layouts.labelled, masks.labels, masks.probability, masks.uncertainty, masks.variance
    )
    return cloud_message(buffer, header(view))


def segmentation_cloud(view: View) -> PointCloud2:
    """PointXYZCPE, in the source's order and shape."""
    return _segmentation(view, slice(None), view.layouts, header(view))


def segmentation_of(view: View, sensor: int) -> PointCloud2 | None:
    """The same for one of several sensors, in its own frame, at its own time; None where it has no part in the view."""
    part = next((each for each in view.cloud.parts if each.sensor == sensor), None)
    if part is None:
        return None
    return _segmentation(view, part.rows, part.layouts, Header(frame_id=part.frame, stamp=stamp_of(part.stamp)))


def _segmentation(view: View, rows: slice, layouts: Layouts, head: Header) -> PointCloud2:
    points, masks = layouts.points, view.result
    labels = points.at_message_places(masks.labels[rows], -1)
    probability = points.at_message_places(masks.probability[rows], 0.0)
    entropy = points.at_message_places(masks.uncertainty[rows], np.nan)
    message = cloud_message(clouds.classified(layouts.cpe, labels, probability, entropy), head, points.shape[0])
    message.is_dense = points.kept is None
    return message


def object_points(view: View, safety: Safety) -> PointCloud2:
    """The active object's points to grasp at."""
    active = view.active_object
    chosen = sure_points(view, active, safety.grasp) if active else np.zeros(0, np.int64)
    return cloud_message(clouds.plain(np.take(view.points.xyz.T, chosen, axis=1).T), header(view))


def scene_without_object(view: View, safety: Safety) -> PointCloud2:
    """All points but those that are the active object's for certain."""
    active = view.active_object
    if active is None:
        return cloud_message(clouds.plain(view.points.xyz), header(view))
    return cloud_message(clouds.plain(view.points.xyz.T[:, ~removable(view, active, safety)].T), header(view))


def full_cloud(view: View) -> PointCloud2:
    """x y z [rgb]."""
    return cloud_message(view.layouts.plain, header(view))


def coloured(view: View) -> PointCloud2:
    """Every object in its own colour, as markers and the console draw it; the rest is grey."""
    table = np.full((len(view.objects) + 1, 3), GREY, np.uint8)
    for item in view.objects:
        table[item.index] = np.rint(255 * np.array(item.colour))
    return cloud_message(clouds.plain(view.points.xyz, table[view.result.labels]), header(view))


def uncertainty(view: View) -> PointCloud2:
    """Coloured by entropy, from 0 to its largest value log(objects + 1)."""
    clicked = sum(bool(item.clicks) for item in view.objects)
    largest = float(np.log(max(clicked, 1) + 1))
    return cloud_message(clouds.coloured_by(view.points.xyz, view.result.uncertainty, largest), header(view))
