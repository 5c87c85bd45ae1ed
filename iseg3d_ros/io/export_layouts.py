"""Folders as public data sets have them: SemanticKITTI, KITTI's boxes, and Pointcept's ScanNet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.io import kitti

if TYPE_CHECKING:
    from iseg3d_ros.io.exports import LabelledResult

# Numbers of semantic-kitti.yaml, for objects whose class has one of these names; others are "other-object".
SEMANTIC_KITTI = {
    "car": 10, "bicycle": 11, "bus": 13, "motorcycle": 15, "truck": 18, "other-vehicle": 20, "person": 30,
    "bicyclist": 31, "motorcyclist": 32, "road": 40, "parking": 44, "sidewalk": 48, "other-ground": 49,
    "building": 50, "fence": 51, "vegetation": 70, "trunk": 71, "terrain": 72, "pole": 80, "traffic-sign": 81,
}  # fmt: skip
NO_CLASS = -1  # Pointcept's ignore index
# KITTI's camera looks along the LiDAR's x axis: its x is to the right, its y down.
CAMERA_FROM_LIDAR = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def write_label(path: Path, result: LabelledResult) -> None:
    """uint32 a point: the object in the upper 16 bits, its class in the lower."""
    labels = result.labels
    if len(labels) and not 0 <= labels.min() <= labels.max() < 1 << 16:
        raise ValueError("SemanticKITTI labels hold objects 0..65535 only.")
    classes = np.full(1 << 16, kitti.OTHER_OBJECT, np.uint32)
    classes[0] = 0
    for item in result.objects:
        classes[item.label] = SEMANTIC_KITTI.get(item.category, kitti.OTHER_OBJECT)
    path.write_bytes((labels.astype(np.uint32) << 16 | classes[labels]).astype("<u4").tobytes())


def write_semantickitti(folder: Path, result: LabelledResult, number: int) -> None:
    """sequences/00/velodyne/000000.bin and sequences/00/labels/000000.label."""
    sequence = folder / "sequences" / "00"
    for name in ("velodyne", "labels"):
        (sequence / name).mkdir(parents=True, exist_ok=True)
    kitti.write(sequence / "velodyne" / f"{number:06d}.bin", result.cloud)
    write_label(sequence / "labels" / f"{number:06d}.label", result)


def write_kitti(folder: Path, result: LabelledResult, number: int) -> None:
    """training/velodyne, label_2 and calib: boxes in a camera that stands where the LiDAR does and looks along x."""
    training = folder / "training"
    for name in ("velodyne", "label_2", "calib"):
        (training / name).mkdir(parents=True, exist_ok=True)
    kitti.write(training / "velodyne" / f"{number:06d}.bin", result.cloud)
    category = {item.label: _word(item.category or item.name or "DontCare") for item in result.objects}
    rows = [_kitti_row(category[label], box) for label, box in result.boxes.items()]
    (training / "label_2" / f"{number:06d}.txt").write_text("".join(rows), encoding="utf-8")
    (training / "calib" / f"{number:06d}.txt").write_text(_calibration(), encoding="utf-8")


def _word(text: str) -> str:
    return "_".join(text.split()) or "DontCare"


def _kitti_row(category: str, box: Box) -> str:
    """type truncated occluded alpha, 2D box, height width length, x y z of the bottom's middle, rotation_y.

    There is no picture, so the 2D box is empty and alpha is KITTI's "unknown", -10.
    """
    length, width, height = box.size
    yaw = np.arctan2(box.rotation[1, 0], box.rotation[0, 0])
    x, y, z = CAMERA_FROM_LIDAR @ (box.centre - [0, 0, height / 2])
    turn = (-yaw - np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
    numbers = " ".join(f"{value:.4f}" for value in (height, width, length, x, y, z, turn))
    return f"{category} 0.00 0 -10 0 0 0 0 {numbers}\n"


def _calibration() -> str:
    eye = np.hstack([np.eye(3), np.zeros((3, 1))])
    matrices = {f"P{index}": eye for index in range(4)}
    matrices["R0_rect"] = np.eye(3)
    matrices["Tr_velo_to_cam"] = np.hstack([CAMERA_FROM_LIDAR, np.zeros((3, 1))])
    matrices["Tr_imu_to_velo"] = eye
    return "".join(f"{name}: {' '.join(f'{v:.6e}' for v in matrix.ravel())}\n" for name, matrix in matrices.items())


def write_pointcept(folder: Path, result: LabelledResult, number: int) -> None:
    """scene000000/coord.npy, color, strength, segment and instance (-1: none), probability, uncertainty, variance."""
    scene = folder / f"scene{number:06d}"
    scene.mkdir()
    categories = sorted({item.category for item in result.objects if item.category})
    segment = np.full(int(max(result.labels.max(initial=0), 0)) + 1, NO_CLASS, np.int32)
    for item in result.objects:
        if item.category and item.label < len(segment):
            segment[item.label] = categories.index(item.category)
    columns = {
        "coord": result.cloud.xyz.astype(np.float32), "color": result.cloud.rgb, "strength": result.cloud.intensity,
        "segment": segment[result.labels], "instance": result.labels.astype(np.int32) - 1, **result.fields,
    }  # fmt: skip
    for name, values in columns.items():
        if values is not None:
            np.save(scene / f"{name}.npy", values)
    (scene / "classes.txt").write_text("".join(f"{name}\n" for name in categories), encoding="utf-8")
