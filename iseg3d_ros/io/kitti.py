"""KITTI's .bin sweeps and SemanticKITTI's .label files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.columns import Cloud

OTHER_OBJECT = 99  # SemanticKITTI's class "other-object": clicks know no classes


def read(path: Path) -> Cloud:
    """x y z intensity in float32; nuScenes' .pcd.bin has the ring as a fifth number."""
    width = 5 if path.name.endswith(".pcd.bin") else 4
    size = path.stat().st_size
    if size % (4 * width):
        raise ValueError(f"{path} is truncated, or no KITTI sweep: {size} bytes are not whole rows of {width} floats.")
    table = np.fromfile(path, "<f4").reshape(-1, width)
    return Cloud(np.ascontiguousarray(table[:, :3]), None, np.ascontiguousarray(table[:, 3]))


def write(path: Path, cloud: Cloud) -> None:
    """x y z intensity in float32, intensity 0 where there is none."""
    intensity = np.zeros(len(cloud), np.float32) if cloud.intensity is None else cloud.intensity
    with replacing(path) as stream:
        stream.write(np.column_stack([cloud.xyz, intensity]).astype("<f4").tobytes())


def read_labels(path: Path, count: int) -> np.ndarray:
    """Instance ids of a SemanticKITTI file: the upper 16 bits.

    Several classes count their instances separately; then (class, instance) pairs are numbered from 1. A file without
    instances gives its classes.
    """
    if path.stat().st_size != 4 * count:
        raise ValueError(f"{path} holds {path.stat().st_size // 4} labels, but the cloud has {count} points.")
    packed = np.fromfile(path, "<u4")
    instance = packed >> 16
    if not instance.any():
        return (packed & 0xFFFF).astype(np.int32)
    if len(np.unique(packed[instance > 0] & 0xFFFF)) == 1:
        return instance.astype(np.int32)
    labels = np.zeros(count, np.int32)
    labels[instance > 0] = np.unique(packed[instance > 0], return_inverse=True)[1].reshape(-1) + 1
    return labels


def write_labels(path: Path, cloud: Cloud) -> None:
    """uint32 a point: the object in the upper 16 bits, class "other-object" in the lower; background is 0."""
    if cloud.labels is None:
        raise ValueError(f"There are no labels to write to {path}.")
    if len(cloud) and not 0 <= cloud.labels.min() <= cloud.labels.max() < 1 << 16:
        raise ValueError("SemanticKITTI labels hold objects 0..65535 only.")
    objects = cloud.labels.astype(np.uint32)
    with replacing(path) as stream:
        stream.write((objects << 16 | np.where(objects > 0, OTHER_OBJECT, 0).astype(np.uint32)).astype("<u4").tobytes())
