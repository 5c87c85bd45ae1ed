"""S3DIS, the aligned version 1.2: a folder of text files an instance; Area 5 is the test area."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled

# A few released files hold control characters between numbers; whatever is no part of a number is a space.
_CLEAN = bytes(c if chr(c) in "0123456789+-.eE\n" else 32 for c in range(256))
_COLUMNS = 6  # x y z r g b


def recognises(path: Path) -> bool:
    """Whether a folder is a room, an area or the whole set."""
    return bool(_rooms(path) or _rooms(path, "train"))


def s3dis(path: Path, split: str | None = None) -> Samples:
    """The rooms of Area 5 (split "train": of the other areas), or those of the area or room that `path` names."""
    rooms = _rooms(path, split)
    return Samples([f"{room.parent.name}/{room.name}" for room in rooms], lambda k: _read(rooms[k]))


def _rooms(path: Path, split: str | None = None) -> list[Path]:
    if (path / "Annotations").is_dir():
        return [path]
    areas = sorted(area for area in path.glob("Area_[1-6]") if area.is_dir())
    if split == "train" and areas:
        return [room for area in areas if area.name != "Area_5" for room in _rooms(area)]
    if (path / "Area_5").is_dir():
        path = path / "Area_5"
    return sorted(found.parent for found in path.glob("*/Annotations") if found.is_dir())


def _read(room: Path) -> Sample:
    files = sorted((room / "Annotations").glob("*_*.txt"))
    if not files:
        raise ValueError(f"{room / 'Annotations'} holds no instance: files such as chair_1.txt are expected.")
    parts = [_table(file) for file in files]
    table = np.concatenate(parts)
    ids = np.repeat(np.arange(1, len(files) + 1), [len(part) for part in parts])
    names = {k: file.stem.rsplit("_", 1)[0] for k, file in enumerate(files, 1)}
    cloud = Cloud(table[:, :3], np.clip(table[:, 3:], 0, 255).astype(np.uint8))
    return Sample(f"{room.parent.name}/{room.name}", labelled(room.name, cloud, ids, names, "room"))


def _table(file: Path) -> NDArray[np.float64]:
    words = file.read_bytes().translate(_CLEAN).split()
    try:
        values = np.array(words, np.float64)
    except ValueError as error:
        raise ValueError(f"{file} is damaged: it holds text where numbers should be.") from error
    if len(values) == 0 or len(values) % _COLUMNS:
        raise ValueError(f"{file} is truncated: {len(values)} numbers are not whole rows of x y z r g b.")
    return values.reshape(-1, _COLUMNS)
