"""Replica: the semantic mesh of the Habitat export, whose faces carry object ids, and its list of objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled, read_json
from iseg3d_ros.io import ply

_MESH, _INFO = Path("habitat/mesh_semantic.ply"), Path("habitat/info_semantic.json")


def recognises(path: Path) -> bool:
    """Whether a folder is a scene or holds scenes."""
    return bool(_scenes(path))


def replica(path: Path) -> Samples:
    """All scenes; the vertices are the points, each of the object that a face at it belongs to."""
    scenes = _scenes(path)
    return Samples([scene.name for scene in scenes], lambda k: _read(scenes[k]))


def _scenes(path: Path) -> list[Path]:
    if (path / _MESH).is_file():
        return [path]
    return sorted(mesh.parents[1] for mesh in path.glob(f"*/{_MESH.as_posix()}"))


def _read(scene: Path) -> Sample:
    mesh = scene / _MESH
    elements = ply.tables(mesh)
    try:
        vertex, face = elements["vertex"], elements["face"]
        corners, objects = face["vertex_indices"], face["object_id"]
        xyz = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
        rgb = np.stack([vertex[c] for c in ("red", "green", "blue")], axis=1).astype(np.uint8)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{mesh} is no semantic mesh of Replica: {error} is missing.") from error
    if corners.size and not 0 <= corners.min() <= corners.max() < len(xyz):
        raise ValueError(f"{mesh} is damaged: a face names a vertex that does not exist.")
    ids = np.zeros(len(xyz), np.int64)
    ids[corners.reshape(-1)] = np.repeat(objects.astype(np.int64) + 1, corners.shape[1])
    names = _names(scene / _INFO)
    ids[np.isin(ids, [value for value, name in names.items() if name == "undefined"])] = 0
    return Sample(scene.name, labelled(scene.name, Cloud(xyz, rgb), ids, names, "room"))


def _names(file: Path) -> dict[int, str]:
    """Class by object id + 1."""
    if not file.is_file():
        return {}
    try:
        return {int(entry["id"]) + 1: str(entry["class_name"]) for entry in read_json(file)["objects"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged: an object has no id or class_name ({error}).") from error
