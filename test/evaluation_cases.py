"""A predictor whose answers are known, and clouds that are easy to follow by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.evaluation.protocol import Task
from iseg3d_ros.preprocessing.voxels import voxelise


@dataclass
class Nearest:
    """Labels every point like the nearest click: right once enough clicks are given, and easy to follow by hand."""

    calls: list[list[Click]] = field(default_factory=list)
    size: float = 0.05

    def encode(self, xyz: np.ndarray, rgb: Any, up: Any = None) -> Any:
        return SimpleNamespace(xyz=xyz, voxels=voxelise(xyz, self.size), notes=())

    def segment(self, scene: Any, clicks: list[Click], previous: Any = None) -> Any:
        self.calls.append(list(clicks))
        apart = np.linalg.norm(scene.xyz[:, None] - np.array([c.point for c in clicks])[None], axis=2)
        labels = np.array([c.object for c in clicks], np.int32)[apart.argmin(1)]
        probability = np.full(len(labels), 0.9, np.float32)
        return SimpleNamespace(labels=labels, probability=probability, uncertainty=1 - probability)


def row_of_blocks(*labels: int, points: int = 20) -> Task:
    """Blocks of points along x, one label each."""
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.random((points, 3)) * [1, 0.1, 0.1] + [k, 0, 0] for k in range(len(labels))])
    truth = np.repeat(np.array(labels, np.int32), points)
    return Task("blocks", xyz.astype(np.float32), None, truth, int(max(labels)))
