"""The layouts that the grasp example writes, against what the planners' own readers ask for."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros.srv import GetObject
from std_msgs.msg import Header

from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.io.pointcloud2_write import plain
from iseg3d_ros.ros.point_cloud2 import cloud_message
from iseg3d_ros.ros.testbed import surface

XYZ, RGB = surface(200)


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "examples" / "grasp_cloud.py"))


@pytest.fixture
def grasp(example: dict[str, Any]) -> Any:
    answer = GetObject.Response(
        cloud=cloud_message(plain(XYZ, RGB), Header()), indices=[3, 5, 7, 9], sure_indices=[5, 7]
    )
    return example["grasp_of"](answer)


def test_what_contact_graspnet_reads(example: dict[str, Any], grasp: Any, tmp_path: Path) -> None:
    """data.load_available_input_data: 'xyz' and 'xyz_color'; segments are given to predict_scene_grasps."""
    example["contact_graspnet"](tmp_path / "a.npz", grasp)
    data = np.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(data["xyz"], XYZ)
    np.testing.assert_array_equal(data["xyz_color"], RGB)
    np.testing.assert_array_equal(data["object"], XYZ[[5, 7]])


def test_what_graspgen_reads(example: dict[str, Any], grasp: Any, tmp_path: Path) -> None:
    """scripts/demo_scene_pc.py's own expressions."""
    example["graspgen"](tmp_path / "a.json", grasp)
    data = json.loads((tmp_path / "a.json").read_text())
    assert np.array(data["object_info"]["pc"]).shape == np.array(data["object_info"]["pc_color"]).shape == (2, 3)
    assert np.array(data["grasp_info"]["grasp_poses"]).size == np.array(data["grasp_info"]["grasp_conf"]).size == 0
    assert "pc_color" not in data["scene_info"]
    np.testing.assert_allclose(np.array(data["scene_info"]["full_pc"])[0], XYZ)
    np.testing.assert_array_equal(np.array(data["scene_info"]["img_color"]).reshape(1, -1, 3)[0, :, :], RGB)


def test_what_gpd_reads(example: dict[str, Any], grasp: Any, tmp_path: Path) -> None:
    example["gpd"](tmp_path / "a.pcd", grasp)
    np.testing.assert_allclose(read_cloud(tmp_path / "a.pcd").xyz, XYZ)
    assert np.loadtxt(tmp_path / "a.indices.txt", int).tolist() == [5, 7]


def test_the_plain_layout(example: dict[str, Any], grasp: Any, tmp_path: Path) -> None:
    example["plain"](tmp_path / "a.npz", grasp)
    data = np.load(tmp_path / "a.npz")
    assert data["indices"].tolist() == [3, 5, 7, 9] and data["sure"].tolist() == [5, 7] and data["centre"].shape == (3,)
