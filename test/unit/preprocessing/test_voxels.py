from __future__ import annotations

import time

import numpy as np
import pytest

from iseg3d_ros.preprocessing import voxels as subject
from iseg3d_ros.preprocessing import voxels as voxels_module
from iseg3d_ros.preprocessing.voxels import majority, mean_per_voxel, neighbour_table, upper_neighbours, voxelise


def cloud(count: int = 5000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)).astype(np.float32)


@pytest.mark.parametrize("dense_cells", [0, 1 << 24])
def test_agrees_with_numpy_unique(monkeypatch: pytest.MonkeyPatch, dense_cells: int) -> None:
    monkeypatch.setattr(subject, "DENSE_CELLS", dense_cells)
    xyz = cloud()
    voxels = voxelise(xyz, 0.1)
    cells = np.floor((xyz - xyz.min(0)) / np.float32(0.1)).astype(int)
    coords, first, inverse, counts = np.unique(cells, True, True, True, axis=0)
    assert (voxels.coords == coords).all()
    assert (voxels.representative == first).all()
    assert (voxels.inverse == inverse.reshape(-1)).all()
    assert (voxels.counts == counts).all()
    assert (voxels.points == xyz[first]).all()
    assert voxels.coords.dtype == np.int32


def test_one_point_and_double_precision_far_away() -> None:
    assert len(voxelise(np.zeros((1, 3)), 0.05)) == 1
    far = np.array([[1e7, 0, 0], [1e7 + 0.06, 0, 0]])
    assert len(voxelise(far, 0.05)) == 2


@pytest.mark.parametrize(
    ("points", "size", "says"),
    [
        (np.zeros((4, 2)), 0.1, "shape"),
        (np.zeros((0, 3)), 0.1, "no points"),
        (np.zeros((4, 3)), 0.0, "positive"),
        (np.array([[0, 0, 0], [np.nan, 0, 0]]), 0.1, "NaN"),
        (np.array([[0, 0, 0], [1e9, 0, 0]]), 0.001, "billion"),
    ],
)
def test_bad_input_is_a_sentence(points: np.ndarray, size: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        voxelise(points, size)


def test_means_and_majority() -> None:
    xyz = np.array([[0, 0, 0], [0.01, 0, 0], [0.02, 0, 0], [1, 0, 0]], np.float32)
    voxels = voxelise(xyz, 0.1)
    assert mean_per_voxel(xyz, voxels)[:, 0] == pytest.approx([0.01, 1])
    assert majority(np.array([7, 2, 2, 5]), voxels).tolist() == [2, 5]
    assert majority(np.array([7, 2, 3, -1]), voxels).tolist() == [2, -1]


@pytest.mark.parametrize("counted", [0, 1 << 21])  # by search, by counting
@pytest.mark.parametrize("radius", [1, 2])
def test_upper_neighbours_are_all_of_a_larger_key(radius: int, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voxels_module, "COUNTED_CELLS", counted)
    coords = voxelise(cloud(600), 0.2).coords
    begin, second = upper_neighbours(coords, radius)
    near = np.triu(np.abs(coords[:, None] - coords[None]).max(-1) <= radius, 1)
    wanted = [np.flatnonzero(row).tolist() for row in near]
    assert [second[a:b].tolist() for a, b in zip(begin, begin[1:])] == wanted
    table = neighbour_table(coords)
    rows = {tuple(cell): i for i, cell in enumerate(coords.tolist())}
    steps = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
    assert table.tolist() == [[rows.get((x + i, y + j, z + k), -1) for i, j, k in steps] for x, y, z in coords.tolist()]


def test_neighbours_of_one_voxel_and_of_a_long_grid() -> None:
    assert upper_neighbours(np.zeros((1, 3), np.int32), 2)[1].size == 0
    far = np.array([[0, 0, 0], [0, 0, 1], [5000, 5000, 5000], [5000, 5001, 4999]], np.int32)  # beyond 32 bits
    assert upper_neighbours(far, 1)[1].tolist() == [1, 3]


def test_a_million_points_are_quick() -> None:
    xyz = cloud(1_000_000)
    start = time.process_time()  # not the clock: others may use the machine
    voxelise(xyz, 0.02)
    assert time.process_time() - start < 5.0  # 0.15 s where nothing else runs
