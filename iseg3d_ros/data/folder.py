"""Labelled clouds on disk: one memory-mapped file a scene, and a folder of them as a sequence.

A `.scene` file is a magic line, the header's length, a JSON header, and raw little-endian arrays: xyz float32 (N, 3),
intensity float32 (N,) if any, instance uint16 (N,), rgb uint8 (N, 3) if any. Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.data.on_demand import OnDemand
from iseg3d_ros.io.atomic_write import replacing

MAGIC = b"iseg3d-scene-1\n\x00"
SUFFIX = ".scene"
_ALIGN = 64  # the arrays start on a cache line
_HEADER_LIMIT = 1 << 22
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledCloud:
    """A cloud whose objects are known: instance 0 is background or unlabelled, 1..K are objects of classes[i - 1]."""

    name: str
    xyz: np.ndarray  # float32 (N, 3) metres, z up
    rgb: np.ndarray | None  # uint8 (N, 3)
    intensity: np.ndarray | None  # float32 (N,)
    instance: np.ndarray  # int32 (N,)
    classes: tuple[str, ...]
    kind: str  # "room", "tabletop", "street"
    origin: np.ndarray  # float32 (3,) position of the (first) sensor
    split: str = "train"  # "val": made of models that no training scene shows


def write_scene(path: str | os.PathLike[str], cloud: LabelledCloud) -> None:
    """Writes the scene whole or not at all."""
    path = Path(path)
    arrays = _checked_arrays(cloud, path)
    header = {"name": cloud.name, "kind": cloud.kind, "split": cloud.split, "points": len(cloud.xyz),
              "rgb": cloud.rgb is not None, "intensity": cloud.intensity is not None, "classes": list(cloud.classes),
              "origin": [float(c) for c in cloud.origin]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(MAGIC) + 4 + len(text)) % _ALIGN)
    _write_atomically(path, [MAGIC, struct.pack("<I", len(text)), text, *(a.tobytes() for a in arrays)])


def _checked_arrays(cloud: LabelledCloud, path: Path) -> list[np.ndarray]:
    xyz, instance = np.asarray(cloud.xyz), np.asarray(cloud.instance)
    if xyz.ndim != 2 or xyz.shape[1] != 3 or instance.shape != (len(xyz),):
        raise ValueError(f"{path}: xyz must be (N, 3) and instance (N,), not {xyz.shape} and {instance.shape}")
    if not np.isfinite(xyz).all():
        raise ValueError(f"{path}: some coordinates are not finite numbers; leave those points out")
    limit = min(len(cloud.classes), 65535)
    if len(instance) and (instance.min() < 0 or instance.max() > limit):
        raise ValueError(f"{path}: instances run from {instance.min()} to {instance.max()}, "
                         f"but there are class names for 1 to {limit} only")
    arrays = [xyz.astype("<f4")]
    if cloud.intensity is not None:
        arrays.append(_one_per_point(cloud.intensity, (len(xyz),), "intensity", path).astype("<f4"))
    arrays.append(instance.astype("<u2"))
    if cloud.rgb is not None:
        arrays.append(_one_per_point(cloud.rgb, (len(xyz), 3), "rgb", path).astype(np.uint8))
    return arrays


def _one_per_point(values: np.ndarray, shape: tuple[int, ...], what: str, path: Path) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(f"{path}: {what} must have the shape {shape}, not {values.shape}")
    return values


def _write_atomically(path: Path, pieces: list[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.writelines(pieces)
    except OSError as error:
        raise OSError(f"{path}: could not be written ({error.strerror or error}); is the disk full?") from error


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header of a scene file, with `offset`, where the arrays start. Refuses files that are cut off or foreign."""
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(len(MAGIC) + 4)
        if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
            raise ValueError(f"{path}: is no scene file of this package; make scenes with `iseg3d scenes`")
        length = struct.unpack("<I", start[len(MAGIC):])[0]
        header = _parse(file.read(min(length, _HEADER_LIMIT)), path)
        size = os.fstat(file.fileno()).st_size
    header["offset"] = len(start) + length
    wanted = header["offset"] + header["points"] * _bytes_per_point(header)
    if size != wanted:
        raise ValueError(f"{path}: has {size} bytes where its header wants {wanted}; "
                         "the file is cut off or damaged, delete it and make it again")
    return header


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(text)
        good = (isinstance(header["points"], int) and header["points"] >= 0 and len(header["origin"]) == 3
                and all(isinstance(header[k], str) for k in ("name", "kind", "split"))
                and all(isinstance(c, str) for c in header["classes"])
                and all(isinstance(header[k], bool) for k in ("rgb", "intensity")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: the header is damaged ({error}); delete the file and make it again") from error
    if not good:
        raise ValueError(f"{path}: the header is damaged; delete the file and make it again")
    return header


def _bytes_per_point(header: dict[str, Any]) -> int:
    return 12 + 4 * header["intensity"] + 2 + 3 * header["rgb"]


def read_scene(path: str | os.PathLike[str]) -> LabelledCloud:
    """The scene, memory-mapped: points and colours come off the disk when they are touched."""
    path = Path(path)
    header = read_header(path)
    count, offset = header["points"], header["offset"]
    raw = np.memmap(path, np.uint8, "r", offset) if count else np.zeros(0, np.uint8)
    xyz, at = raw[:12 * count].view("<f4").reshape(count, 3), 12 * count
    intensity = None
    if header["intensity"]:
        intensity, at = raw[at:at + 4 * count].view("<f4"), at + 4 * count
    instance, at = raw[at:at + 2 * count].view("<u2").astype(np.int32), at + 2 * count
    rgb = raw[at:at + 3 * count].reshape(count, 3) if header["rgb"] else None
    if count and int(instance.max()) > len(header["classes"]):
        raise ValueError(f"{path}: instance {int(instance.max())} has no class name; delete the file and make it again")
    return LabelledCloud(header["name"], xyz, rgb, intensity, instance, tuple(header["classes"]), header["kind"],
                         np.array(header["origin"], np.float32), header["split"])


class SceneFolder(OnDemand[LabelledCloud]):
    """All scenes of one or more folders, in the order of their names; damaged files are named, logged and left out."""

    def __init__(self, *folders: str | os.PathLike[str], split: str | None = None, kind: str | None = None) -> None:
        self.paths: list[Path] = []
        self.kinds: list[str] = []
        self.splits: list[str] = []
        self.broken: list[str] = []
        for folder in folders:
            if not Path(folder).is_dir():
                raise ValueError(f"{folder}: is no folder; make scenes with `iseg3d scenes --out {folder}`")
            for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
                self._take(path, split, kind)

    def _take(self, path: Path, split: str | None, kind: str | None) -> None:
        try:
            header = read_header(path)
        except (ValueError, OSError) as error:
            self.broken.append(str(error))
            _log.warning("left out: %s", error)
            return
        if split in (None, header["split"]) and kind in (None, header["kind"]):
            self.paths.append(path)
            self.kinds.append(header["kind"])
            self.splits.append(header["split"])

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> LabelledCloud:
        """The scene in one file."""
        return read_scene(self.paths[index])
