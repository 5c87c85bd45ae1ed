"""sensor_msgs_py and tf_transformations, where they are installed, and our own code where not: the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import Point, Quaternion
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.ros import point_cloud2, rotations
from iseg3d_ros.ros.testbed import strided, surface

XYZ, RGB = surface(500)
HEADER = Header(frame_id="map")


def layouts() -> dict[str, PointCloud2]:
    big = strided(XYZ, None, 16, None)
    big.is_bigendian = True
    big.data = strided(XYZ.byteswap(), None, 16, None).data
    padded = strided(XYZ, RGB, 32, 16)
    padded.height, padded.width, padded.row_step = 2, 200, 32 * 250
    gaps = XYZ.copy()
    gaps[::7] = np.nan
    return {
        "plain": point_cloud2.cloud_message(clouds.plain(XYZ, RGB), HEADER),
        "pcl": strided(XYZ, RGB, 32, 16),
        "velodyne": strided(XYZ, None, 22, None),
        "gaps": strided(gaps, RGB, 32, 16),
        "big-endian": big,
        "padded rows": padded,
    }


def structured(message: Any) -> np.ndarray:
    """What sensor_msgs_py.point_cloud2.read_points gives of a message of its kind."""
    kind = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": [("<f4", "<u4")[field.datatype == 6] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    return np.ndarray((message.width * message.height,), kind, message.data)


def readers() -> list[Any]:
    package = point_cloud2.STRUCTURED
    missing = pytest.mark.skipif(package is None, reason="sensor_msgs_py is not installed")
    return [pytest.param(structured, id="as documented"), pytest.param(package, id="sensor_msgs_py", marks=missing)]


@pytest.mark.parametrize("reader", readers())
@pytest.mark.parametrize("name", layouts())
def test_clouds_are_read_alike(name: str, reader: Any) -> None:
    message = layouts()[name]
    before = bytes(message.data)
    ours, theirs = read_points(message), read_points(message, structured=reader)
    np.testing.assert_array_equal(ours.xyz, theirs.xyz)
    np.testing.assert_array_equal(ours.rgb, theirs.rgb)
    np.testing.assert_array_equal(ours.kept, theirs.kept)
    assert ours.shape == theirs.shape and bytes(message.data) == before


@pytest.mark.parametrize("layout", [clouds.LABELLED, clouds.LABELLED_RGB, clouds.XYZCPE], ids=["xyz", "rgb", "cpe"])
def test_clouds_are_created_alike(layout: np.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = clouds.base(XYZ, RGB, layout)
    theirs = point_cloud2.created(buffer.points, HEADER)
    monkeypatch.setattr(point_cloud2, "create_cloud", None)
    assert theirs == point_cloud2.created(buffer.points, HEADER) == point_cloud2.cloud_message(buffer, HEADER)
    assert point_cloud2.created(buffer.points[:0], HEADER).width == 0


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, -20, 30), (180, 0, 0), (0, 180, 0), (0, 0, 180), (200, 80, -170)])
def test_rotations_are_alike(angles: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = Rotation.from_euler("xyz", angles, degrees=True)
    x, y, z, w = rotation.as_quat()
    given = Quaternion(x=x, y=y, z=z, w=w)
    for _ in ("tf_transformations, where it is installed", "our own"):
        matrix = rotations.pose_matrix(Point(x=1.0, y=2.0, z=3.0), given)
        np.testing.assert_allclose(matrix[:3, :3], rotation.as_matrix(), atol=1e-12)
        assert matrix[:, 3].tolist() == [1, 2, 3, 1]
        back = rotations.quaternion_message(matrix[:3, :3])
        assert back.w >= 0
        again = Rotation.from_quat([back.x, back.y, back.z, back.w])
        np.testing.assert_allclose(again.as_matrix(), rotation.as_matrix(), atol=1e-9)
        monkeypatch.setattr(rotations, "quaternion_matrix", None)
        monkeypatch.setattr(rotations, "quaternion_from_matrix", None)
