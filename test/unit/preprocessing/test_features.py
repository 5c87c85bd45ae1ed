from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros.preprocessing.features import FEATURES, Cells, features, normals, voxel_cloud, width
from iseg3d_ros.preprocessing.voxels import voxelise


def plane(normal: tuple[float, float, float], count: int = 20000) -> np.ndarray:
    rng = np.random.default_rng(1)
    axis = np.asarray(normal) / np.linalg.norm(normal)
    points = rng.uniform(-1, 1, (count, 3))
    return (points - np.outer(points @ axis, axis)).astype(np.float32)


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 0, 0), (1, 2, 3), (-1, 1, 0.2)])
def test_normal_of_a_plane(normal: tuple[float, float, float]) -> None:
    xyz = plane(normal)
    values = features(Cells(xyz, None, voxelise(xyz, 0.05)), ["normal"])
    axis = np.asarray(normal) / np.linalg.norm(normal)
    assert np.median(np.abs(values @ axis)) > 0.999
    assert (values[:, 2] >= 0).all()


def test_normals_agree_with_an_eigen_solver() -> None:
    coords = voxelise(np.random.default_rng(3).uniform(0, 1, (400, 3)), 0.12).coords
    means = coords + np.random.default_rng(4).uniform(0, 1, coords.shape)
    found, variation = normals(coords, means)
    for voxel in range(0, len(coords), 17):
        group = np.flatnonzero(np.abs(coords - coords[voxel]).max(axis=1) <= 2)
        values, vectors = np.linalg.eigh(np.cov(means[group].T, bias=True))
        assert abs(found[voxel] @ vectors[:, 0]) == pytest.approx(1, abs=1e-3)
        assert variation[voxel] == pytest.approx(values[0] / values.sum(), abs=1e-4)


def test_colour_is_the_mean_and_zero_without() -> None:
    xyz = np.array([[0, 0, 0], [0.01, 0, 0], [1, 1, 1]], np.float32)
    rgb = np.array([[0, 0, 0], [255, 0, 255], [51, 51, 51]], np.uint8)
    voxels = voxelise(xyz, 0.1)
    assert features(Cells(xyz, rgb, voxels), ("rgb",))[0] == pytest.approx([0, -0.5, 0])
    assert features(Cells(xyz, rgb, voxels), ("rgb",))[1] == pytest.approx([-0.3] * 3)
    assert not features(Cells(xyz, None, voxels), ("rgb", "has_colour")).any()


def test_offset_is_relative_to_the_voxel_centre() -> None:
    xyz = np.array([[0, 0, 0], [0.15, 0.02, 0.05]], np.float32)
    values = features(Cells(xyz, None, voxelise(xyz, 0.1)), ("offset",))
    assert values[0] == pytest.approx([-0.5, -0.5, -0.5])
    assert values[1] == pytest.approx([0, -0.3, 0], abs=1e-5)


def test_voxel_cloud_and_width() -> None:
    cloud, voxels = voxel_cloud(plane((0, 0, 1)), None, 0.1, FEATURES)
    assert cloud.features.shape == (len(voxels), width(FEATURES)) == (len(cloud), 11)
    assert (cloud.features.dtype, cloud.coords.dtype) == (torch.float32, torch.int32)
    assert torch.isfinite(cloud.features).all()


def test_a_single_point_has_finite_features() -> None:
    cloud, _ = voxel_cloud(np.zeros((1, 3), np.float32), None, 0.1, FEATURES)
    assert cloud.features[0].tolist() == pytest.approx([0, 0, 0, 0, 1, -0.5, -0.5, -0.5, 0, 0, 1])


def test_unknown_feature_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="no feature called 'smell'"):
        width(["rgb", "smell"])
