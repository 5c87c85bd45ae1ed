"""Opens all labelled data: synthetic scenes, public data sets in official formats, AGILE3D's lists, your own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from iseg3d_ros.data import agile3d, kitti360, own, partnet, replica, s3dis, scannet, semantickitti
from iseg3d_ros.data.folder import SUFFIX, SceneFolder, read_scene
from iseg3d_ros.data.sample import Sample, Samples

KINDS = (
    "scenes",
    "agile3d",
    "scannet20",
    "scannet40",
    "s3dis",
    "semantickitti",
    "kitti360",
    "replica",
    "partnet",
    "own",
)

# What a folder is taken for, in this order: the particular layouts first, plain clouds last.
_RECOGNISED: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("scenes", lambda path: path.suffix == SUFFIX or any(path.glob(f"*{SUFFIX}"))),
    ("agile3d", agile3d.recognises),
    ("scannet40", scannet.recognises),
    ("s3dis", s3dis.recognises),
    ("semantickitti", semantickitti.recognises),
    ("kitti360", kitti360.recognises),
    ("replica", replica.recognises),
    ("partnet", partnet.recognises),
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
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    if kind == "auto":
        kind = next((name for name, recognises in _RECOGNISED if recognises(path)), "")
    samples = _open(path, kind, split)
    if len(samples) == 0:
        raise ValueError(f"{path} holds no sample of the kind {kind}.")
    return samples


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
            return s3dis.s3dis(path)
        case "semantickitti":
            return semantickitti.semantickitti(path, split)
        case "kitti360":
            return kitti360.kitti360(path, split)
        case "replica":
            return replica.replica(path)
        case "partnet":
            return partnet.partnet(path)
        case "own":
            return own.own(path)
        case "":
            raise ValueError(f"{path} holds no data that is recognised; the kinds are {', '.join(KINDS)}, and "
                             "docs/own_data.md says how to lay out your own.")  # fmt: skip
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
