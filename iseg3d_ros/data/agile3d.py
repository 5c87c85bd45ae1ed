"""AGILE3D's benchmark files as they are published: val_list.json with scans, object_ids.npy with scans or crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled, read_json, read_lines
from iseg3d_ros.io.columns import Cloud

MULTI, SINGLE, CLASSES = "val_list.json", "object_ids.npy", "object_classes.txt"


def recognises(path: Path) -> bool:
    """Whether a path is one of the lists or a folder with one."""
    return path.name in (MULTI, SINGLE) or (path / MULTI).is_file() or (path / SINGLE).is_file()


def agile3d(path: Path) -> Samples:
    """The multi-object samples of val_list.json, or the single objects of object_ids.npy, whichever the path names."""
    if path.is_file():
        return multi(path) if path.name == MULTI else single(path)
    return multi(path / MULTI) if (path / MULTI).is_file() else single(path / SINGLE)


def multi(file: Path) -> Samples:
    """Key `<scene>_obj_<M>`: its `obj` maps new ids 1..M to the scan's; recorded clicks are not used."""
    entries = read_json(file)
    if not isinstance(entries, dict) or not all("_obj_" in key for key in entries):
        raise ValueError(f"{file} is damaged: keys such as scene0011_00_obj_3 are expected.")
    keys = list(entries)

    def read(k: int) -> Sample:
        key = keys[k]
        scan = _scan(file.parent, key.rsplit("_obj_", 1)[0])
        try:
            mapping = {int(new): int(old) for new, old in entries[key]["obj"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{file} is damaged: {key} has no map of objects ({error}).") from error
        return _chosen(key, scan, mapping, {})

    return Samples(keys, read)


def single(file: Path) -> Samples:
    """One sample a row (scene, object); the crop around the object where there is one, else the whole scan."""
    try:
        rows = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file} is damaged, or holds Python objects, which are not read ({error}).") from error
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(f"{file} has the shape {rows.shape}; rows of scene and object id are expected.")
    listed = [(str(scene), int(number)) for scene, number in rows[:, :2]]
    classes = read_lines(file.parent / CLASSES) if (file.parent / CLASSES).is_file() else ["object"] * len(listed)
    if len(classes) != len(listed):
        raise ValueError(f"{file.parent / CLASSES} has {len(classes)} lines for the {len(listed)} rows of {file}.")

    def read(k: int) -> Sample:
        scene, number = listed[k]
        name, crop = f"{scene}_{number}", file.parent / "crops" / scene / f"{scene}_crop_{number}.ply"
        if crop.is_file():
            return _chosen(name, crop, {1: 1}, {1: classes[k]})  # a crop's labels are 0 and 1 already
        return _chosen(name, _scan(file.parent, scene), {1: number}, {1: classes[k]})

    return Samples([f"{scene}_{number}" for scene, number in listed], read)


def _scan(folder: Path, scene: str) -> Path:
    for place in (folder / "scans", folder.parent / "scans", folder):
        if (place / f"{scene}.ply").is_file():
            return place / f"{scene}.ply"
    raise ValueError(f"{folder}: the scan scans/{scene}.ply is missing, here and in the folder above.")


def _chosen(name: str, file: Path, mapping: dict[int, int], names: dict[int, str]) -> Sample:
    """The cloud with the chosen objects renumbered and everything else background."""
    cloud: Cloud = read_cloud(file)
    if cloud.labels is None:
        raise ValueError(f"{file} has no field 'label'.")
    ids = np.zeros(len(cloud), np.int64)
    for new, old in mapping.items():
        ids[cloud.labels == old] = new
    missing = sorted(set(mapping) - set(np.unique(ids).tolist()))
    if missing:
        raise ValueError(f"{file} has no point of object {mapping[missing[0]]}, which {name} asks for.")
    return Sample(name, labelled(name, cloud, ids, names, "room"), tuple(range(1, len(mapping) + 1)))
