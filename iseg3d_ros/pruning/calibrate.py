"""Calibration scenes: crops of training scenes with one click an object."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.data.folder import SceneFolder
from iseg3d_ros.pruning.importance import Calibration
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.config import AugmentConfig, DataConfig
from iseg3d_ros.training.samples import Crops, TrainingSample
from iseg3d_ros.training.simulate import SimulatedUser


def calibration(
    network: Any,
    folders: Sequence[str],
    count: int,
    voxels: int,
    seed: int,
    device: str = "cpu",
    kinds: Collection[str] = (),
) -> Calibration:
    """`count` crops of made scenes (of some `kinds` only, if named), with the simulated user's first clicks."""
    data = replace(DataConfig(), scenes=tuple(folders))
    data = replace(data, mixture=_present(data, kinds or tuple(data.mixture)))
    return calibration_of(network, data, count, voxels, seed, device)


def calibration_of(
    network: Any, data: DataConfig, count: int, voxels: int, seed: int, device: str = "cpu"
) -> Calibration:
    """`count` crops, drawn as in training, with the simulated user's first clicks."""
    if count < 1 or voxels < 100:
        raise ValueError(f"Calibration needs at least one scene and 100 voxels of it, not {count} and {voxels}.")
    crops = Crops(replace(data, max_voxels=voxels), AugmentConfig(), network.settings.features, seed, 1, count)
    samples = [crops[index][0].to(device) for index in range(count)]
    return [(s.cloud, _clicks(s, seed + k), s.labels) for k, s in enumerate(samples)]


def _clicks(sample: TrainingSample, seed: int) -> Prompts:
    return SimulatedUser(sparse_batch([sample.cloud.coords]), sample.labels, [sample.objects], [seed]).first(0.5)[0]


def _present(data: DataConfig, kinds: Collection[str]) -> dict[str, float]:
    """The shares of the mixture's kinds that the folders really hold."""
    shares = {kind: share for kind, share in data.mixture.items() if kind in kinds}
    found = {kind: share for kind, share in shares.items() if len(SceneFolder(*data.scenes, split="train", kind=kind))}
    if not found:
        raise ValueError(
            f"No training scenes of kind {' or '.join(kinds)} in {', '.join(data.scenes)}: "
            "make some with iseg3d scenes."
        )
    return found
