"""Calibration scenes: crops of made scenes with one click an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from iseg3d_ros.clicks import VoxelClicks
from iseg3d_ros.pruning.importance import Calibration
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.config import AugmentConfig, DataConfig
from iseg3d_ros.training.samples import Crops, TrainingSample
from iseg3d_ros.training.simulate import SimulatedUser


def calibration(
    network: Any, folders: Sequence[str], count: int, voxels: int, seed: int, device: str = "cpu"
) -> Calibration:
    """`count` crops, drawn as in training, each with the simulated user's first clicks."""
    data = replace(DataConfig(), scenes=tuple(folders), max_voxels=voxels)
    data = replace(data, mixture=_present(data))
    crops = Crops(data, AugmentConfig(), network.settings.features, seed, 1, count)
    samples = [crops[index][0].to(device) for index in range(count)]
    return [(s.cloud, _clicks(s, seed + k), s.labels) for k, s in enumerate(samples)]


def _clicks(sample: TrainingSample, seed: int) -> VoxelClicks:
    return SimulatedUser(sparse_batch([sample.cloud.coords]), sample.labels, [sample.objects], [seed]).first(0.5)[0]


def _present(data: DataConfig) -> dict[str, float]:
    """The mixture's kinds that the folders really hold."""
    from iseg3d_ros.data.folder import SceneFolder

    found = {k: w for k, w in data.mixture.items() if len(SceneFolder(*data.scenes, split="train", kind=k))}
    if not found:
        raise ValueError(f"No training scenes in {', '.join(data.scenes)}: make some with iseg3d scenes.")
    return found
