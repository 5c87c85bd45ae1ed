"""A predictor that counts what it is asked, and a cloud for it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

XYZ = np.arange(30, dtype=np.float32).reshape(10, 3)


class Counting:
    """Labels the first point with the number of clicks, and the second with what it was given as previous."""

    name = "counting"

    def __init__(self, uses_previous: bool = False, hash: str = "a") -> None:
        self.uses_previous, self.hash = uses_previous, hash
        self.encoded, self.asked = 0, []  # type: ignore[var-annotated]

    def encode(self, xyz: np.ndarray, rgb: Any = None, up: Any = None, only: Any = None) -> Any:
        self.encoded += 1
        voxels = SimpleNamespace(size=0.05)
        return SimpleNamespace(
            points=len(xyz), notes=(), rotation=np.eye(3), voxels=voxels, voxel_of=lambda click: 0
        )  # fmt: skip

    def segment(self, scene: Any, clicks: Sequence[Click], previous: Any = None, carried: Any = None) -> Segmentation:
        self.asked.append(len(clicks))
        labels = np.zeros(scene.points, np.int32)
        labels[0] = len(clicks)
        if previous is not None:
            labels[1] = getattr(previous, "labels", previous)[0]
        ones = np.ones(scene.points, np.float32)
        return Segmentation(labels, ones, ones, None, Click((1.0, 2.0, 3.0), 1), 1, 0.0)


def cloud_of() -> CurrentCloud:
    return CurrentCloud(Points(XYZ, None, None, None, (1, 10)), "map", 7, None)
