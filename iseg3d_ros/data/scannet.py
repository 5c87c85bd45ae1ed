"""ScanNet v2 as released: mesh, over-segmentation, aggregation and the table of labels."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.data.sample import Sample, Samples, beside, labelled, read_json, read_lines

TABLE = "scannetv2-labels.combined.tsv"
CLASSES_20 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)  # NYU40 ids of the benchmark
CLASSES_40 = tuple(range(1, 41))
_MESH = "_vh_clean_2.ply"
_log = logging.getLogger(__name__)


def recognises(path: Path) -> bool:
    """Whether a folder is a ScanNet scene, or holds scenes (also under scans/)."""
    return bool(_scenes(path))


def scannet(path: Path, view: int = 40, split: str | None = None) -> Samples:
    """The scenes of one official split; instances of classes outside the 20- or 40-class view are background."""
    scenes = _of_split(path, _scenes(path), split)
    names = _class_table(path)
    wanted = {20: CLASSES_20, 40: CLASSES_40}[view]
    return Samples([scene.name for scene in scenes], lambda k: _read(scenes[k], names, wanted))


def _scenes(path: Path) -> list[Path]:
    if (path / f"{path.name}{_MESH}").is_file():
        return [path]
    found = [*path.glob(f"scene*/*{_MESH}"), *path.glob(f"scans/scene*/*{_MESH}")]
    return sorted(mesh.parent for mesh in found)


def _of_split(path: Path, scenes: list[Path], split: str | None) -> list[Path]:
    if len(scenes) == 1 and scenes[0] == path:
        return scenes
    listed = beside(path, f"scannetv2_{split or 'val'}.txt")
    if listed is None and split is None:
        _log.warning("%s: no scannetv2_val.txt in it or above it; all scenes are taken, training ones too.", path)
        return scenes
    if listed is None:
        raise ValueError(f"{path}: the list scannetv2_{split}.txt is missing; ScanNet's repository has it under "
                         "Tasks/Benchmark, put it into this folder.")  # fmt: skip
    chosen = set(read_lines(listed))
    kept = [scene for scene in scenes if scene.name in chosen]
    if not kept:
        raise ValueError(f"{path}: none of its {len(scenes)} scenes is in {listed}.")
    return kept


def _class_table(path: Path) -> dict[str, tuple[int, str]]:
    """NYU40 id and class of every raw category."""
    table = beside(path, TABLE)
    if table is None:
        raise ValueError(f"{path}: the table {TABLE} is missing; ScanNet's download has it, put it into this folder.")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    try:
        return {row["raw_category"]: (int(row["nyu40id"] or 0), row["nyu40class"]) for row in rows}
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{table} is damaged: raw_category, nyu40id or nyu40class is missing ({error}).") from error


def _read(scene: Path, table: dict[str, tuple[int, str]], wanted: tuple[int, ...]) -> Sample:
    cloud = read_cloud(scene / f"{scene.name}{_MESH}")
    ids, names = _instances(scene, _segments(scene, len(cloud)), table, wanted)
    return Sample(scene.name, labelled(scene.name, cloud, ids, names, "room"))


def _segments(scene: Path, count: int) -> NDArray[np.int64]:
    file = next(iter(sorted(scene.glob(f"{scene.name}_vh_clean_2.*.segs.json"))), None)
    if file is None:
        raise ValueError(f"{scene}: the over-segmentation {scene.name}_vh_clean_2.0.010000.segs.json is missing.")
    try:
        segments = np.array(read_json(file)["segIndices"], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ValueError) and str(file) in str(error):
            raise
        raise ValueError(f"{file} is damaged: segIndices is not a list of numbers ({error}).") from error
    if segments.shape != (count,) or (count and segments.min() < 0):
        raise ValueError(f"{file} has {segments.size} segment numbers (from 0), but the mesh has {count} vertices.")
    return segments


def _instances(scene: Path, segments: NDArray[np.int64], table: dict[str, tuple[int, str]],
               wanted: tuple[int, ...]) -> tuple[NDArray[np.int64], dict[int, str]]:  # fmt: skip
    file = scene / f"{scene.name}.aggregation.json"
    ids, names = np.zeros(len(segments), np.int64), {}
    try:
        for group in read_json(file)["segGroups"]:
            number, name = table.get(group["label"], (0, ""))
            if number in wanted:
                value = int(group["objectId"]) + 1
                ids[np.isin(segments, np.array(group["segments"], np.int64))] = value
                names[value] = name
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged: a group has no objectId, label or segments ({error}).") from error
    return ids, names
