"""Clouds in and out of files: PLY, PCD, npz, npy, KITTI .bin and SemanticKITTI .label."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from iseg3d_ros.io import kitti, pcd, ply
from iseg3d_ros.io import numpy_files as arrays
from iseg3d_ros.io.columns import Cloud

__all__ = ["READABLE", "WRITABLE", "Cloud", "read_cloud", "write_cloud"]

READABLE = (".ply", ".pcd", ".npz", ".npy", ".bin")
WRITABLE = (*READABLE, ".label")
REMEDY = "Write the file again with the program that it comes from, or convert it to a binary PLY."


def read_cloud(path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None) -> Cloud:
    """Read a cloud with the colours, intensities and labels that its file has.

    `labels` names a SemanticKITTI .label file that belongs to it. NaN points are kept: the order is the file's own.
    """
    path = Path(path)
    try:
        cloud = _read(path)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a damaged file may be wrong in any way, and libraries raise as many kinds of errors
        raise ValueError(_sentence(path, error)) from error
    if len(cloud.xyz) == 0:
        raise ValueError(f"{path} holds no points.")
    return cloud if labels is None else cloud.with_labels(kitti.read_labels(Path(labels), len(cloud.xyz)))


def _sentence(path: Path, error: Exception) -> str:
    """What is wrong with which file, and what to do, in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, ValueError) or str(path) not in reason:
        reason = f"{path} is damaged, or no {path.suffix} file ({reason})."
    return f"{reason[:600].rstrip('.')}. {REMEDY}" if path.suffix.lower() in READABLE else reason


def _read(path: Path) -> Cloud:
    match path.suffix.lower():
        case ".ply":
            return ply.read(path)
        case ".pcd":
            return pcd.read(path)
        case ".npz":
            return arrays.read_npz(path)
        case ".npy":
            return arrays.read_npy(path)
        case ".bin":
            return kitti.read(path)
    raise ValueError(f"{path}: clouds of this kind cannot be read; the formats are {', '.join(READABLE)}.")


def write_cloud(
    path: str | os.PathLike[str],
    cloud: Cloud,
    fields: Mapping[str, np.ndarray] | None = None,
    encoding: str = "binary",
) -> None:
    """Write a cloud; the file appears only when it is complete.

    `fields` are further values a point, such as probability (PLY, PCD, npz). `encoding` is "binary", "ascii" or
    "binary_big_endian" for PLY and "binary", "ascii" or "binary_compressed" for PCD. A .bin file holds x, y, z and
    intensity only, a .label file the labels only.
    """
    path, fields = Path(path), dict(fields or {})
    for name, values in fields.items():
        if np.shape(values) != (len(cloud.xyz),):
            raise ValueError(
                f"The field {name!r} has the shape {np.shape(values)}, but there are {len(cloud.xyz)} points."
            )
    match path.suffix.lower():
        case ".ply":
            ply.write(path, cloud, fields, encoding)
        case ".pcd":
            pcd.write(path, cloud, fields, encoding)
        case ".npz":
            arrays.write_npz(path, cloud, fields)
        case ".npy":
            arrays.write_npy(path, cloud)
        case ".bin":
            kitti.write(path, cloud)
        case ".label":
            kitti.write_labels(path, cloud)
        case _:
            raise ValueError(f"{path}: clouds cannot be written so; the formats are {', '.join(WRITABLE)}.")
