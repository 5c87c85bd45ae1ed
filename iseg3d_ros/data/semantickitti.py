"""SemanticKITTI: sweeps as .bin, labels as .label (class in the lower, instance in the upper 16 bits)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled

VALIDATION = "08"
CLASSES = {
    10: "car", 11: "bicycle", 13: "bus", 15: "motorcycle", 16: "on-rails", 18: "truck", 20: "other-vehicle",
    30: "person", 31: "bicyclist", 32: "motorcyclist", 40: "road", 44: "parking", 48: "sidewalk", 49: "other-ground",
    50: "building", 51: "fence", 52: "other-structure", 60: "lane-marking", 70: "vegetation", 71: "trunk",
    72: "terrain", 80: "pole", 81: "traffic-sign", 99: "other-object", 252: "moving-car", 253: "moving-bicyclist",
    254: "moving-person", 255: "moving-motorcyclist", 256: "moving-on-rails", 257: "moving-bus", 258: "moving-truck",
    259: "moving-other-vehicle",
}  # fmt: skip


def recognises(path: Path) -> bool:
    """Whether a folder is a sequence, or holds sequences (also under sequences/ and dataset/sequences/)."""
    return bool(_sequences(path, None))


def semantickitti(path: Path, split: str | None = None) -> Samples:
    """The labelled sweeps of sequence 08, the official validation set (split "train": of 00-07, 09 and 10)."""
    sweeps = [sweep for folder in _sequences(path, split) for sweep in sorted((folder / "velodyne").glob("*.bin"))]
    sweeps = [sweep for sweep in sweeps if _labels(sweep).is_file()]
    if not sweeps:
        raise ValueError(f"{path}: no sweep in velodyne/ has its labels in labels/ beside it.")
    return Samples([f"{s.parent.parent.name}/{s.stem}" for s in sweeps], lambda k: _read(sweeps[k]))


def _sequences(path: Path, split: str | None) -> list[Path]:
    if (path / "velodyne").is_dir():
        return [path]
    patterns = ("[0-9][0-9]", "sequences/[0-9][0-9]", "dataset/sequences/[0-9][0-9]")
    found = sorted(f for p in patterns for f in path.glob(p) if (f / "velodyne").is_dir())
    if split == "train":
        return [f for f in found if int(f.name) <= 10 and f.name != VALIDATION]
    return [f for f in found if f.name == VALIDATION] or found


def _labels(sweep: Path) -> Path:
    return sweep.parent.parent / "labels" / f"{sweep.stem}.label"


def _read(sweep: Path) -> Sample:
    name, cloud, file = f"{sweep.parent.parent.name}/{sweep.stem}", read_cloud(sweep), _labels(sweep)
    if file.stat().st_size != 4 * len(cloud):
        raise ValueError(f"{file} holds {file.stat().st_size // 4} labels, but {sweep} has {len(cloud)} points.")
    packed = np.fromfile(file, "<u4").astype(np.int64)
    # The same number in two classes is two things, so the pair is the id. Without a number there is no instance.
    ids = np.where(packed >> 16 > 0, packed, 0)
    names = {int(value): CLASSES.get(int(value) & 0xFFFF, "object") for value in np.unique(ids[ids > 0])}
    return Sample(name, labelled(name, cloud, ids, names, "street"))
