"""PointCloud2 to arrays, whatever its layout: one strided numpy view a field, no copy through Python lists.

Works on any object with PointCloud2's attributes: rclpy's messages and those of a bag reader alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

NUMPY_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # PointField.datatype
INTENSITIES = ("intensity", "intensities", "reflectivity", "i")


class FieldLike(Protocol):
    """sensor_msgs/PointField."""

    name: str
    offset: int
    datatype: int
    count: int


class CloudLike(Protocol):
    """sensor_msgs/PointCloud2, of whatever library."""

    height: int
    width: int
    fields: Sequence[Any]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Any


Structured = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Points:
    """The returns of a cloud: what is NaN, infinite or exactly (0, 0, 0) is left out.

    `xyz` float32 (N, 3), stored column by column or, where the message is packed, its own bytes (read only); `rgb`
    uint8 (N, 3) or None, where it is packed the message's own bytes; `intensity` float32 (N,) or None; `kept` int64
    (N,): the points' places in the message, or None where every point was kept; `shape` (height, width).
    """

    xyz: np.ndarray
    rgb: np.ndarray | None
    intensity: np.ndarray | None
    kept: np.ndarray | None
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def total(self) -> int:
        """Points in the message, returns or not."""
        return self.shape[0] * self.shape[1]

    def only(self, chosen: np.ndarray) -> Points:
        """The points at these indices (int64) or under this mask (bool)."""
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        kept = chosen if self.kept is None else self.kept[chosen]
        rgb = None if self.rgb is None else self.rgb[chosen]
        intensity = None if self.intensity is None else self.intensity[chosen]
        return Points(np.take(self.xyz.T, chosen, axis=1).T, rgb, intensity, kept, self.shape)

    def moved(self, matrix: np.ndarray) -> Points:
        """The same points under a 4x4 transform."""
        rotation = matrix[:3, :3].astype(np.float32)
        return replace(self, xyz=(rotation @ self.xyz.T + matrix[:3, 3:].astype(np.float32)).T)

    def at_message_places(self, values: np.ndarray, missing: float) -> np.ndarray:
        """One value for every point of the message, in its order; `missing` where there was no return."""
        if self.kept is None:
            return values
        out = np.full((self.total, *values.shape[1:]), missing, values.dtype)
        out[self.kept] = values
        return out


def read_points(message: CloudLike, intensity: bool = False, structured: Structured | None = None) -> Points:
    """Coordinates and colour (and intensity, if asked for) of a PointCloud2's returns.

    `structured` gives a message as a structured array (sensor_msgs_py.point_cloud2.read_points): it is asked for the
    coordinates of messages of its kind, which are little-endian, without padded rows and with one value a field.
    """
    check_layout(message)
    fields = {field.name: field for field in message.fields}
    missing = [name for name in "xyz" if name not in fields]
    if missing:
        raise ValueError(
            f"the cloud has no field {', '.join(missing)} (it has {', '.join(fields) or 'none'}): "
            "x, y and z are needed in every point"
        )
    xyz = _packed(message, fields)
    if xyz is None:
        xyz = np.empty((3, message.height * message.width), np.float32)
        columns = structured(message) if structured is not None and _is_plain(message, fields) else None
        for row, name in zip(xyz, "xyz", strict=True):
            if columns is not None:
                row[:] = columns[name]
            else:
                row.reshape(message.height, message.width)[:] = _column(message, fields[name])
    shape = (int(message.height), int(message.width))
    points = Points(xyz.T, _colour(message, fields), _intensity(message, fields) if intensity else None, None, shape)
    returns = _returns(xyz)
    return points if returns is None else points.only(returns)


def read_field(message: CloudLike, name: str) -> np.ndarray:
    """One field of every point of the message, in its own type (native byte order)."""
    check_layout(message)
    for field in message.fields:
        if field.name == name:
            column = _column(message, field)
            return np.ascontiguousarray(column, column.dtype.newbyteorder("=")).reshape(-1)
    names = ", ".join(field.name for field in message.fields)
    raise ValueError(f"the cloud has no field {name}: it has {names or 'none'}")


def check_layout(message: CloudLike) -> None:
    """Refuses a message whose sizes contradict one another, before anything is read by them."""
    for field in message.fields:
        if field.datatype not in NUMPY_TYPES:
            raise ValueError(f"field {field.name} has datatype {field.datatype}, but PointField knows 1 to 8 only")
        size = np.dtype(NUMPY_TYPES[field.datatype]).itemsize
        if field.offset + size > message.point_step and message.width * message.height > 0:
            raise ValueError(
                f"field {field.name} ends at byte {field.offset + size} of a point, but point_step is "
                f"{message.point_step}: the publisher fills the message wrongly"
            )
    row = message.width * message.point_step
    if message.height > 1 and 0 < message.row_step < row:
        raise ValueError(f"row_step is {message.row_step} bytes, but {message.width} points of a row take {row}")
    needed = (message.height - 1) * _row_step(message) + row if message.height and message.width else 0
    if len(message.data) < needed:
        raise ValueError(
            f"the cloud is truncated: {message.height} x {message.width} points take {needed} bytes, "
            f"the message holds {len(message.data)}"
        )


def _is_plain(message: CloudLike, fields: Mapping[str, FieldLike]) -> bool:
    """Whether a structured array can be laid over the message's bytes."""
    size = message.height * message.width
    rows = message.height <= 1 or _row_step(message) == message.width * message.point_step
    one_value = len(fields) == len(message.fields) and all(field.count == 1 for field in message.fields)
    return size > 0 and rows and one_value and "" not in fields and not message.is_bigendian


def _row_step(message: CloudLike) -> int:
    return message.row_step or message.width * message.point_step  # some drivers leave row_step at zero


def _column(message: CloudLike, field: FieldLike, dtype: str | None = None, byte: int = 0) -> np.ndarray:
    """A field of every point, (height, width), as a view of the message's bytes."""
    kind = np.dtype((">" if message.is_bigendian else "<") + (dtype or NUMPY_TYPES[field.datatype]))
    if message.height * message.width == 0:
        return np.empty((message.height, message.width), kind)
    return np.ndarray(
        (message.height, message.width),
        kind,
        message.data,
        field.offset + byte,
        (_row_step(message), message.point_step),
    )


def _packed(message: CloudLike, fields: dict[str, Any]) -> np.ndarray | None:
    """Where a message holds x y z as float32 and nothing else, its own bytes (3, N); nothing is copied."""
    layout = [(fields[name].offset, fields[name].datatype) for name in "xyz"]
    size = message.height * message.width
    if layout != [(0, 7), (4, 7), (8, 7)] or message.is_bigendian or message.point_step != 12 or size == 0:
        return None
    if message.height > 1 and _row_step(message) != 12 * message.width:
        return None
    return np.ndarray((size, 3), "<f4", message.data).T


def _returns(xyz: np.ndarray) -> np.ndarray | None:
    """Where a point is a return, or None if everywhere: two cheap sweeps decide that no mask is needed."""
    flat = xyz.reshape(-1, order="A")  # as it lies in memory: no copy
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(flat @ flat)
    if finite and not ((xyz[0] if xyz.flags.c_contiguous else flat) == 0).any():
        return None
    returns = np.isfinite(xyz).all(axis=0) & xyz.any(axis=0)
    return None if returns.all() else returns


def _colour(message: CloudLike, fields: dict[str, Any]) -> np.ndarray | None:
    """uint8 (N, 3) from packed rgb(a) or from separate r, g, b."""
    packed = fields.get("rgb", fields.get("rgba"))
    if packed is not None:
        return _packed_colour(message, packed)
    for names in (("r", "g", "b"), ("red", "green", "blue")):
        if all(name in fields for name in names):
            columns = [_column(message, fields[name]).reshape(-1) for name in names]
            return np.stack([_channel(column) for column in columns]).T
    return None


def _packed_colour(message: CloudLike, field: FieldLike) -> np.ndarray | None:
    """0x00RRGGBB in four bytes, whether they are called float32, uint32 or int32; or three or four single bytes.

    The message's own bytes: nothing is copied unless its rows are padded.
    """
    if NUMPY_TYPES[field.datatype] in ("f4", "u4", "i4"):
        first, step = (1, 1) if message.is_bigendian else (2, -1)
    elif NUMPY_TYPES[field.datatype] == "u1" and field.count >= 3:
        first, step = 0, 1
    else:
        return None
    shape = (message.height, message.width, 3)
    if message.height * message.width == 0:
        return np.empty((0, 3), np.uint8)
    strides = (_row_step(message), message.point_step, step)
    return np.ndarray(shape, np.uint8, message.data, field.offset + first, strides).reshape(-1, 3)


def _channel(values: np.ndarray) -> np.ndarray:
    """One colour channel as uint8: floats are taken as 0..1 unless one is larger, 16-bit ones as 0..65535."""
    if values.dtype.kind != "f":
        return (values >> 8 if values.dtype.itemsize == 2 else values).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)


def _intensity(message: CloudLike, fields: dict[str, Any]) -> np.ndarray | None:
    for name in INTENSITIES:
        if name in fields:
            return np.ascontiguousarray(_column(message, fields[name]), np.float32).reshape(-1)
    return None
