"""Some hundred scenes in one file: a few points a voxel, millimetres in 16 bits, deflated; an eighth of the bytes.

For training alone: what lies closer together than a training voxel's edge is thinned. A `.pack` file is a magic line,
the header's length, a JSON header with an entry a scene, and the scenes' deflated bytes: the origin of their grid
float32 (3,), its step float32, xyz uint16 (N, 3), instance uint16 (N,), rgb uint8 (N, 3) if any. Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.data.folder import LabelledCloud, SceneFolder
from iseg3d_ros.data.on_demand import OnDemand
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.preprocessing.voxels import lowest, voxelise

MAGIC = b"iseg3d-pack-1\n\x00\x00"
SUFFIX = ".pack"
PER_FILE = 400  # scenes
MILLIMETRE = 1e-3
LARGEST = 65535
LEVEL = 6  # of deflation; inflating costs the same at every level
_HEADER_LIMIT = 1 << 24
_HEAD = 16  # bytes of a scene's origin and step
_log = logging.getLogger(__name__)


def pack(scenes: Iterable[LabelledCloud], folder: Path, thin: Mapping[str, float], per_file: int = PER_FILE) -> int:
    """Pack scenes into files of so many, one point per cell of `thin[kind]` metres; gives how many there were."""
    each, count = iter(scenes), 0
    while part := list(islice(each, per_file)):
        write_pack(folder / f"scenes_{count // per_file:04d}{SUFFIX}", part, thin)
        count += len(part)
    return count


def write_pack(path: Path, scenes: Sequence[LabelledCloud], thin: Mapping[str, float]) -> None:
    """One file, whole or not at all."""
    entries, pieces, at = [], [], 0
    for scene in scenes:
        kept = np.sort(voxelise(np.asarray(scene.xyz), thin[scene.kind]).representative)
        piece = _deflated(scene, kept)
        entries.append({
            "name": scene.name, "kind": scene.kind, "split": scene.split, "points": len(kept), "start": at,
            "bytes": len(piece), "rgb": scene.rgb is not None, "classes": list(scene.classes),
            "origin": [float(value) for value in scene.origin],
        })  # fmt: skip
        pieces.append(piece)
        at += len(piece)
    header = json.dumps({"scenes": entries}, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.writelines([MAGIC, struct.pack("<I", len(header)), header, *pieces])


def _deflated(scene: LabelledCloud, kept: np.ndarray) -> bytes:
    xyz = np.asarray(scene.xyz)[kept]
    low = lowest(xyz)
    step = np.float32(max(MILLIMETRE, float((xyz - low).max()) / LARGEST))
    grid = np.rint((xyz - low) / step).clip(0, LARGEST).astype("<u2")
    arrays = [low.astype("<f4"), step.astype("<f4"), grid.T, np.asarray(scene.instance)[kept].astype("<u2")]
    if scene.rgb is not None:
        arrays.append(np.asarray(scene.rgb)[kept].astype(np.uint8).T)
    return zlib.compress(b"".join(array.tobytes() for array in arrays), LEVEL)


def read_entries(path: Path) -> list[dict[str, Any]]:
    """What a pack holds, an entry a scene with `at`, where its bytes begin; foreign and cut-off files are refused."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC) + 4)
        if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
            raise ValueError(f"{path}: is no pack of scenes; make one with `iseg3d scenes --pack FOLDER`")
        length = struct.unpack("<I", start[len(MAGIC) :])[0]
        text, size = file.read(min(length, _HEADER_LIMIT)), os.fstat(file.fileno()).st_size
    try:
        entries: list[dict[str, Any]] = json.loads(text)["scenes"]
        wanted = [(entry["start"], entry["bytes"], entry["points"]) for entry in entries]
        good = all(isinstance(number, int) and number >= 0 for row in wanted for number in row)
        good &= all(isinstance(entry[key], str) for entry in entries for key in ("name", "kind", "split"))
        good &= all(len(entry["origin"]) == 3 and isinstance(entry["rgb"], bool) for entry in entries)
        good &= all(isinstance(name, str) for entry in entries for name in entry["classes"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: the header is damaged ({error}); delete the file and make it again") from error
    first = len(start) + length
    if not good or size != first + max((begin + count for begin, count, _ in wanted), default=0):
        raise ValueError(f"{path}: the file is cut off or damaged; delete it and make it again")
    return [{**entry, "at": first + entry["start"]} for entry in entries]


def read_packed(path: Path, entry: Mapping[str, Any]) -> LabelledCloud:
    """One scene of a pack."""
    with path.open("rb") as file:
        file.seek(entry["at"])
        piece = file.read(entry["bytes"])
    count, colour = entry["points"], entry["rgb"]
    size = _HEAD + count * (8 + 3 * colour)
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(piece, size + 1)
    except zlib.error as error:
        raise ValueError(f"{path}: scene {entry['name']} is damaged ({error}); delete the file") from error
    if len(raw) != size:
        raise ValueError(f"{path}: scene {entry['name']} is damaged; delete the file and make it again")
    arrays = _arrays(raw, count)
    low, step, grid, instance = next(arrays), next(arrays), next(arrays), next(arrays)
    if count and int(instance.max()) > len(entry["classes"]):
        raise ValueError(f"{path}: an instance of scene {entry['name']} has no class name; delete the file")
    xyz = np.ascontiguousarray((grid.astype(np.float32) * step + low[:, None]).T)
    rgb = np.ascontiguousarray(next(arrays).T) if colour else None
    return LabelledCloud(entry["name"], xyz, rgb, None, instance.astype(np.int32), tuple(entry["classes"]),
                         entry["kind"], np.array(entry["origin"], np.float32), entry["split"])  # fmt: skip


def _arrays(raw: bytes, count: int) -> Iterator[np.ndarray]:
    """Origin, step, grid (3, N), instance (N,), and colour (3, N) where it is there."""
    at = 0
    for kind, shape in (("<f4", (3,)), ("<f4", (1,)), ("<u2", (3, count)), ("<u2", (count,)), ("u1", (3, count))):
        numbers = int(np.prod(shape))
        yield np.frombuffer(raw, kind, numbers, at).reshape(shape)
        at += numbers * np.dtype(kind).itemsize


class Scenes(OnDemand[LabelledCloud]):
    """All scenes of one split and kind in some folders, single files first, packs after them."""

    def __init__(self, *folders: str | os.PathLike[str], split: str, kind: str) -> None:
        self._single = SceneFolder(*folders, split=split, kind=kind)
        self._packed: list[tuple[Path, dict[str, Any]]] = []
        self.broken = self._single.broken
        for path in (path for folder in folders for path in sorted(Path(folder).glob(f"*{SUFFIX}"))):
            try:
                entries = read_entries(path)
            except (ValueError, OSError) as error:
                self.broken.append(str(error))
                _log.warning("left out: %s", error)
                continue
            self._packed += [(path, each) for each in entries if (each["split"], each["kind"]) == (split, kind)]

    def __len__(self) -> int:
        return len(self._single) + len(self._packed)

    def read(self, index: int) -> LabelledCloud:
        """A scene of a file of its own, or out of a pack."""
        if index < len(self._single):
            return self._single[index]
        return read_packed(*self._packed[index - len(self._single)])
