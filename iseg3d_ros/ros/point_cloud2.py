"""Buffers as sensor_msgs/PointCloud2, without a copy of their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from iseg3d_ros.io.pointcloud2_write import CloudBuffer, fields_of

_FIELDS: dict[np.dtype, list[PointField]] = {}  # every layout's fields, made once


def cloud_message(buffer: CloudBuffer, header: Header, height: int = 1) -> PointCloud2:
    """The PointCloud2 with a buffer's bytes, which are not copied."""
    dtype = buffer.points.dtype
    if dtype not in _FIELDS:
        _FIELDS[dtype] = [PointField(name=n, offset=o, datatype=t, count=1) for n, o, t in fields_of(dtype)]
    width = len(buffer.points) // max(height, 1)
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=list(_FIELDS[dtype]),
        is_bigendian=False,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
        is_dense=True,
        **uncopied(PointCloud2),
    )
    message.data = buffer.data
    return message


def uncopied(kind: Any) -> dict[str, bool]:
    """What makes a message take arrays as they are: from Jazzy on only one that checks its fields does not copy them.

    Only where they are assigned: the constructor copies them in any case.
    """
    return {"check_fields": True} if "_check_fields" in kind.__slots__ else {}
