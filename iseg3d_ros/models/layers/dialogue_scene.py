"""An encoded cloud on which dialogues are held: its voxels at two scales, and the masks so far."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from iseg3d_ros.models.layers.click_position import distance_features
from iseg3d_ros.models.layers.encoded_scene import children
from iseg3d_ros.models.layers.looks import Looks, like_features
from iseg3d_ros.models.layers.pieces import Links

REMEMBERED_BYTES = 256 << 20  # of masks and voxels that a scene keeps for the dialogues held on it


@dataclass(frozen=True)
class Voxels:
    """The voxels that a decoder works on, at both scales; `parent` (V,) is the coarse row of every fine one.

    `looks` and `coarse_looks` are there for a decoder that compares them with its clicks'.
    """

    fine: Tensor
    coarse: Tensor
    points: Tensor
    coarse_points: Tensor
    parent: Tensor
    size: float
    looks: Looks | None = None
    coarse_looks: Looks | None = None

    def only(self, rows: Tensor) -> Voxels:
        """A part of the fine voxels with what of the coarse ones they need."""
        kept, parent = torch.unique(self.parent[rows], return_inverse=True)
        coarse, coarse_points = self.coarse[kept], self.coarse_points[kept]
        looks = self.looks and self.looks.only(rows)
        coarse_looks = self.coarse_looks and self.coarse_looks.only(kept)
        points = self.points[rows]
        return Voxels(self.fine[rows], coarse, points, coarse_points, parent, self.size, looks, coarse_looks)

    def at(self, rows: Tensor) -> Voxels:
        """Some of the fine voxels, under all of the coarse ones."""
        looks = self.looks and self.looks.only(rows)
        return replace(self, fine=self.fine[rows], points=self.points[rows], parent=self.parent[rows], looks=looks)

    def pooled(self, values: Tensor) -> Tensor:
        """Means of fine values (B, V) or (B, V, C) in the coarse voxels (B, V2) or (B, V2, C)."""
        shape = len(values), len(self.coarse), *values.shape[2:]
        total = values.new_zeros(shape).index_add(1, self.parent, values)
        count = children(self.parent, len(self.coarse))
        return total / count.view(-1, *[1] * (values.dim() - 2))

    def looks_of(self, clicked: Tensor) -> Looks:
        """What clicked voxels look like: the normal is their own, the colour that of a few voxels around."""
        assert self.looks is not None and self.coarse_looks is not None
        around = self.coarse_looks.only(self.parent[clicked])
        return replace(around, normal=self.looks.normal[clicked])


class Memory:
    """Results by key, the least recently used forgotten first; shared by threads."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes, self._lock = limit, 0, threading.Lock()
        self._kept: OrderedDict[object, tuple[Tensor, ...]] = OrderedDict()

    def get(self, key: object) -> tuple[Tensor, ...] | None:
        """What was kept under this key, if it still is."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: object, *tensors: Tensor) -> None:
        """Keep tensors that nobody will change."""
        with self._lock:
            if key not in self._kept:
                self._bytes += _bytes_of(tensors)
            self._kept[key] = tensors
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= _bytes_of(self._kept.popitem(last=False)[1])


def _bytes_of(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass(frozen=True)
class EncodedScene:
    """One cloud's voxels, and the masks of the dialogues held on it so far."""

    voxels: Voxels
    memory: Memory = field(default_factory=lambda: Memory(REMEMBERED_BYTES), compare=False)

    @cached_property
    def links(self) -> Links:
        """Which voxels hang together."""
        return Links(self.voxels.points.cpu().numpy(), self.voxels.size)


@dataclass(frozen=True)
class EncodedScenes:
    """Clouds that went through the backbone together."""

    clouds: tuple[EncodedScene, ...]


def near_features(points: Tensor, looks: Looks | None, place: Tensor, click: Looks | None, size: float) -> Tensor:
    """How near the clicks (B, K) at `place` are to points, and how like in looks: (B, K, channels, M)."""
    near = distance_features(points, place, size)
    return near if looks is None or click is None else torch.cat(
        [near, like_features(looks, points, click, place, size)], 2
    )  # fmt: skip
