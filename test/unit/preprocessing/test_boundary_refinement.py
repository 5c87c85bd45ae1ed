from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.preprocessing.boundary_refinement import Refiner
from iseg3d_ros.preprocessing.features import Cells
from iseg3d_ros.preprocessing.voxels import voxelise


def step_of_colour(count: int = 20000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A plane, red left of x = 0.523 and blue right of it: the edge runs through voxels of 0.1."""
    xyz = np.random.default_rng(0).uniform(0, 1, (count, 3)) * [1, 1, 0]
    right = xyz[:, 0] > 0.523
    return xyz.astype(np.float32), np.where(right[:, None], [30, 30, 220], [220, 30, 30]).astype(np.uint8), right


@pytest.fixture(scope="module")
def refiner() -> Refiner:
    xyz, rgb, _ = step_of_colour()
    return Refiner.of(Cells(xyz, rgb, voxelise(xyz, 0.1)))


def test_neighbours_are_at_their_offsets(refiner: Refiner) -> None:
    coords = refiner.voxels.coords
    for place in range(27):
        offset = np.array([place // 9, place // 3 % 3, place % 3]) - 1
        there = refiner.table[:, place] >= 0
        assert (coords[refiner.table[there, place]] == coords[there] + offset).all()
        known = {tuple(cell) for cell in coords}
        assert [tuple(cell) in known for cell in coords + offset] == there.tolist()


def test_boundary_voxels_touch_another_label(refiner: Refiner) -> None:
    label = (refiner.voxels.coords[:, 0] >= 6).astype(np.int64)
    edge = refiner.boundary(label)
    assert set(refiner.voxels.coords[edge, 0]) == {5, 6}
    assert not refiner.boundary(np.zeros(len(label), np.int64)).any()


def test_the_edge_follows_the_colour_inside_voxels(refiner: Refiner) -> None:
    right = step_of_colour()[2]
    label = (refiner.voxels.coords[:, 0] >= 6).astype(np.int64)
    chance = np.eye(2, dtype=np.float32)[label] * 0.8 + 0.1
    points = np.flatnonzero(refiner.boundary(label)[refiner.voxels.inverse])
    fine = refiner.probability(points, chance)
    before = (label[refiner.voxels.inverse[points]] == right[points]).mean()
    after = (fine.argmax(axis=1) == right[points]).mean()
    assert before < 0.75
    assert after > 0.85
    assert fine.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert ((fine >= 0.0999) & (fine <= 0.9001)).all()


def test_one_voxel_keeps_its_own_values() -> None:
    xyz = np.zeros((4, 3), np.float32)
    refiner = Refiner.of(Cells(xyz, None, voxelise(xyz, 0.1)))
    chance = np.array([[0.3, 0.7]], np.float32)
    assert refiner.probability(np.arange(4), chance) == pytest.approx(np.repeat(chance, 4, axis=0))
    assert refiner.probability(np.zeros(0, np.int64), chance).shape == (0, 2)
