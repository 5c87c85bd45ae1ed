"""What an operator may ask of a loaded network beyond its weights: samples, click cubes, names, adaptation, tiles."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iseg3d_ros.models.vocabulary import read_vocabulary


@dataclass(frozen=True)
class NetworkOptions:
    """Each is for the networks that know it; another one refuses it in a sentence.

    `samples` and `seed` of networks that sample (NPISeg3D); `cubes`: half-widths of the click cubes in voxels
    (InterObject3D); `vocabulary`: a file with the names of the classes (Few-Click); `adapt`: learn from the operator's
    corrections (InterObject3D's section III), at most `adapt_bound` of the weights' norm away from them; `tile`: ask
    about overlapping squares of so many metres around the clicks, for clouds larger than a network was trained on.
    """

    adapt: bool = False
    adapt_bound: float = 0.05
    samples: int | None = None
    seed: int | None = None
    cubes: Sequence[float] | None = None
    vocabulary: str | os.PathLike[str] | None = None
    tile: float | None = None

    def of(self, network: Any, most_voxels: int) -> Any:
        """The network with these options; a tile holds at most so many voxels."""
        if self.samples is not None or self.seed is not None:
            _sample(network, self.samples, self.seed)
        if self.cubes:
            _resize_cubes(network, tuple(float(width) for width in self.cubes))
        if self.vocabulary:
            _name(network, self.vocabulary)
        if self.adapt:
            from iseg3d_ros.models.adaptation import adapting

            network = adapting(network, bound=self.adapt_bound)
        if self.tile:
            from iseg3d_ros.models.tiled import tiled

            network = tiled(network, self.tile, most_voxels)
        return network


def _sample(network: Any, samples: int | None, seed: int | None) -> None:
    if not hasattr(network.settings, "samples"):
        raise ValueError(f"{network.settings.network} draws no samples; only npiseg3d does.")
    if samples is not None:
        if not 1 <= samples <= 1000:
            raise ValueError(f"Samples must be 1 to 1000, but are {samples}.")
        network.settings = dataclasses.replace(network.settings, samples=samples)
    network.seed = network.seed if seed is None else seed


def _resize_cubes(network: Any, cubes: tuple[float, ...]) -> None:
    settings = network.settings
    if getattr(settings, "click_map", None) != "cube":
        raise ValueError(f"{settings.network} has no click cubes here; interobject3d has.")
    if len(cubes) != len(settings.cubes):
        own = ", ".join(f"{width:g}" for width in settings.cubes)
        raise ValueError(f"These weights have {len(settings.cubes)} click cubes ({own} voxels), not {len(cubes)}.")
    network.settings = dataclasses.replace(settings, cubes=cubes)


def _name(network: Any, file: str | os.PathLike[str]) -> None:
    count = getattr(network.settings, "prototypes", None)
    if count is None:
        raise ValueError(f"{network.settings.network} knows no classes; only fewclick does.")
    names = [words[0] for words in read_vocabulary(file)]
    if len(names) != count:
        raise ValueError(f"{file} names {len(names)} classes, but these weights know {count}: give each a line.")
    network.card = {**(network.card or {}), "classes": names}
