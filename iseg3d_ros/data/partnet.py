"""PartNet, release data_v0: points sampled on a shape and the id of the part each lies on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled, read_json

# points, labels, and the tree of parts that the labels are ids of; the first that is there is read
_LAYOUTS = (
    ("point_sample/pts-10000.txt", "point_sample/label-10000.txt", "result_after_merging.json"),
    ("point_sample/sample-points-all-pts-nor-rgba-10000.txt", "point_sample/sample-points-all-label-10000.txt",
     "result.json"),
)  # fmt: skip
_COLOURED = 10  # columns: x y z, normal, r g b a


def recognises(path: Path) -> bool:
    """Whether a folder is a shape or holds shapes (also under data_v0/)."""
    return bool(_shapes(path))


def partnet(path: Path) -> Samples:
    """All shapes, turned from y up to z up; a shape's size is about one, not metres."""
    shapes = _shapes(path)
    return Samples([shape.name for shape in shapes], lambda k: _read(shapes[k]))


def _shapes(path: Path) -> list[Path]:
    if _layout(path):
        return [path]
    return sorted(
        f.parent for p in ("*/point_sample", "data_v0/*/point_sample") for f in path.glob(p) if _layout(f.parent)
    )


def _layout(shape: Path) -> tuple[str, str, str] | None:
    return next((row for row in _LAYOUTS if (shape / row[0]).is_file() and (shape / row[1]).is_file()), None)


def _read(shape: Path) -> Sample:
    layout = _layout(shape)
    if layout is None:
        raise ValueError(f"{shape}: {_LAYOUTS[0][0]} or {_LAYOUTS[0][1]} is missing.")
    points, label, tree = (shape / name for name in layout)
    ids = _numbers(label).reshape(-1).astype(np.int64)
    table = _numbers(points)
    if len(ids) == 0 or table.size % len(ids) or table.size // len(ids) < 3:
        raise ValueError(f"{points} has {table.size} numbers, which {len(ids)} labels in {label} do not fit.")
    table = table.reshape(len(ids), -1)
    x, y, z = table[:, :3].T
    rgb = np.clip(table[:, 6:9], 0, 255).astype(np.uint8) if table.shape[1] >= _COLOURED else None
    cloud = Cloud(np.stack([x, -z, y], axis=1).astype(np.float32), rgb)
    names = {number + 1: name for number, name in _parts(read_json(shape / tree))} if (shape / tree).is_file() else {}
    return Sample(shape.name, labelled(shape.name, cloud, ids + 1, names, "object"))


def _numbers(file: Path) -> NDArray[np.float64]:
    try:
        return np.array(file.read_bytes().split(), np.float64)
    except ValueError as error:
        raise ValueError(f"{file} is damaged: it holds text where numbers should be.") from error


def _parts(tree: Any) -> Iterator[tuple[int, str]]:
    """Ids and names of all nodes of a tree of parts."""
    for node in tree if isinstance(tree, list) else []:
        if isinstance(node, dict) and "id" in node:
            yield int(node["id"]), str(node.get("name", "part"))
            yield from _parts(node.get("children", []))
