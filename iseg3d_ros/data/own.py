"""Your own labelled clouds: a folder of PLY, PCD, npz, npy, or .bin and .label files; see docs/own_data.md."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.cloud import READABLE, Cloud, read_cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled, read_json

SETTINGS = "iseg3d.json"
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
# Rows that turn the file's axes so that z is up. "-y" is a camera's optical frame: y down, z forward.
AXES = {
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)), "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)), "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)), "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
}  # fmt: skip


@dataclass(frozen=True)
class OwnData:
    """What a folder's iseg3d.json may say; every entry has a default."""

    up: str = "z"
    units: str = "m"
    colour: bool = True  # false: colours are there, but not to be used
    background: tuple[int, ...] = ()  # labels that are no objects, besides 0 and below
    classes: dict[int, str] = field(default_factory=dict)  # label: class name
    kind: str = "room"

    def __post_init__(self) -> None:
        if self.up not in AXES:
            raise ValueError(f"up is {', '.join(AXES)}, not {self.up!r}.")
        if self.units not in UNITS:
            raise ValueError(f"units is {', '.join(UNITS)}, not {self.units!r}.")


def recognises(path: Path) -> bool:
    """Whether a path is a cloud's file or a folder of such."""
    return bool(_files(path))


def own(path: Path, settings: OwnData | None = None) -> Samples:
    """The clouds of a folder (or one file), in the order of their names."""
    files = _files(path)
    folder = path if path.is_dir() else path.parent
    settings = settings or _settings(folder)
    return Samples([file.stem for file in files], lambda k: _read(files[k], settings))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in READABLE else []
    return sorted(p for p in path.glob("*") if p.suffix.lower() in READABLE and p.is_file())


def _settings(folder: Path) -> OwnData:
    file = folder / SETTINGS
    if not file.is_file():
        return OwnData()
    entries: Any = read_json(file)
    known = {f.name for f in fields(OwnData)}
    if not isinstance(entries, dict) or set(entries) - known:
        wrong = ", ".join(sorted(set(entries) - known)) if isinstance(entries, dict) else "no table"
        raise ValueError(f"{file}: {wrong} is not understood; entries are {', '.join(sorted(known))}.")
    try:
        classes = {int(number): str(name) for number, name in entries.get("classes", {}).items()}
        background = tuple(int(number) for number in entries.get("background", ()))
        return OwnData(**entries | {"classes": classes, "background": background})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: {error}") from error


def _read(file: Path, settings: OwnData) -> Sample:
    pair = file.with_suffix(".label")
    cloud = read_cloud(file, pair if pair.is_file() else None)
    if cloud.labels is None:
        raise ValueError(f"{file} has no labels: give it a field 'label' (0 = background, 1, 2, ... = objects), "
                         f"or put {pair.name} beside it.")  # fmt: skip
    ids = np.where(np.isin(cloud.labels, settings.background), 0, cloud.labels)
    return Sample(file.stem, labelled(file.stem, _turned(cloud, settings), ids, settings.classes, settings.kind))


def _turned(cloud: Cloud, settings: OwnData) -> Cloud:
    axes = np.array(AXES[settings.up], cloud.xyz.dtype)
    xyz = cloud.xyz if settings.up == "z" else cloud.xyz @ axes.T
    return replace(
        cloud, xyz=xyz * cloud.xyz.dtype.type(UNITS[settings.units]), rgb=cloud.rgb if settings.colour else None
    )
