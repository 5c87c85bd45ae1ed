"""Every format in which a labelled cloud leaves the program, in one list: files by their suffix, folders by their name.

All carry the instances; names, classes, boxes, probability, uncertainty and, from networks that sample, variance, as
far as a format has room for them (`Format.holds`). Nothing that is there is replaced unless `overwrite` says so, and
then only once the new is whole.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.geometry.boxes import Box, oriented_box
from iseg3d_ros.io import export_layouts as layouts
from iseg3d_ros.io import export_mcap, kitti, pcd, ply
from iseg3d_ros.io import export_scanners as scanners
from iseg3d_ros.io import numpy_files as arrays
from iseg3d_ros.io.columns import Cloud
from iseg3d_ros.io.export_place import CONTENTS, NewFolder, check_place, new_file

UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class ExportedObject:
    """What is said of a label: the operator's name, the class, which may be empty, and a box that was given by hand."""

    label: int
    name: str
    category: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class LabelledResult:
    """A cloud with its labels, and what is known of them; `up` is the direction along which boxes stand."""

    cloud: Cloud
    objects: tuple[ExportedObject, ...]
    probability: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    up: Sequence[float] = UP
    variance: np.ndarray | None = None  # of networks that sample

    @property
    def labels(self) -> np.ndarray:
        """The label of every point, 0 is the background."""
        if self.cloud.labels is None:
            raise ValueError("There are no labels to export.")
        return self.cloud.labels

    @property
    def fields(self) -> dict[str, np.ndarray]:
        """Values a point beside the cloud's own."""
        given = {"probability": self.probability, "uncertainty": self.uncertainty, "variance": self.variance}
        return {name: values for name, values in given.items() if values is not None}

    @cached_property
    def boxes(self) -> Mapping[int, Box]:
        """Of every object that has points or was given one, by label."""
        there = np.isfinite(self.cloud.xyz).all(axis=1)
        given = {item.label: item.box for item in self.objects if item.box is not None}
        rest = [item.label for item in self.objects if item.label not in given]
        chosen = {label: self.cloud.xyz[there & (self.labels == label)] for label in rest}
        made = {label: oriented_box(xyz, np.asarray(self.up)) for label, xyz in chosen.items() if len(xyz)}
        return dict(sorted({**given, **made}.items()))

    def described(self) -> list[dict[str, Any]]:
        """Label, name, class, points and box of every object, as plain values."""
        return [
            {
                "label": item.label,
                "name": item.name,
                "class": item.category,
                "points": int((self.labels == item.label).sum()),
                **({"attributes": dict(item.attributes)} if item.attributes else {}),
                **_box(self.boxes.get(item.label)),
            }
            for item in self.objects
        ]

    def lines(self) -> list[str]:
        """The same in lines of ascii JSON, for the comments of a header."""
        lines = [f"object {json.dumps(item)}" for item in self.described()]
        return [line.replace("end_header", "end\\u005fheader") for line in lines]  # a name must not end the header


def _box(box: Box | None) -> dict[str, Any]:
    if box is None:
        return {"box": None}
    return {"box": {name: np.round(getattr(box, name), 6).tolist() for name in ("centre", "rotation", "size")}}


@dataclass(frozen=True)
class Format:
    """How to write one; a file's writer takes its path, a folder's the folder and the number of the cloud in it."""

    write: Callable[..., None]
    holds: str
    folder: bool = False
    needs: str = ""


def _ply(path: Path, result: LabelledResult) -> None:
    ply.write(path, result.cloud, result.fields, "binary", result.lines())


def _pcd(path: Path, result: LabelledResult) -> None:
    pcd.write(path, result.cloud, result.fields, "binary", result.lines())


def _npz(path: Path, result: LabelledResult) -> None:
    rows = result.described()
    named = {"object_labels": "label", "object_names": "name", "object_classes": "class"}
    kinds = {"label": np.int32, "name": np.str_, "class": np.str_}
    extra: dict[str, np.ndarray] = {
        name: np.array([row[key] for row in rows], kinds[key]) for name, key in named.items()
    }
    for part, shape in (("centre", (3,)), ("rotation", (3, 3)), ("size", (3,))):
        boxes = [row["box"][part] if row["box"] else np.full(shape, np.nan) for row in rows]
        extra[f"box_{part}"] = np.array(boxes, np.float64).reshape(len(rows), *shape)
    arrays.write_npz(path, result.cloud, {**result.fields, **extra})


ALL = "instances, names, classes, boxes, probability, uncertainty"
FORMATS: Mapping[str, Format] = {
    "ply": Format(_ply, f"{ALL} (objects as JSON in header comments)"),
    "pcd": Format(_pcd, f"{ALL} (objects as JSON in header comments)"),
    "npz": Format(_npz, f"{ALL} (arrays object_*, box_*)"),
    "npy": Format(lambda path, result: arrays.write_npy(path, result.cloud), "instances"),
    "bin": Format(lambda path, result: kitti.write(path, result.cloud), "points alone"),
    "label": Format(layouts.write_label, "instances, SemanticKITTI's classes"),
    "las": Format(scanners.write_las, f"{ALL} (a record of the user iseg3d)", needs="laspy"),
    "laz": Format(scanners.write_las, f"{ALL} (a record of the user iseg3d)", needs="laspy"),
    "e57": Format(scanners.write_e57, "a scan for each object, named; names, classes", needs="pye57"),
    "mcap": Format(export_mcap.write_mcap, f"{ALL} (a recording with one cloud; objects as text)", needs="rosbags"),
    "semantickitti": Format(layouts.write_semantickitti, "instances, classes; names, boxes in export.json", True),
    "kitti": Format(layouts.write_kitti, "boxes with classes; the rest in export.json", True),
    "pointcept": Format(layouts.write_pointcept, f"{ALL}; names and boxes in export.json", True),
}


def format_of(path: Path, wanted: str = "") -> str:
    """The format that was asked for, or that of the file's suffix."""
    name = wanted or path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        files = ", ".join(f".{known}" for known, form in FORMATS.items() if not form.folder)
        folders = ", ".join(known for known, form in FORMATS.items() if form.folder)
        raise ValueError(f"{path}: clouds cannot be written so; the formats are {files}, and as folders {folders}.")
    return name


def check_export(path: Path, name: str, overwrite: bool) -> None:
    """Refuse before the work what would fail after it: the package, the folder, what is there already."""
    check_needs(name)
    check_place(path, overwrite, FORMATS[name].folder)


def check_needs(name: str) -> None:
    """Refuse a format whose package is not installed."""
    form = FORMATS[name]
    if form.needs and importlib.util.find_spec(form.needs) is None:
        raise RuntimeError(f"{name} files are written by the Python package {form.needs}: pip install {form.needs}.")
    if name == "laz" and importlib.util.find_spec("lazrs") is None and importlib.util.find_spec("laszip") is None:
        raise RuntimeError("laz files are compressed by the Python package lazrs: pip install lazrs.")


def export(path: Path, name: str, result: LabelledResult, overwrite: bool = False) -> None:
    """Write one cloud: a file, or a folder of one."""
    check_export(path, name, overwrite)
    if FORMATS[name].folder:
        with ExportFolder(path, name, overwrite) as folder:
            folder.add(result)
        return
    with new_file(path, overwrite) as part:
        FORMATS[name].write(part, result)


class ExportFolder:
    """A folder for many clouds, a format's layout or a file each; it has its name when all of them are in it."""

    def __init__(self, path: Path, name: str, overwrite: bool = False) -> None:
        check_needs(name)
        self.path, self._name, self._place = path, name, NewFolder(path, overwrite)
        self._clouds: list[list[dict[str, Any]]] = []

    def __enter__(self) -> ExportFolder:
        self._part = self._place.__enter__()
        return self

    def add(self, result: LabelledResult) -> None:
        """The next cloud."""
        form, number = FORMATS[self._name], len(self._clouds)
        if form.folder:
            form.write(self._part, result, number)
        else:
            form.write(self._part / f"{number:06d}.{self._name}", result)
        self._clouds.append(result.described())

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            files = sorted(str(file.relative_to(self._part)) for file in self._part.rglob("*") if file.is_file())
            contents = {"format": self._name, "files": files, "clouds": self._clouds}
            (self._part / CONTENTS).write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
        self._place.__exit__(kind, *rest)
