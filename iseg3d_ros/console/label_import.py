"""Labels made elsewhere, as objects to correct: those that a scan's file carries, or those of another file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros import limits
from iseg3d_ros.cloud import READABLE, Cloud, read_cloud
from iseg3d_ros.io.export_layouts import SEMANTIC_KITTI
from iseg3d_ros.io.kitti import read_labels
from iseg3d_ros.io.numpy_files import unpacked

HEADER = 1 << 20  # bytes in which the header of a PLY or PCD file ends
NAMED = ("npz", "ply", "pcd")  # formats that hold names and classes, where we wrote them
CLASSES = {number: name for name, number in SEMANTIC_KITTI.items()}
SUFFIXES = (".label", ".npz", ".ply", ".pcd", ".npy")


@dataclass(frozen=True)
class GivenObject:
    """What is known of a label; an empty id is made up."""

    label: int
    name: str = ""
    category: str = ""
    id: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """The label of every point, int32 (N,); those of no object are background. `source`: where they come from."""

    labels: NDArray[np.int32]
    objects: tuple[GivenObject, ...]
    source: str


def labels_of(cloud: Cloud, scan: Path, given: Path | None = None) -> GivenLabels | None:
    """The labels that the scan's file carries, or those of the given file; None where there are none.

    Of a given folder the file with the scan's name is taken.
    """
    if given is not None and given.is_dir():
        given = next((path for path in (given / f"{scan.stem}{suffix}" for suffix in SUFFIXES) if path.is_file()), None)
        if given is None:
            return None
    source = given or scan
    if given is not None and given.suffix.lower() == ".label":
        return _semantic_kitti(given, len(cloud))
    labels = cloud.labels if given is None else read_cloud(given).labels
    if labels is None and given is None:
        return None
    if labels is None or len(labels) != len(cloud):
        what = "holds no labels" if labels is None else f"labels {len(labels)} points, but the scan has {len(cloud)}"
        raise ValueError(f"{source} {what}: give labels of {scan}, in a {' or '.join(SUFFIXES)} file.")
    return _given(labels, dict(_described(source)), source.name)


def _given(labels: np.ndarray, known: dict[int, GivenObject], source: str) -> GivenLabels | None:
    present = [int(label) for label in np.unique(labels) if label > 0]
    if len(present) > limits.OBJECTS:
        raise ValueError(f"{source} labels {len(present)} objects; a scene holds {limits.OBJECTS}.")
    if not present:
        return None
    return GivenLabels(
        labels.astype(np.int32), tuple(known.get(label, GivenObject(label)) for label in present), source
    )


def _semantic_kitti(path: Path, points: int) -> GivenLabels | None:
    labels = read_labels(path, points)
    classes = np.fromfile(path, "<u4") & 0xFFFF
    present, first = np.unique(labels, return_index=True)
    known = {int(n): GivenObject(int(n), category=CLASSES.get(int(classes[at]), ""))
             for n, at in zip(present, first, strict=True)}  # fmt: skip
    return _given(labels, known, path.name)


def _described(path: Path) -> Iterator[tuple[int, GivenObject]]:
    """Names and classes of the labels, where the file is one of ours."""
    kind = path.suffix.lower().removeprefix(".")
    rows = _npz_rows(path) if kind == "npz" else _header_rows(path) if kind in NAMED else iter(())
    for row in rows:
        match row:
            case {"label": int(label), "name": str(name), "class": str(category), **rest}:
                attributes = rest.get("attributes", {})
                pairs = attributes.items() if isinstance(attributes, dict) else ()
                said = tuple((str(each)[: limits.NAME], str(value)[: limits.NAME]) for each, value in pairs)
                yield label, GivenObject(label, name[: limits.NAME], category[: limits.NAME], "", said)


def _npz_rows(path: Path) -> Iterator[dict[str, Any]]:
    arrays = unpacked(path, "iU")
    columns = [arrays.get(f"object_{name}", np.zeros(0)).tolist() for name in ("labels", "names", "classes")]
    for label, name, category in zip(*columns, strict=False):
        yield {"label": label, "name": name, "class": category}


def _header_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The comments of a PLY or PCD file that describe objects."""
    with path.open("rb") as stream:
        header = stream.read(HEADER)
    for line in header.splitlines():
        if line.startswith((b"end_header", b"DATA")):
            return
        _, found, text = line.partition(b"object {")
        if found and line.startswith((b"comment", b"#")):
            try:
                yield json.loads(b"{" + text)
            except ValueError:
                continue


def is_labels(path: Path) -> bool:
    """Whether a file's name says that it may hold labels."""
    return path.suffix.lower() in (".label", *READABLE)
