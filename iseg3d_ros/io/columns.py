"""The cloud's value, and how named columns of any file become one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

INTENSITY = ("intensity", "reflectivity", "reflectance", "remission", "i")
LABEL = ("label", "labels", "instance", "instances", "instance_id", "object", "object_id")
COLOUR = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))


@dataclass(frozen=True)
class Cloud:
    """Points of a file, in its order.

    `xyz` (N, 3) float32, or float64 where the file is so; `rgb` uint8 (N, 3), `intensity` float32 (N,), `labels`
    int32 (N,) or None.
    """

    xyz: np.ndarray
    rgb: np.ndarray | None = None
    intensity: np.ndarray | None = None
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3:
            raise ValueError(f"Points must have the shape (N, 3), but these have {self.xyz.shape}.")
        for name, shape in (("rgb", self.xyz.shape), ("intensity", (len(self),)), ("labels", (len(self),))):
            values = getattr(self, name)
            if values is not None and values.shape != shape:
                raise ValueError(f"{name} has the shape {values.shape}, but {len(self)} points need {shape}.")

    def __len__(self) -> int:
        return len(self.xyz)

    def with_labels(self, labels: np.ndarray | None) -> Cloud:
        """The same points with other labels."""
        return dataclasses.replace(self, labels=None if labels is None else np.asarray(labels, np.int32))


def cloud_of(columns: Mapping[str, np.ndarray], where: str) -> Cloud:
    """A cloud from named columns, whatever the case and the prefix of the names."""
    named = {_plain(name): values for name, values in columns.items()}
    missing = [axis for axis in "xyz" if axis not in named]
    if missing:
        raise ValueError(f"{where} has no field {missing[0]!r}; its fields are {', '.join(columns)}.")
    double = any(named[axis].dtype.itemsize > 4 for axis in "xyz")
    xyz = np.stack([named[axis] for axis in "xyz"], axis=1).astype(np.float64 if double else np.float32, copy=False)
    intensity = next((named[name].astype(np.float32) for name in INTENSITY if name in named), None)
    labels = next((as_labels(named[name], where) for name in LABEL if name in named), None)
    return Cloud(xyz, _colour(named), intensity, labels)


def _plain(name: str) -> str:
    return name.lower().removeprefix("scalar_")  # CloudCompare's prefix


def _colour(named: Mapping[str, np.ndarray]) -> np.ndarray | None:
    for names in COLOUR:
        if all(name in named for name in names):
            return as_bytes(np.stack([named[name] for name in names], axis=1))
    packed = next((named[name] for name in ("rgb", "rgba") if name in named), None)
    return None if packed is None else unpack(packed)


def unpack(packed: np.ndarray) -> np.ndarray:
    """Colours that PCL packs as 0x00RRGGBB into a uint32, or into the bits of a float32."""
    if packed.dtype == np.float64:  # an ascii file spells the float out
        packed = packed.astype(np.float32)
    bits = packed.view(np.uint32) if packed.dtype == np.float32 else packed.astype(np.uint32)
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)


def pack(rgb: np.ndarray) -> np.ndarray:
    """uint32 0x00RRGGBB of uint8 colours."""
    wide = rgb.astype(np.uint32)
    return wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]


def as_bytes(colours: np.ndarray) -> np.ndarray:
    """uint8 colours from bytes, from 16 bits, or from floats between 0 and 1 (or 0 and 255 where any is above 1)."""
    if colours.dtype == np.uint8:
        return np.ascontiguousarray(colours)
    if colours.dtype == np.uint16 and colours.max(initial=0) > 255:
        return (colours >> 8).astype(np.uint8)
    values = np.nan_to_num(colours.astype(np.float32))
    if colours.dtype.kind == "f" and values.max(initial=0) <= 1:
        values = values * 255
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def as_labels(values: np.ndarray, where: str) -> np.ndarray:
    """int32 labels; refused where they are not whole numbers that fit."""
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise ValueError(f"{where}: its labels are not whole numbers.")
    if len(values) and not (np.abs(values.astype(np.float64)) < 2**31).all():
        raise ValueError(f"{where}: its labels do not fit 32 bits.")
    return values.astype(np.int32)


def columns_of(cloud: Cloud, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Named columns to write: x y z, intensity, label, and `fields`; colours are each format's own matter."""
    kind = np.float64 if cloud.xyz.dtype == np.float64 else np.float32
    columns = {axis: cloud.xyz[:, index].astype(kind) for index, axis in enumerate("xyz")}
    if cloud.intensity is not None:
        columns["intensity"] = cloud.intensity.astype(np.float32)
    if cloud.labels is not None:
        columns["label"] = cloud.labels.astype(np.int32)
    for name, values in fields.items():
        columns[name] = _storable(np.asarray(values))
    return columns


def _storable(values: np.ndarray) -> np.ndarray:
    match values.dtype.kind:
        case "f":
            return values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
        case "b":
            return values.astype(np.uint8)
        case "i" | "u":
            return values if values.dtype.itemsize <= 4 else values.astype(np.int32)
    raise ValueError(f"Values of the type {values.dtype} cannot be written to a cloud file.")


def rows_of(columns: Mapping[str, np.ndarray], order: Literal["<", ">"] = "<") -> np.ndarray:
    """A structured array with one packed row a point."""
    layout = np.dtype([(name, values.dtype.newbyteorder(order)) for name, values in columns.items()])
    rows = np.empty(len(next(iter(columns.values()))), layout)
    for name, values in columns.items():
        rows[name] = values
    return rows


def numbers(text: bytes, count: int, width: int, where: str) -> np.ndarray:
    """`count` rows of `width` numbers written out in ascii, float64."""
    words = text.split(None, count * width) if count * width < 1 << 16 else None
    try:
        values = np.array(words[: count * width], np.float64) if words is not None else _parse(text)
    except ValueError as error:
        raise ValueError(f"{where} is damaged: it holds text where numbers should be.") from error
    if len(values) < count * width:
        raise ValueError(f"{where} is truncated: {count * width} numbers are promised, {len(values)} are there.")
    return values[: count * width].reshape(count, width)


def _parse(text: bytes) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns where it stops at a word that is no number
        try:
            return np.fromstring(text.decode("ascii", "replace"), np.float64, sep=" ")
        except (DeprecationWarning, UnicodeError) as error:
            raise ValueError(str(error)) from error
