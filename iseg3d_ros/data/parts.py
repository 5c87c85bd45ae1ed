"""The training part and the validation part of any data: official splits where there are any, else by scene."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.data.on_demand import OnDemand
from iseg3d_ros.data.open import kind_of_place, open_data
from iseg3d_ros.data.sample import Samples

OFFICIAL = ("scenes", "scannet20", "scannet40", "s3dis", "semantickitti", "kitti360")
IN_TIME = ("semantickitti", "bag")  # neighbours resemble one another: the last ones are kept from training
HELD_OUT = 0.15  # of the scenes of data without official splits


def part_of(place: str, part: str) -> Samples:
    """The samples of the part "train" or "val"; a scene is never in both."""
    kind = kind_of_place(place)
    if kind in OFFICIAL:
        chosen, other = (open_data(place, split=split) for split in (part, "val" if part == "train" else "train"))
        if kind == "scenes" or not set(chosen.names) & set(other.names):  # a single area or sequence is in both
            return chosen
    samples = open_data(place)
    held_out = validation_scenes(place, samples.names, kind in IN_TIME)
    rows = [k for k, name in enumerate(samples.names) if (scene_of(name) in held_out) == (part == "val")]
    return Samples([samples.names[k] for k in rows], lambda k: samples[rows[k]])


def validation_scenes(place: str, names: Sequence[str], in_time: bool = False) -> set[str]:
    """The scenes that are kept from training: chosen by their names alone, so that they stay the same ones."""
    scenes = list(dict.fromkeys(scene_of(name) for name in names))
    if len(scenes) < 2:
        raise ValueError(f"{place} holds one scene, {scenes[0]}: training needs at least two, one to learn from and "
                         "one to measure on. Add a second one.")  # fmt: skip
    count = math.ceil(HELD_OUT * len(scenes))
    if in_time:
        return set(scenes[-count:])
    return set(sorted(scenes, key=lambda scene: (zlib.crc32(scene.encode()), scene))[:count])


def scene_of(name: str) -> str:
    """What two samples of one place share: AGILE3D's list names a scan several times."""
    return name.rsplit("_obj_", 1)[0]


class Clouds(OnDemand[LabelledCloud]):
    """The clouds of samples, read as they are asked for."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> LabelledCloud:
        """The cloud of one sample."""
        return self.samples[index].cloud
