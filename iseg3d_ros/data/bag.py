"""Labelled bags: every PointCloud2 with a field `instance` (what `iseg3d bag` and the node's ~/labelled write)."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled
from iseg3d_ros.io.bags import CLOUD, Bag
from iseg3d_ros.io.columns import LABEL
from iseg3d_ros.io.pointcloud2_read import read_field, read_points

SUFFIXES = (".mcap", ".db3", ".bag")


def recognises(path: Path) -> bool:
    """Whether a path is a bag: a file, or rosbag2's folder."""
    return path.suffix in SUFFIXES or (path / "metadata.yaml").is_file()


def bag(path: Path) -> Samples:
    """The clouds of the first topic whose clouds are labelled, in order of time; z must point up in their frame."""
    with Bag(path) as opened:
        topic, field = _labelled_topic(opened)
        count = opened.topics(CLOUD)[topic]
    return Samples([f"{path.stem}/{k:06d}" for k in range(count)], lambda k: _read(path, topic, field, k))


def _labelled_topic(opened: Bag) -> tuple[str, str]:
    for topic in sorted(opened.topics(CLOUD)):
        for record in islice(opened.messages(topic), 1):
            if field := _field(opened.decode(record)):
                return topic, field
    raise ValueError(f"{opened.path} has no labelled clouds: a field instance or label is expected, as `iseg3d bag` "
                     "writes it.")  # fmt: skip


def _field(message: Any) -> str:
    return next((each.name for each in message.fields if each.name in LABEL), "")


def _read(path: Path, topic: str, field: str, k: int) -> Sample:
    name = f"{path.stem}/{k:06d}"
    with Bag(path) as opened:
        message = opened.decode(next(islice(opened.messages(topic), k, None)))
    points = read_points(message)
    labels = np.asarray(read_field(message, field)).reshape(-1)
    labels = labels if points.kept is None else labels[points.kept]
    cloud = Cloud(np.ascontiguousarray(points.xyz), points.rgb)
    return Sample(name, labelled(name, cloud, labels, {}, "room"))
