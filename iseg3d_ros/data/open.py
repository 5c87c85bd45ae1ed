"""Opens all labelled data: synthetic scenes, public data sets in official formats, AGILE3D's lists, your own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from iseg3d_ros.data import agile3d, bag, kitti360, own, partnet, replica, s3dis, scannet, semantickitti, sessions
from iseg3d_ros.data.folder import SUFFIX, SceneFolder, read_scene
from iseg3d_ros.data.sample import Sample, Samples

# Every kind of data, and the layout that it is expected in.
LAYOUTS = {
    "scenes": "*.scene files, as `iseg3d scenes` makes them",
    "agile3d": "val_list.json with scans/<scene>.ply, or object_ids.npy with object_classes.txt",
    "scannet20": "scans/<scene>/<scene>_vh_clean_2.ply with .0.010000.segs.json and .aggregation.json beside it, "
    "scannetv2-labels.combined.tsv and scannetv2_train.txt / scannetv2_val.txt above",
    "scannet40": "as scannet20",
    "s3dis": "Area_1 to Area_6, in each <room>/Annotations/<class>_<number>.txt of x y z r g b (the aligned version)",
    "semantickitti": "dataset/sequences/<00 to 10>/velodyne/*.bin with labels/*.label beside it",
    "kitti360": "data_3d_semantics/train/<drive>_sync/static/<from>_<to>.ply with fields semantic and instance, and "
    "2013_05_28_drive_train.txt / 2013_05_28_drive_val.txt",
    "replica": "<scene>/habitat/mesh_semantic.ply with info_semantic.json",
    "partnet": "data_v0/<shape>/point_sample/pts-10000.txt and label-10000.txt, result_after_merging.json",
    "session": "<work>/journal/journal-*.log, as console and node keep their work",
    "bag": "a .mcap or .db3 file, or rosbag2's folder, of clouds with a field instance",
    "own": "a folder of .ply, .pcd, .npz or .npy files with labels, or .bin with .label (docs/own_data.md)",
}
KINDS = tuple(LAYOUTS)

# What a folder is taken for, in this order: the particular layouts first, plain clouds last.
_RECOGNISED: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("scenes", lambda path: path.suffix == SUFFIX or any(path.glob(f"*{SUFFIX}"))),
    ("agile3d", agile3d.recognises),
    ("scannet40", scannet.recognises),
    ("scannet20", scannet.recognises),
    ("s3dis", s3dis.recognises),
    ("semantickitti", semantickitti.recognises),
    ("kitti360", kitti360.recognises),
    ("replica", replica.recognises),
    ("partnet", partnet.recognises),
    ("session", sessions.recognises),
    ("bag", bag.recognises),
    ("own", own.recognises),
)


def open_data(path: str | os.PathLike[str], kind: str = "auto", split: str | None = None) -> Samples:
    """The samples at a path; nothing but names is read before a sample is asked for.

    `kind` is one of KINDS, or "auto" to go by the files that are there (ScanNet then in its 40-class view); a path
    may also begin with a kind and a colon, as in scannet20:DIR. `split` is "train" or "val" where the data set has
    official splits; without it the official validation part is taken; of synthetic scenes those of held-out
    models, if any.
    """
    path, kind = place_of(os.fspath(path), kind)
    kind = kind_of_place(path, kind)
    if kind in KINDS and not dict(_RECOGNISED)[kind](path):
        raise ValueError(f"{path} is not laid out as {kind}; expected is {LAYOUTS[kind]}.")
    samples = _open(path, kind, split)
    if len(samples) == 0:
        part = "" if split is None else f" in its {split} part"
        raise ValueError(f"{path} holds no sample of the kind {kind}{part}; expected is {LAYOUTS[kind]}.")
    return samples


def kind_of_place(path: str | os.PathLike[str], kind: str = "auto") -> str:
    """One of KINDS, by the path's prefix or by the files that are there; "" where nothing is recognised."""
    path, kind = place_of(os.fspath(path), kind)
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    if kind == "auto":
        return next((name for name, recognises in _RECOGNISED if recognises(path)), "")
    return kind


def place_of(path: str, kind: str = "auto") -> tuple[Path, str]:
    """Where a path leads, and the kind that it names by a prefix."""
    prefix, colon, rest = path.partition(":")
    return (Path(rest), prefix) if colon and prefix in KINDS else (Path(path), kind)


def _open(path: Path, kind: str, split: str | None) -> Samples:
    match kind:
        case "scenes":
            return _scenes(path, split)
        case "agile3d":
            return agile3d.agile3d(path)
        case "scannet20" | "scannet40":
            return scannet.scannet(path, int(kind[-2:]), split)
        case "s3dis":
            return s3dis.s3dis(path, split)
        case "semantickitti":
            return semantickitti.semantickitti(path, split)
        case "kitti360":
            return kitti360.kitti360(path, split)
        case "replica":
            return replica.replica(path)
        case "partnet":
            return partnet.partnet(path)
        case "session":
            return sessions.sessions(path)
        case "bag":
            return bag.bag(path)
        case "own":
            return own.own(path)
        case "":
            layouts = "; ".join(f"{name}: {layout}" for name, layout in LAYOUTS.items())
            raise ValueError(f"{path} holds no data that is recognised. Expected is one of these. {layouts}.")
    raise ValueError(f"The kind {kind!r} of data is unknown; the kinds are {', '.join(KINDS)}.")


def _scenes(path: Path, split: str | None) -> Samples:
    files = [path] if path.is_file() else _scene_files(path, split)

    def read(k: int) -> Sample:
        return Sample(files[k].stem, read_scene(files[k]))

    return Samples([file.stem for file in files], read)


def _scene_files(folder: Path, split: str | None) -> list[Path]:
    scenes = SceneFolder(folder, split=split)
    held_out = [path for path, part in zip(scenes.paths, scenes.splits) if part == "val"]
    return held_out if split is None and held_out else scenes.paths
