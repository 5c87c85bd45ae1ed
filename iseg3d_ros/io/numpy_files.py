"""NumPy's own files: npz with named arrays, npy with a table or with named columns."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.columns import INTENSITY, LABEL, Cloud, as_bytes, as_labels, cloud_of, columns_of, rows_of

POINTS = ("xyz", "points", "coord", "coords", "pos", "positions", "xyz_mm")
LEAST_ROOM, MOST_GROWTH = 64 << 20, 100  # bytes that any archive may unpack to, and as a multiple of its size
COLOURS = ("rgb", "colors", "colours", "color", "colour")


def read_npz(path: Path) -> Cloud:
    """Arrays `xyz` (or points, coord …; `xyz_mm` in millimetres), `rgb`, `intensity`, `labels`; or columns x, y, z."""
    try:
        named = unpacked(path)
    except (EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is truncated, or no npz file of plain arrays ({error}).") from error
    points = next((name for name in POINTS if name in named), None)
    if points is None:
        return cloud_of(named, str(path))
    xyz = _floats(named[points], str(path)) / (np.float32(1000) if points == "xyz_mm" else np.float32(1))
    rgb = next((as_bytes(named[name]) for name in COLOURS if name in named), None)
    intensity = next((named[name].astype(np.float32).reshape(-1) for name in INTENSITY if name in named), None)
    labels = next((as_labels(named[name].reshape(-1), str(path)) for name in LABEL if name in named), None)
    return Cloud(xyz, rgb, intensity, labels)


def unpacked(path: Path, kinds: str = "fiub") -> dict[str, np.ndarray]:
    """The arrays of these kinds; what they would need is known, and refused, before any memory is taken for them."""
    room = LEAST_ROOM + MOST_GROWTH * path.stat().st_size
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                shape, by_column, dtype = _header(stream)
                if dtype.kind not in kinds:
                    continue
                size = math.prod(shape) * dtype.itemsize
                room -= size
                if room < 0:
                    raise ValueError(f"{path} would unpack to more than {MOST_GROWTH} times its size; where this is "
                                     "meant, save it without compression (numpy.savez).")  # fmt: skip
                data = bytearray(stream.read(size))
                if len(data) < size or stream.read(1):  # reading to the end also checks the checksum
                    raise EOFError(f"{member.filename} has not the promised size")
            name = member.filename.removesuffix(".npy").lower()
            found[name] = np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C")
    return found


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type of an npy file; nothing more is read."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"its npy format {version} is unknown")


def _floats(values: np.ndarray, where: str) -> np.ndarray:
    if values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(f"{where}: its points have the shape {values.shape}, not (N, 3).")
    return values.astype(np.float64 if values.dtype in (np.float64, np.int64) else np.float32)


def read_npy(path: Path) -> Cloud:
    """A structured array with fields x, y, z …, or a table of 3 (xyz), 4 (+ intensity), 6 (+ rgb) or 7 (+ label)."""
    if zipfile.is_zipfile(path):
        raise ValueError(f"{path} is an npz archive; name it .npz.")
    try:
        with path.open("rb") as stream:
            shape, _, dtype = _header(stream)
            if math.prod(shape) * dtype.itemsize > path.stat().st_size - stream.tell():
                raise ValueError(f"{math.prod(shape)} values are promised, and not there")
        table = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is truncated, or no npy file of plain numbers ({error}).") from error
    if table.dtype.names:
        return cloud_of({name: table[name].reshape(-1) for name in table.dtype.names}, str(path))
    if table.ndim != 2 or table.shape[1] not in (3, 4, 6, 7) or table.dtype.kind not in "fiu":
        raise ValueError(f"{path} has the shape {table.shape}; points need (N, 3), (N, 4), (N, 6) or (N, 7) numbers.")
    rgb = as_bytes(table[:, 3:6]) if table.shape[1] >= 6 else None
    intensity = table[:, 3].astype(np.float32) if table.shape[1] == 4 else None
    labels = as_labels(table[:, 6], str(path)) if table.shape[1] == 7 else None
    return Cloud(_floats(table[:, :3], str(path)), rgb, intensity, labels)


def write_npz(path: Path, cloud: Cloud, fields: Mapping[str, np.ndarray]) -> None:
    """Arrays xyz, rgb, intensity, labels and the further fields."""
    arrays: dict[str, Any] = {
        "xyz": cloud.xyz,
        "rgb": cloud.rgb,
        "intensity": cloud.intensity,
        "labels": cloud.labels,
        **fields,
    }
    with replacing(path) as stream:
        np.savez_compressed(stream, **{name: values for name, values in arrays.items() if values is not None})


def write_npy(path: Path, cloud: Cloud) -> None:
    """A structured array with fields x, y, z, intensity, label, red, green, blue as far as they are there."""
    columns = columns_of(cloud, {})
    if cloud.rgb is not None:
        columns.update(zip(("red", "green", "blue"), cloud.rgb.T, strict=True))
    with replacing(path) as stream:
        np.save(stream, rows_of(columns))
