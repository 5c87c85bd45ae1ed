"""From a labelled scene to a training sample: augment, cut a crop, quantise, choose the objects to be clicked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.preprocessing.features import voxel_cloud
from iseg3d_ros.preprocessing.voxels import voxelise
from iseg3d_ros.training import augment
from iseg3d_ros.training.classes import prototypes
from iseg3d_ros.training.config import AugmentConfig, DataConfig
from iseg3d_ros.training.sources import Source, sources_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSample:
    """A voxelised crop with the labels of its chosen objects: 0 elsewhere, 1..objects. `instance`: of all objects."""

    cloud: VoxelCloud
    labels: Tensor
    instance: Tensor
    classes: Tensor
    objects: int
    kind: str

    def to(self, device: torch.device | str) -> TrainingSample:
        """The same sample on another device."""
        labels, instance = self.labels.to(device), self.instance.to(device)
        return replace(self, cloud=self.cloud.to(device), labels=labels, instance=instance)


NO_AUGMENTATION = AugmentConfig(
    tilt_degrees=0.0, scale=(1.0, 1.0), noise=0.0, drop_points=0.0, colour_jitter=0.0, colour_dropout=0.0
)  # fmt: skip


def make_sample(
    scene: LabelledCloud,
    data: DataConfig,
    change: AugmentConfig,
    names: Sequence[str],
    rng: np.random.Generator,
    most: int = 64,
) -> TrainingSample | None:
    """One crop of a scene, or None where no object is large enough to be clicked."""
    if scene.kind not in data.voxel:
        raise RuntimeError(f"{scene.name} is of the kind {scene.kind}: name its voxels, data.voxel.{scene.kind}.")
    finest, coarsest = data.voxel[scene.kind]
    size = finest * (coarsest / finest) ** rng.random()
    least = min(data.min_voxels, data.max_voxels)
    most_voxels = round(least * (data.max_voxels / least) ** rng.random())
    xyz, rgb, instance = changed_crop(scene, size, most_voxels, change, rng)
    cloud, voxels = voxel_cloud(xyz, rgb, size, tuple(names))
    labels = augment.mislabelled(cloud.points.numpy(), instance[voxels.representative], size, change, rng)
    chosen = choose(labels, min(most, data.max_objects), data.min_points, rng)
    return None if len(chosen) == 0 else _labelled(cloud, labels, chosen, scene, data.vocabulary)


def changed_crop(
    scene: LabelledCloud, size: float, most_voxels: int, change: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None, NDArray[np.int32]]:
    """Points, colours and instances of a crop of a scene, changed in every way that a recipe asks for."""
    kept = augment.thin(len(scene.xyz), change, rng)
    below = augment.as_scanned(np.asarray(scene.xyz), np.asarray(scene.instance), tuple(scene.classes), change, rng)
    kept = kept if below is None else kept & below
    xyz, instance = np.asarray(scene.xyz)[kept], np.asarray(scene.instance)[kept]
    rgb = None if scene.rgb is None else np.asarray(scene.rgb)[kept]
    inside = crop(xyz, instance, size / change.scale[1], most_voxels, rng)  # it may be stretched afterwards
    xyz, instance, rgb = xyz[inside], instance[inside], None if rgb is None else rgb[inside]
    rgb = augment.relit(rgb, xyz, instance, size, change, rng)
    xyz, rgb, instance = augment.bridged(xyz, rgb, instance, size, change, rng)
    xyz = augment.geometry(augment.melted(xyz, size, change, rng), size, change, rng)
    return xyz, augment.colour(rgb, change, rng), instance


def crop(
    xyz: NDArray[np.float32], instance: NDArray[np.int32], size: float, most: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The points of the `most` voxels nearest (seen from above, mostly) to a random point of a random object."""
    voxels = voxelise(xyz, size)
    if len(voxels.points) <= most:
        return np.ones(len(xyz), bool)
    objects = np.unique(instance[instance > 0])
    pool = np.flatnonzero(instance == rng.choice(objects)) if len(objects) else np.arange(len(xyz))
    away = (voxels.points - xyz[rng.choice(pool)]) * np.array([1, 1, 0.3], np.float32)
    distance = np.einsum("ij,ij->i", away, away)
    near = distance <= np.partition(distance, most - 1)[most - 1]
    inside: NDArray[np.bool_] = near[voxels.inverse]
    return inside


def choose(labels: NDArray[np.int32], most: int, least_points: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Between one and `most` of the objects that are large enough, in random order."""
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    ids = rng.permutation(ids[counts >= least_points])
    return ids[: rng.integers(1, min(most, len(ids)) + 1)].astype(np.int64) if len(ids) else ids.astype(np.int64)


def _labelled(
    cloud: VoxelCloud, instance: NDArray[np.int32], chosen: NDArray[np.int64], scene: LabelledCloud, vocabulary: str
) -> TrainingSample:
    table = np.zeros(int(instance.max()) + 1, np.int64)
    table[chosen] = np.arange(1, len(chosen) + 1)
    labels = torch.from_numpy(table[np.maximum(instance, 0)])
    names = [scene.classes[k - 1] if k <= len(scene.classes) else "" for k in chosen]
    classes = prototypes(names, vocabulary)
    return TrainingSample(cloud, labels, torch.from_numpy(instance), classes, len(chosen), scene.kind)


class Crops(Dataset[list[TrainingSample]]):
    """Batch `i` of a run depends on the seed, `i` and the scenes alone, so a resumed run sees what it would have."""

    def __init__(
        self, data: DataConfig, change: AugmentConfig, names: Sequence[str], seed: int, batch: int, batches: int,
        rank: int = 0, world: int = 1,
    ) -> None:  # fmt: skip
        self.data, self.change, self.names = data, change, tuple(names)
        self.seed, self.batch, self.batches, self.rank, self.world = seed, batch, batches, rank, world
        self._said: set[str] = set()
        self._opened: dict[str, Source] | None = None  # by the process that draws, when it first does

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> list[TrainingSample]:
        first = (index * self.world + self.rank) * self.batch
        return [self._sample(first + k) for k in range(self.batch)]

    def _sample(self, index: int) -> TrainingSample:
        rng, damage = np.random.default_rng([self.seed, index]), ""
        for _ in range(100):
            scenes = self.sources[_draw(self.sources, rng)].scenes
            try:
                scene = scenes[int(rng.integers(len(scenes)))]
            except (ValueError, OSError) as error:
                damage = str(error)
                if damage not in self._said:
                    _log.warning("left out: %s", damage)
                self._said.add(damage)
                continue
            sample = make_sample(scene, self.data, self.change, self.names, rng)
            if sample is not None:
                return sample
        places = ", ".join(self.data.sources or self.data.scenes)
        raise RuntimeError(f"No object of {self.data.min_points} voxels in 100 scenes of {places}. {damage}".strip())

    @property
    def sources(self) -> dict[str, Source]:
        """The training part of the data."""
        if self._opened is None:
            self._opened = sources_of(self.data, "train")
        return self._opened


def _draw(sources: Mapping[str, Source], rng: np.random.Generator) -> str:
    names = sorted(sources)
    weights = np.array([sources[name].weight for name in names], float)
    return str(rng.choice(names, p=weights / weights.sum()))
