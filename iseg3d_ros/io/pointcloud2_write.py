"""Arrays to PointCloud2: a structured array's dtype is the message's layout, its bytes the message's data."""

from __future__ import annotations

from array import array

import numpy as np

POINT_TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
INVALID_CLASS = 255  # of PointXYZCPE

XYZ = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
RESULT = [("instance", "<u2"), ("_", "<u2"), ("probability", "<f4"), ("uncertainty", "<f4")]  # _ keeps them aligned
LABELLED = np.dtype([*((name, "<f4") for name in "xyz"), *RESULT])
LABELLED_RGB = np.dtype([*((name, "<f4") for name in "xyz"), ("rgb", "<u4"), *RESULT])
# Autoware's PointXYZCPE, to the byte: a seventh field or another offset makes it another type.
XYZCPE = np.dtype(
    {
        "names": ["x", "y", "z", "class_id", "probability", "entropy"],
        "formats": ["<f4", "<f4", "<f4", "u1", "<f4", "<f4"],
        "offsets": [0, 4, 8, 12, 16, 20],
        "itemsize": 24,
    }
)


class CloudBuffer:
    """The bytes of a message: `points` is a structured array over `data`, which the message takes as it is.

    Publishing copies them: a buffer is filled again for the next message as soon as the last one is published.
    """

    def __init__(self, dtype: np.dtype, size: int) -> None:
        self.data = array("B", b"\0") * (dtype.itemsize * size)
        self.points = np.frombuffer(self.data, dtype, size)


def fields_of(dtype: np.dtype) -> list[tuple[str, int, int]]:
    """Name, offset and PointField type of every field; names that begin with an underscore are padding."""
    assert dtype.fields is not None and dtype.names is not None  # a structured dtype of this module
    columns = [(name, dtype.fields[name]) for name in dtype.names if not name.startswith("_")]
    return [(name, int(field[1]), POINT_TYPES[field[0].str[1:]]) for name, field in columns]


def base(xyz: np.ndarray, rgb: np.ndarray | None, dtype: np.dtype) -> CloudBuffer:
    """Coordinates and, where the layout has it, colour; with room for the results that come one after the other."""
    buffer = CloudBuffer(dtype, len(xyz))
    _fill(buffer.points, xyz, rgb)
    return buffer


def plain(xyz: np.ndarray, rgb: np.ndarray | None = None, intensity: np.ndarray | None = None) -> CloudBuffer:
    """x y z, with rgb and intensity where they are given."""
    columns = [] if rgb is None else [("rgb", "<u4")]
    columns += [] if intensity is None else [("intensity", "<f4")]
    buffer = CloudBuffer(np.dtype([*XYZ.descr, *columns]), len(xyz))
    _fill(buffer.points, xyz, rgb)
    if intensity is not None:
        buffer.points["intensity"] = intensity
    return buffer


def labelled(
    buffer: CloudBuffer,
    labels: np.ndarray,
    probability: np.ndarray,
    uncertainty: np.ndarray,
    variance: np.ndarray | None = None,
) -> CloudBuffer:
    """x y z [rgb] instance probability uncertainty: a result put into a base in the layout LABELLED or LABELLED_RGB.

    A network that samples adds a field, variance, behind them, in a buffer of its own.
    """
    buffer.points["instance"] = labels
    buffer.points["probability"] = probability
    buffer.points["uncertainty"] = uncertainty
    return buffer if variance is None else _with_variance(buffer, variance)


def _with_variance(buffer: CloudBuffer, variance: np.ndarray) -> CloudBuffer:
    wider = CloudBuffer(np.dtype([*buffer.points.dtype.descr, ("variance", "<f4")]), len(buffer.points))
    for name in buffer.points.dtype.names or ():
        wider.points[name] = buffer.points[name]
    wider.points["variance"] = variance
    return wider


def classified(buffer: CloudBuffer, labels: np.ndarray, probability: np.ndarray, entropy: np.ndarray) -> CloudBuffer:
    """PointXYZCPE: what has no label (-1), or one that a byte cannot hold, becomes class 255 (invalid)."""
    buffer.points["class_id"] = np.where((labels < 0) | (labels >= INVALID_CLASS), INVALID_CLASS, labels)
    buffer.points["probability"] = probability
    buffer.points["entropy"] = entropy
    return buffer


def coloured_by(xyz: np.ndarray, value: np.ndarray, largest: float) -> CloudBuffer:
    """x y z rgb with colours from dark blue (0) over green to yellow (`largest`): for views of uncertainty."""
    return plain(xyz, heat(value, largest))


def heat(value: np.ndarray, largest: float) -> np.ndarray:
    """uint8 (N, 3) colours by a table of 256 between viridis' anchor colours; not a number is grey."""
    anchors = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], np.float32)
    place = np.linspace(0, len(anchors) - 1, 256)
    table = np.stack([np.interp(place, np.arange(len(anchors)), anchors[:, c]) for c in range(3)], 1)
    table = np.vstack([np.rint(table), [128, 128, 128]]).astype(np.uint8)
    index = np.nan_to_num(value / max(largest, 1e-9) * 255).clip(0, 255).astype(np.int64)
    index[np.isnan(value)] = 256
    return table[index]


def _fill(points: np.ndarray, xyz: np.ndarray, rgb: np.ndarray | None) -> None:
    for column, name in enumerate("xyz"):
        points[name] = xyz[:, column]
    if rgb is not None and "rgb" in (points.dtype.names or ()):
        points["rgb"] = packed(rgb)


def packed(rgb: np.ndarray) -> np.ndarray:
    """uint32 (N,): 0x00RRGGBB, as PCL and RViz read it."""
    words = np.zeros((len(rgb), 4), np.uint8)
    for byte in range(3):
        words[:, byte] = rgb[:, 2 - byte]
    return words.reshape(-1).view("<u4")
