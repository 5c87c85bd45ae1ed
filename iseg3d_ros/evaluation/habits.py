"""What single code bases do beside the protocol: InterObject3D's mask before the first click, its cubes of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click


@dataclass(frozen=True)
class Habits:
    """`cubes`: half the edge, in metres, of the cubes about all clicks that are given the clicks' labels after every
    pass (InterObject3D, and NPISeg3D on KITTI-360: 0.05); 0: the clicked voxels alone. `guess`: the network says what
    it sees before the first click, which is then put on the larger of its errors (InterObject3D)."""

    cubes: float = 0.0
    guess: bool = False


PLAIN = Habits()


def with_cubes(
    labels: NDArray[np.int32], xyz: NDArray[np.float32], clicks: Sequence[Click], half: float
) -> NDArray[np.int32]:
    """Labels with cubes about all clicks: first those on objects in their order, then those on the background."""
    written = labels.copy()
    for click in sorted(clicks, key=lambda click: not click.object):  # stable: the order of time among the objects'
        inside = (np.abs(xyz - np.asarray(click.point, np.float32)) < half).all(axis=1)
        written[inside] = int(click.object)
    return written


def first_guess(predictor: Any, scene: Any) -> NDArray[np.int32]:
    """What the network takes for the object before any click."""
    network, encoded, placement = predictor.opened(scene)
    if not hasattr(network, "guess"):
        raise ValueError(f"{predictor.name} says nothing before the first click; only interobject3d does.")
    with placement.at_work():
        mask = network.guess(encoded)[0].cpu().numpy() > 0
    labels = np.zeros(scene.points, np.int32)
    labels[slice(None) if scene.kept is None else scene.kept] = mask[scene.voxels.inverse]
    return labels
