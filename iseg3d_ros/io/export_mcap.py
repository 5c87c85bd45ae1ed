"""A labelled cloud as a recording of one moment: what RViz, Foxglove and `ros2 bag play` open, without ROS here."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, typestore

if TYPE_CHECKING:
    from iseg3d_ros.io.exports import LabelledResult

TEXT = "std_msgs/msg/String"
FRAME = "map"


def write_mcap(path: Path, result: LabelledResult) -> None:
    """One file: `/labelled` as the node publishes it, and `/objects`, their names, classes and boxes as JSON text."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    types, now = typestore(), time.time_ns()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        with Writer(Path(folder, "bag"), version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            for topic, kind, message in (
                ("/labelled", CLOUD, _cloud(types.types, result, now)),
                ("/objects", TEXT, types.types[TEXT](data=json.dumps(result.described()))),
            ):
                connection = writer.add_connection(topic, kind, typestore=types)
                writer.write(connection, now, types.serialize_cdr(message, kind))
        os.replace(next(Path(folder, "bag").glob("*.mcap")), path)


def _cloud(types: Any, result: LabelledResult, now: int) -> Any:
    """x y z [rgb] instance, and what else is known of the points."""
    cloud = result.cloud
    buffer = clouds.base(cloud.xyz, cloud.rgb, clouds.LABELLED if cloud.rgb is None else clouds.LABELLED_RGB)
    sure = np.ones(len(cloud.xyz), np.float32) if result.probability is None else result.probability
    doubt = np.zeros(len(cloud.xyz), np.float32) if result.uncertainty is None else result.uncertainty
    buffer = clouds.labelled(buffer, result.labels, sure, doubt, result.variance)
    layout = buffer.points.dtype
    fields = [types["sensor_msgs/msg/PointField"](name=name, offset=offset, datatype=kind, count=1)
              for name, offset, kind in clouds.fields_of(layout)]  # fmt: skip
    stamp = types["builtin_interfaces/msg/Time"](sec=now // SECOND, nanosec=now % SECOND)
    return types[CLOUD](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=FRAME), height=1, width=len(buffer.points),
        fields=fields, is_bigendian=False, point_step=layout.itemsize,
        row_step=layout.itemsize * len(buffer.points), data=np.frombuffer(buffer.data, np.uint8),
        is_dense=bool(np.isfinite(cloud.xyz).all()),
    )  # fmt: skip
