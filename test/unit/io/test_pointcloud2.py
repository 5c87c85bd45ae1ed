"""Every layout of a PointCloud2 that drivers publish, and the malformed ones, without ROS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cloud_layouts import INTENSITY, LAYOUTS, RGB, XYZ, Cloud, Field, cloud, xyz

from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import read_field, read_points


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


def test_the_variance_of_networks_that_sample_comes_last() -> None:
    plain = clouds.base(XYZ, RGB, clouds.LABELLED_RGB)
    values = np.arange(4, dtype=np.float32)
    wider = clouds.labelled(plain, np.arange(4), values / 8, values / 4, values / 2)
    kind = wider.points.dtype
    assert [name for name, *_ in clouds.fields_of(kind)][-2:] == ["uncertainty", "variance"]
    fields = [Field(*f) for f in clouds.fields_of(kind)]
    message = Cloud(1, 4, fields, False, kind.itemsize, 4 * kind.itemsize, wider.data)
    np.testing.assert_array_equal(read_field(message, "variance"), values / 2)
    np.testing.assert_array_equal(read_field(message, "instance"), np.arange(4))
    np.testing.assert_array_equal(read_points(message).rgb, RGB)
    assert clouds.labelled(plain, np.arange(4), values, values) is plain  # for all other networks nothing changes


def test_heat() -> None:
    colours = clouds.heat(np.array([0.0, 1.0, 2.0, np.nan], np.float32), 1.0)
    assert colours[0].tolist() == [68, 1, 84] and colours[1].tolist() == colours[2].tolist() == [253, 231, 37]
    assert colours[3].tolist() == [128] * 3


def test_messages_of_rclpy() -> None:
    messages = pytest.importorskip("sensor_msgs.msg", reason="ROS messages are not installed")
    headers = pytest.importorskip("std_msgs.msg")
    from iseg3d_ros.ros.point_cloud2 import cloud_message

    message = cloud_message(clouds.plain(XYZ, RGB), headers.Header(frame_id="map"))
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
