"""What a network's scores of voxels say about every point: labels, how sure they are, and where to click next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click, Numbering
from iseg3d_ros.models.base import Prediction
from iseg3d_ros.preprocessing.scene import Scene

SURE = 0.15  # nats: below this mean entropy over a neighbourhood no click is suggested


@dataclass(frozen=True)
class Segmentation:
    """Labels of every point of a cloud.

    `labels` int32 (N,): 0 background, otherwise the object number of the clicks; `probability` float32 (N,) of that
    label; `uncertainty` float32 (N,): entropy in nats, at most log(objects + 1); `variance` (N,) of networks that
    sample; `objects`: the largest object number. Points that took no part (NaN, cropped) have label 0, probability 0.
    `classes`: of each object the three likeliest classes with their probabilities, the likeliest first, from networks
    that know any (Few-Click).
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    variance: NDArray[np.float32] | None
    suggested_click: Click | None
    objects: int
    milliseconds: float
    classes: Mapping[int, tuple[tuple[str, float], ...]] = field(default_factory=dict)


def at_points(
    scene: Scene,
    chance: NDArray[np.float32],
    clicked: Mapping[int, int],
    prediction: Prediction,
    numbering: Numbering,
    classes: Mapping[int, tuple[tuple[str, float], ...]],
    start: float,
) -> Segmentation:
    """Every point takes its voxel's values; points at boundaries their own."""
    refiner, inverse, sharpness = scene.refiner, scene.voxels.inverse, prediction.sharpness
    label, certain, unsure = _summary(chance, sharpness)
    edge = refiner.boundary(label)
    edge[list(clicked)] = False
    labels, sure, doubt = (values[inverse] for values in (label, certain, unsure))
    points = np.flatnonzero(edge[inverse])
    labels[points], sure[points], doubt[points] = _summary(refiner.probability(points, chance), sharpness)
    variance = None
    if prediction.variance is not None:
        variance = _spread(scene, prediction.variance.float().cpu().numpy()[inverse])
    return Segmentation(
        _spread(scene, numbering.given()[labels]),
        _spread(scene, sure),
        _spread(scene, doubt),
        variance,
        _suggestion(scene, label, unsure, clicked, numbering),
        int(numbering.used.max()),
        1e3 * (time.perf_counter() - start),
        classes,
    )


def _summary(
    chance: NDArray[np.float32], sharpness: float = 1.0
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Label, its probability, and entropy in nats; both of the chances raised to a power."""
    if sharpness != 1.0:
        chance = chance**sharpness
        chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-30)
    doubt = -(chance * np.log(np.maximum(chance, 1e-12))).sum(axis=1)
    return chance.argmax(axis=1), chance.max(axis=1), np.maximum(doubt, 0)


def _spread(scene: Scene, values: np.ndarray) -> np.ndarray:
    """Values of the kept points as values of all points."""
    if scene.kept is None:
        return values
    full = np.zeros(scene.points, values.dtype)
    full[scene.kept] = values
    return full


def nothing(scene: Scene, start: float) -> Segmentation:
    """All is background, and sure: there is no click on an object."""
    count = len(scene.voxels.inverse)
    sure, doubt = np.ones(count, np.float32), np.zeros(count, np.float32)
    labels = np.zeros(scene.points, np.int32)
    taken = 1e3 * (time.perf_counter() - start)
    return Segmentation(labels, _spread(scene, sure), _spread(scene, doubt), None, None, 0, taken)


def _suggestion(
    scene: Scene,
    label: NDArray[np.int64],
    doubt: NDArray[np.float32],
    clicked: Mapping[int, int],
    numbering: Numbering,
) -> Click | None:
    """The middle of the most doubtful region: where the entropy, averaged twice over neighbours, is largest."""
    adjacency = scene.refiner.adjacency
    degree = np.asarray(adjacency.sum(axis=1)).ravel() + 1
    for _ in range(2):
        doubt = (doubt + adjacency @ doubt) / np.maximum(degree, 9)  # specks weigh less than surfaces
    doubt[list(clicked)] = 0
    best = int(doubt.argmax())
    if doubt[best] < SURE:
        return None
    place = scene.voxels.points[best].astype(np.float64) @ scene.rotation + scene.origin
    x, y, z = (float(value) for value in place)
    return Click((x, y, z), int(numbering.given()[label[best]]))
