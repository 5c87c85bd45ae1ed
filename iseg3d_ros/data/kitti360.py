"""KITTI-360: accumulated point clouds of the static scene, one PLY a window, with semantic and instance ids."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.data.sample import Sample, Samples, beside, labelled, read_lines

_WINDOW = re.compile(r"\d{6,10}_\d{6,10}\.ply")
CLASSES = {
    6: "ground", 7: "road", 8: "sidewalk", 9: "parking", 10: "rail track", 11: "building", 12: "wall", 13: "fence",
    14: "guard rail", 15: "bridge", 16: "tunnel", 17: "pole", 18: "polegroup", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 29: "caravan", 30: "trailer", 31: "train", 32: "motorcycle", 33: "bicycle", 34: "garage", 35: "gate",
    36: "stop", 37: "smallpole", 38: "lamp", 39: "trash bin", 40: "vending machine", 41: "box",
    42: "unknown construction", 43: "unknown vehicle", 44: "unknown object",
}  # fmt: skip


def recognises(path: Path) -> bool:
    """Whether a folder holds windows: itself, or in .../<drive>_sync/static/."""
    return bool(_windows(path))


def kitti360(path: Path, split: str | None = None) -> Samples:
    """The windows of a split (2013_05_28_drive_val.txt, where it lies in the folder or above), or all of them."""
    windows = _windows(path)
    listed = beside(path, f"2013_05_28_drive_{split or 'val'}.txt")
    if listed is None and split is not None:
        raise ValueError(f"{path}: the list 2013_05_28_drive_{split}.txt is missing; the data set has it under "
                         "data_3d_semantics/train.")  # fmt: skip
    if listed is not None:
        wanted = {"/".join(Path(line).parts[-3:]) for line in read_lines(listed)}
        windows = [w for w in windows if "/".join(w.resolve().parts[-3:]) in wanted] or windows
    return Samples([_name(window) for window in windows], lambda k: _read(windows[k]))


def _windows(path: Path) -> list[Path]:
    found = {p for pattern in ("*.ply", "static/*.ply", "*_sync/static/*.ply", "*/*_sync/static/*.ply",
                               "*/*/*_sync/static/*.ply") for p in path.glob(pattern)}  # fmt: skip
    return sorted(p for p in found if _WINDOW.fullmatch(p.name))


def _name(window: Path) -> str:
    drive = next((part for part in reversed(window.parts) if part.endswith("_sync")), "")
    return f"{drive}/{window.stem}".lstrip("/")


def _read(window: Path) -> Sample:
    """The field `instance` is 1000 x class + number; number 0 means that the class has no instances there."""
    cloud = read_cloud(window)
    if cloud.labels is None:
        raise ValueError(f"{window} has no field 'instance'; the windows with semantics are under data_3d_semantics.")
    ids = np.where(cloud.labels % 1000 > 0, cloud.labels, 0)
    names = {int(value): CLASSES.get(int(value) // 1000, "object") for value in np.unique(ids[ids > 0])}
    return Sample(_name(window), labelled(_name(window), cloud, ids, names, "street"))
