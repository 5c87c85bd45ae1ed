"""Every layout of a PointCloud2 that drivers publish, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

XYZ = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0], [10.0, 20.0, 30.0], [-4.0, 0.0, 0.0]], np.float32)
RGB = np.array([[255, 0, 7], [1, 2, 3], [0, 128, 255], [9, 90, 200]], np.uint8)
INTENSITY = np.array([0.0, 17.0, 255.0, 42.0], np.float32)
PACKED = (RGB.astype(np.uint32) << [16, 8, 0]).sum(1).astype(np.uint32)
TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


@dataclass
class Field:
    name: str
    offset: int
    datatype: int
    count: int = 1


@dataclass
class Cloud:
    height: int = 1
    width: int = 0
    fields: list[Field] = field(default_factory=list)
    is_bigendian: bool = False
    point_step: int = 0
    row_step: int = 0
    data: Any = b""


def cloud(
    *columns: tuple[str, str, int, np.ndarray], step: int, height: int = 1, row_padding: int = 0, order: str = "<"
) -> Cloud:
    """A message with columns (name, type, offset, values), written byte by byte."""
    size = len(columns[0][3])
    width = size // height
    row_step = width * step + row_padding
    data = np.full(height * row_step, 0xA5, np.uint8)  # padding holds rubbish
    for _, kind, offset, values in columns:
        raw = np.ascontiguousarray(values, order + kind).view(np.uint8).reshape(size, -1)
        for i in range(size):
            start = (i // width) * row_step + (i % width) * step + offset
            data[start : start + raw.shape[1]] = raw[i]
    fields = [Field(name, offset, TYPES[kind]) for name, kind, offset, _ in columns]
    return Cloud(height, width, fields, order == ">", step, row_step, data.tobytes())


def xyz(kind: str = "f4", values: np.ndarray = XYZ) -> list[tuple[str, str, int, np.ndarray]]:
    size = np.dtype(kind).itemsize
    return [(name, kind, i * size, values[:, i]) for i, name in enumerate("xyz")]


LAYOUTS: dict[str, tuple[Cloud, bool, bool]] = {  # message, has colour, has intensity
    "xyz": (cloud(*xyz(), step=12), False, False),
    "xyz padded to 16": (cloud(*xyz(), step=16), False, False),
    "rgb packed in float32": (cloud(*xyz(), ("rgb", "f4", 12, PACKED.view(np.float32)), step=16), True, False),
    "rgb packed, PCL's 32 bytes": (cloud(*xyz(), ("rgb", "f4", 16, PACKED.view("f4")), step=32), True, False),
    "rgb packed in uint32": (cloud(*xyz(), ("rgb", "u4", 12, PACKED), step=16), True, False),
    "rgba with alpha": (cloud(*xyz(), ("rgba", "u4", 12, PACKED | 0xFF000000), step=16), True, False),
    "r g b bytes": (cloud(*xyz(), *[(n, "u1", 12 + i, RGB[:, i]) for i, n in enumerate("rgb")], step=15), True, False),
    "r g b float 0..1": (
        cloud(*xyz(), *[(n, "f4", 12 + 4 * i, RGB[:, i] / 255) for i, n in enumerate("rgb")], step=24),
        True,
        False,
    ),
    "intensity float32": (cloud(*xyz(), ("intensity", "f4", 12, INTENSITY), step=16), False, True),
    "intensity uint8": (cloud(*xyz(), ("intensity", "u1", 12, INTENSITY), step=13), False, True),
    "reflectivity uint16": (cloud(*xyz(), ("reflectivity", "u2", 12, INTENSITY), step=14), False, True),
    "velodyne, 22 bytes": (
        cloud(
            *xyz(),
            ("intensity", "f4", 12, INTENSITY),
            ("ring", "u2", 16, np.arange(4)),
            ("time", "f4", 18, np.arange(4)),
            step=22,
        ),
        False,
        True,
    ),
    "xyz float64": (cloud(*xyz("f8"), ("intensity", "f4", 24, INTENSITY), step=28), False, True),
    "organised": (cloud(*xyz(), ("rgb", "f4", 12, PACKED.view("f4")), step=16, height=2), True, False),
    "organised, padded rows": (
        cloud(*xyz(), ("rgb", "u4", 12, PACKED), ("intensity", "u1", 16, INTENSITY), step=20, height=2, row_padding=7),
        True,
        True,
    ),
    "big-endian": (
        cloud(*xyz(), ("rgb", "u4", 12, PACKED), ("intensity", "f4", 16, INTENSITY), step=20, order=">"),
        True,
        True,
    ),
    "big-endian float64": (cloud(*xyz("f8"), ("rgb", "f4", 24, PACKED.view("f4")), step=28, order=">"), True, False),
    "fields out of order": (
        cloud(
            ("intensity", "f4", 0, INTENSITY),
            ("z", "f4", 4, XYZ[:, 2]),
            ("y", "f4", 8, XYZ[:, 1]),
            ("x", "f4", 12, XYZ[:, 0]),
            step=16,
        ),
        False,
        True,
    ),
}
