"""What a run draws its scenes from: made scenes by kind, or any labelled data, each with a weight in the mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.data.open import kind_of_place, place_of
from iseg3d_ros.data.packed import SUFFIX as PACK
from iseg3d_ros.data.packed import Scenes
from iseg3d_ros.data.parts import Clouds, part_of
from iseg3d_ros.training.config import DataConfig, TrainConfig


@dataclass(frozen=True)
class Source:
    """Scenes that are drawn from with one weight."""

    weight: float
    scenes: Sequence[LabelledCloud]


def sources_of(data: DataConfig, part: str) -> dict[str, Source]:
    """The sources of the part "train" or "val" by name: the kinds of `mixture`, or the places of `sources`."""
    if not data.sources:
        return {kind: Source(share, scenes_of(data.scenes, kind, part)) for kind, share in data.mixture.items()}
    found: dict[str, Source] = {}
    for place, weight in data.sources.items():
        if weight < 0:
            raise ValueError(f"data.sources: {place} has the weight {weight:g}, but weights are 0 or more.")
        for name, source in _of_place(place, weight, data, part).items():
            found[name if name not in found else f"{name} {place}"] = source
    return found


def in_steps(config: TrainConfig) -> TrainConfig:
    """The same run with its epochs, if it counts in these, as steps; an epoch draws as many scenes as there are."""
    if not config.epochs:
        return config
    scenes = sum(len(source.scenes) for source in sources_of(config.data, "train").values())
    batch = config.batch * config.optimiser.accumulate
    return replace(config, epochs=0.0, steps=max(1, math.ceil(config.epochs * scenes / batch)))


def _of_place(place: str, weight: float, data: DataConfig, part: str) -> dict[str, Source]:
    path = place_of(place)[0]
    if not path.exists():
        raise ValueError(f"{place} does not exist. Data are folders or files, KIND:FOLDER where their kind is not "
                         "clear (docs/training.md).")  # fmt: skip
    if any(path.glob(f"*{PACK}")) or kind_of_place(place) == "scenes":
        return _made(path, weight, data, part)
    return {kind_of_place(place): Source(weight, Clouds(part_of(place, part)))}


def _made(path: Path, weight: float, data: DataConfig, part: str) -> dict[str, Source]:
    """Made scenes by kind, as far as there are any, in the mixture's shares of the place's weight."""
    kinds = {kind: Scenes(path, split=part, kind=kind) for kind in data.voxel}
    kinds = {kind: scenes for kind, scenes in kinds.items() if len(scenes)}
    if not kinds:
        raise ValueError(f"No {part} scene in {path}. Make some: iseg3d scenes --kind room --count 200 --out {path}.")
    shares = {kind: data.mixture.get(kind, 0.0) for kind in kinds}
    total = sum(shares.values())
    if total == 0:
        shares, total = dict.fromkeys(kinds, 1.0), float(len(kinds))
    return {kind: Source(weight * shares[kind] / total, scenes) for kind, scenes in kinds.items()}


def scenes_of(folders: Sequence[str], kind: str, split: str) -> Scenes:
    """The made scenes of one kind; a sentence where there are none."""
    found = Scenes(*folders, split=split, kind=kind)
    if len(found) == 0:
        raise ValueError(
            f"No {split} scene of kind {kind} in {', '.join(folders)}. Make some: "
            f"iseg3d scenes --kind {kind} --count 200 --out {folders[0]}, or take {kind} out of data.mixture."
        )
    return found
