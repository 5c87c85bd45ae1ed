"""Clouds larger than a network was trained on: crop and merge.

A network that learned from crops (InterObject3D: 5 m x 5 m about the object) is asked about squares of that size. They
lie on a grid, overlapping by half, and only those that clicks on objects are in are encoded, at the first such click;
each click asks the square whose middle is nearest to it, so that it is never near a border. Where squares overlap,
their odds are averaged, the nearer to a square's middle the heavier. A cloud that one square holds goes through the
network whole, as without any of this.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.settings import FEATURE_WIDTH

KEPT_SQUARES = 16  # encoded squares that a scene keeps; the least recently used one goes
UNKNOWN_LOGIT = -20.0  # of an object in squares that none of its clicks is in
LEAST_WEIGHT = 0.02  # of a voxel at a square's border

Place = tuple[int, int]


@dataclass(frozen=True)
class Square:
    """A part of a cloud: the rows of its voxels, how heavy each weighs, and the network's encoding of them."""

    rows: Tensor
    weight: Tensor
    encoded: Any


@dataclass(frozen=True)
class TiledScene:
    """A cloud, and what has been encoded of it: the whole where it is small, else the squares asked for so far."""

    cloud: VoxelCloud
    whole: Any
    squares: OrderedDict[Place, Square] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class TiledScenes:
    """Several clouds."""

    clouds: tuple[TiledScene, ...]


class Tiled(Network):
    """Any network, asked about squares of `edge` metres, each of at most `most_voxels` voxels (those in its middle)."""

    max_voxels = 4_000_000  # of a cloud, which is never encoded whole

    def __init__(self, network: Network, edge: float, most_voxels: int) -> None:
        super().__init__(network.settings, network.card)
        self.network, self.edge, self.most_voxels = network, edge, most_voxels
        self.uses_previous = network.uses_previous

    def encode(self, clouds: Sequence[VoxelCloud]) -> TiledScenes:
        """Small clouds as the network itself does it; of large ones nothing yet."""
        return TiledScenes(tuple(
            TiledScene(cloud, self.network.encode([cloud]) if self.fits(cloud) else None) for cloud in clouds
        ))  # fmt: skip

    def fits(self, cloud: VoxelCloud) -> bool:
        """Whether one square holds it."""
        spread = cloud.points[:, :2].amax(0) - cloud.points[:, :2].amin(0)
        return bool((spread <= self.edge).all()) and len(cloud) <= self.most_voxels

    def decode(
        self, encoded: TiledScenes, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of every cloud."""
        last = previous or [None] * len(clicks)
        return [self._masks(*each, "decode") for each in zip(encoded.clouds, clicks, last, strict=True)]

    def resume(
        self, encoded: TiledScenes, clicks: Sequence[Prompts], carried: Sequence[Tensor]
    ) -> list[Prediction]:
        """The same from labels that were carried from an earlier cloud, where the network can go on from such."""
        way = "resume" if hasattr(self.network, "resume") else "decode"
        return [self._masks(*each, way) for each in zip(encoded.clouds, clicks, carried, strict=True)]

    def reset(self, encoded: TiledScenes) -> None:
        """Forget what was learned from a scene's corrections, square by square."""
        for scene in encoded.clouds:
            with scene.lock:
                scene.squares.clear()
            forget: Any = getattr(self.network, "reset", None)
            if scene.whole is not None and forget is not None:
                forget(scene.whole)

    def _masks(self, scene: TiledScene, clicks: Prompts, last: Tensor | None, way: str) -> Prediction:
        answer = getattr(self.network, way)
        if scene.whole is not None:
            whole: Prediction = answer(scene.whole, [clicks], [last])[0]
            return whole
        merged = Merged(len(scene.cloud), clicks.objects, scene.cloud.points.device)
        for place in self._places(scene, clicks):
            square = self._square(scene, place)
            own, labels = within(clicks, square.rows, len(scene.cloud))
            if len(labels):
                seen = None if last is None else renumbered(last[square.rows], labels, clicks.objects)
                merged.add(square, labels, answer(square.encoded, [own], [seen])[0])
        return merged.prediction()

    def _places(self, scene: TiledScene, clicks: Prompts) -> list[Place]:
        """The squares whose middles are nearest to the clicks on objects, in the order of these."""
        low = scene.cloud.points[:, :2].amin(0)
        clicked = scene.cloud.points[clicks.voxel[clicks.label > 0], :2]
        steps = ((clicked - low) / (self.edge / 2)).round().long().tolist()
        return list(dict.fromkeys((x, y) for x, y in steps))

    def _square(self, scene: TiledScene, place: Place) -> Square:
        with scene.lock:
            if place not in scene.squares:
                scene.squares[place] = self._encoded(scene.cloud, place)
            scene.squares.move_to_end(place)
            while len(scene.squares) > KEPT_SQUARES:
                scene.squares.popitem(last=False)
            return scene.squares[place]

    def _encoded(self, cloud: VoxelCloud, place: Place) -> Square:
        low = cloud.points[:, :2].amin(0)
        middle = low + torch.tensor(place, dtype=low.dtype, device=low.device) * (self.edge / 2)
        away = (cloud.points[:, :2] - middle).abs().amax(1)
        inside = away <= self.edge / 2
        if int(inside.sum()) > self.most_voxels:
            inside = inside & (away <= away[inside].kthvalue(self.most_voxels)[0])
        rows = inside.nonzero()[:, 0]
        weight = (1 - away[rows] / (self.edge / 2)).clamp(min=LEAST_WEIGHT)
        return Square(rows, weight, self.network.encode([part_of(cloud, rows, self.settings.features)]))


class Merged:
    """The answers of several squares: each object's odds averaged over the squares that know it, by weight."""

    def __init__(self, voxels: int, objects: int, device: torch.device) -> None:
        self.odds = torch.zeros(voxels, objects, device=device)
        self.weight = torch.zeros(voxels, objects, device=device)
        self.variance: Tensor | None = None
        self.classes: Tensor | None = None
        self.sharpness = 1.0

    def add(self, square: Square, labels: Tensor, answer: Prediction) -> None:
        """One square's answer about the objects `labels` (1, 2, … of the whole)."""
        logits = answer.logits.float()
        at = (square.rows[:, None], labels[None] - 1)
        self.odds.index_put_(at, (logits[:, 1:] - logits[:, :1]) * square.weight[:, None], accumulate=True)
        self.weight.index_put_(at, square.weight[:, None].expand(-1, len(labels)), accumulate=True)
        self.sharpness = answer.sharpness
        if answer.variance is not None:
            if self.variance is None:
                self.variance = torch.zeros(len(self.odds), device=self.odds.device)
            self.variance[square.rows] = torch.maximum(self.variance[square.rows], answer.variance.float())
        if answer.classes is not None:
            if self.classes is None:
                self.classes = torch.zeros(self.odds.shape[1], answer.classes.shape[1], device=self.odds.device)
            self.classes.index_add_(0, labels - 1, answer.classes.float().softmax(1))

    def prediction(self) -> Prediction:
        """The whole cloud's; where no square knows an object, it is not."""
        known = self.weight > 0
        scores = torch.where(known, self.odds / self.weight.clamp(min=1e-9), UNKNOWN_LOGIT)
        classes = None if self.classes is None else self.classes.clamp(min=1e-9).log()
        logits = torch.cat([scores.new_zeros(len(scores), 1), scores], 1)
        return Prediction(logits, variance=self.variance, sharpness=self.sharpness, classes=classes)


def within(clicks: Prompts, rows: Tensor, voxels: int) -> tuple[Prompts, Tensor]:
    """The clicks inside some rows of a cloud, numbered anew; and the objects they are on, in rising order."""
    place = torch.full((voxels,), -1, device=rows.device)
    place[rows] = torch.arange(len(rows), device=rows.device)
    voxel = place[clicks.voxel]
    there = voxel >= 0
    labels = clicks.label[there].unique()
    labels = labels[labels > 0]
    return Prompts(voxel[there], renumbered(clicks.label[there], labels, clicks.objects), len(labels)), labels


def renumbered(values: Tensor, labels: Tensor, objects: int) -> Tensor:
    """Labels as 1, 2, … in the order of `labels`; 0 for all others."""
    table = values.new_zeros(objects + 1)
    table[labels] = torch.arange(1, len(labels) + 1, device=values.device, dtype=values.dtype)
    return table[values]


def part_of(cloud: VoxelCloud, rows: Tensor, features: Sequence[str]) -> VoxelCloud:
    """Some rows as a cloud of their own: cells from 0, and positions from its own corner."""
    coords, values = cloud.coords[rows], cloud.features[rows]
    column = 0
    for name in features:
        if name == "position":
            own = slice(column, column + FEATURE_WIDTH[name])
            values = values.clone()
            values[:, own] -= values[:, own].amin(0)
        column += FEATURE_WIDTH[name]
    return VoxelCloud(coords - coords.amin(0), cloud.points[rows], values, cloud.size)


def tiled(network: Any, edge: float, most_voxels: int) -> Tiled:
    """The network, asked about squares of that edge in metres."""
    if not isinstance(network, Network):
        raise ValueError("Only networks are asked about squares; leave the tile out.")
    if not 0 < edge < 1e4:
        raise ValueError(f"A tile's edge must be a positive number of metres, not {edge}.")
    return Tiled(network, edge, most_voxels)
