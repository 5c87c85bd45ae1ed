"""Every layout of a PointCloud2 that drivers publish, and the malformed ones, without ROS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from iseg3d_ros.ros import clouds
from iseg3d_ros.ros.convert import read_field, read_points

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


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    message, colour, intensity = LAYOUTS[name]
    points = read_points(message, intensity=True)
    np.testing.assert_array_equal(points.xyz, XYZ)
    assert points.xyz.dtype == np.float32 and points.kept is None
    assert (points.rgb is not None) == colour and (points.intensity is not None) == intensity
    if points.rgb is not None:
        np.testing.assert_array_equal(points.rgb, RGB)
        assert points.rgb.dtype == np.uint8
    if points.intensity is not None:
        np.testing.assert_array_equal(points.intensity, INTENSITY)
    assert points.shape == (message.height, message.width)


def test_row_step_left_at_zero() -> None:
    message = cloud(*xyz(), step=12)
    message.row_step = 0
    np.testing.assert_array_equal(read_points(message).xyz, XYZ)


@pytest.mark.parametrize("hole", [(np.nan, 1, 1), (1, np.inf, 1), (1, 1, -np.inf), (0, 0, 0), (np.nan,) * 3])
def test_no_returns_are_left_out(hole: tuple[float, float, float]) -> None:
    values = np.insert(XYZ, 2, np.array(hole, np.float32), axis=0)
    rgb = np.insert(RGB, 2, 77, axis=0)
    message = cloud(*xyz(values=values), *[(n, "u1", 12 + i, rgb[:, i]) for i, n in enumerate("rgb")], step=16)
    points = read_points(message)
    np.testing.assert_array_equal(points.xyz, XYZ)
    np.testing.assert_array_equal(points.rgb, RGB)
    np.testing.assert_array_equal(points.kept, [0, 1, 3, 4])
    assert points.total == 5
    back = points.at_message_places(np.array([1, 2, 3, 4]), -1)
    np.testing.assert_array_equal(back, [1, 2, -1, 3, 4])


def test_a_zero_coordinate_is_a_return() -> None:
    values = np.array([[0, 0, 1], [0, 2, 0], [3, 0, 0]], np.float32)
    points = read_points(cloud(*xyz(values=values), step=12))
    np.testing.assert_array_equal(points.xyz, values)


def test_huge_coordinates_are_returns() -> None:
    values = np.full((2, 3), 1e30, np.float32)
    assert len(read_points(cloud(*xyz(values=values), step=12))) == 2


def test_empty() -> None:
    points = read_points(Cloud(1, 0, [Field("x", 0, 7), Field("y", 4, 7), Field("z", 8, 7)], False, 12, 0, b""))
    assert len(points) == 0 and points.total == 0
    assert len(read_points(cloud(*xyz(values=np.full((4, 3), np.nan)), step=12))) == 0


def broken(**changes: Any) -> Cloud:
    message = cloud(*xyz(), step=12)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (broken(data=b"\0" * 47), "truncated"),
        (broken(width=5), "truncated"),
        (broken(width=2, height=3, row_step=24), "truncated"),
        (broken(point_step=8), "point_step"),
        (broken(point_step=0), "point_step"),
        (broken(height=2, width=2, row_step=8), "row_step"),
        (broken(fields=[Field("x", 0, 7), Field("y", 4, 7)]), "no field z"),
        (broken(fields=[]), "no field x, y, z"),
        (broken(fields=[Field("x", 0, 7), Field("y", 4, 9), Field("z", 8, 7)]), "datatype 9"),
    ],
)
def test_malformed(message: Cloud, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_points(message)


def test_read_field() -> None:
    message, _, _ = LAYOUTS["velodyne, 22 bytes"]
    ring = read_field(message, "ring")
    np.testing.assert_array_equal(ring, np.arange(4))
    assert ring.dtype == np.uint16
    with pytest.raises(ValueError, match="no field colour"):
        read_field(message, "colour")


def test_moved_and_only() -> None:
    points = read_points(LAYOUTS["rgb packed in uint32"][0])
    quarter = np.array([[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(points.moved(quarter).xyz[0], [7, 7.5, 7.25])
    some = points.only(np.array([True, False, True, True])).only(np.array([0, 2]))
    np.testing.assert_array_equal(some.kept, [0, 3])
    np.testing.assert_array_equal(some.rgb, RGB[[0, 3]])


def test_cpe_layout_to_the_byte() -> None:
    assert clouds.fields_of(clouds.XYZCPE) == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("class_id", 12, 2),
        ("probability", 16, 7),
        ("entropy", 20, 7),
    ]
    assert clouds.XYZCPE.itemsize == 24
    base = clouds.base(XYZ, None, clouds.XYZCPE)
    buffer = clouds.classified(base, np.array([-1, 0, 3, 300]), np.full(4, 0.5), np.array([np.nan, 0, 0.1, 0.2]))
    raw = bytes(buffer.data)
    assert [raw[24 * i + 12] for i in range(4)] == [255, 0, 3, 255]
    assert np.frombuffer(raw, "<f4").reshape(4, 6)[:, :3].tolist() == XYZ.tolist()
    assert np.frombuffer(raw, "<f4").reshape(4, 6)[1, 4] == 0.5
    assert np.isnan(np.frombuffer(raw, "<f4").reshape(4, 6)[0, 5])


@pytest.mark.parametrize("rgb", [None, RGB])
def test_labelled_reads_back(rgb: np.ndarray | None) -> None:
    dtype = clouds.LABELLED if rgb is None else clouds.LABELLED_RGB
    labels = np.array([0, 1, 2, 65535])
    buffer = clouds.labelled(clouds.base(XYZ, rgb, dtype), labels, np.full(4, 0.25), np.arange(4) / 4)
    fields = [Field(*f) for f in clouds.fields_of(dtype)]
    message = Cloud(1, 4, fields, False, dtype.itemsize, 4 * dtype.itemsize, buffer.data)
    points = read_points(message)
    np.testing.assert_array_equal(points.xyz, XYZ)
    if rgb is None:
        assert points.rgb is None
    else:
        np.testing.assert_array_equal(points.rgb, RGB)
    np.testing.assert_array_equal(read_field(message, "instance"), labels)
    np.testing.assert_array_equal(read_field(message, "uncertainty"), np.arange(4, dtype=np.float32) / 4)
    assert read_field(message, "instance").dtype == np.uint16


def test_heat() -> None:
    colours = clouds.heat(np.array([0.0, 1.0, 2.0, np.nan], np.float32), 1.0)
    assert colours[0].tolist() == [68, 1, 84] and colours[1].tolist() == colours[2].tolist() == [253, 231, 37]
    assert colours[3].tolist() == [128] * 3


def test_messages_of_rclpy() -> None:
    messages = pytest.importorskip("sensor_msgs.msg", reason="ROS messages are not installed")
    headers = pytest.importorskip("std_msgs.msg")
    message = clouds.plain(XYZ, RGB).message(headers.Header(frame_id="map"))
    assert isinstance(message, messages.PointCloud2)
    assert message.header.frame_id == "map" and message.width == 4 and message.is_dense
    np.testing.assert_array_equal(read_points(message).xyz, XYZ)
    np.testing.assert_array_equal(read_points(message).rgb, RGB)


def test_packed_coordinates_are_not_copied() -> None:
    data = np.ascontiguousarray(XYZ).view(np.uint8).reshape(-1).copy()
    message = cloud(*xyz(), step=12)
    message.data = data
    points = read_points(message)
    assert np.shares_memory(points.xyz, data)
    data[:] = 0
    assert len(read_points(message)) == 0  # all (0, 0, 0)


@pytest.mark.parametrize("name", ["rgb packed in uint32", "rgb packed, PCL's 32 bytes", "big-endian"])
def test_packed_colour_is_not_copied(name: str) -> None:
    message = replace(LAYOUTS[name][0])
    message.data = np.frombuffer(message.data, np.uint8).copy()
    points = read_points(message)
    assert points.rgb is not None and np.shares_memory(points.rgb, message.data)
    np.testing.assert_array_equal(points.rgb, RGB)
