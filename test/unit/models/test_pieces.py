"""Pieces of a mask: what a click holds stays, also where a sensor saw sparsely."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.models.layers.pieces import Links


def test_only_the_piece_that_holds_the_click_stays() -> None:
    line = np.stack([np.arange(60), np.zeros(60), np.zeros(60)], 1).astype(np.float32)
    mask = np.ones(60, bool)
    mask[20:30] = False
    kept = Links(line, 1.0).pieces_with(mask, [5])
    assert kept.nonzero()[0].tolist() == list(range(20))
    both = Links(line, 1.0).pieces_with(mask, [5, 40])
    assert np.array_equal(both, mask)


def test_rings_of_a_lidar_hang_together() -> None:
    rings = [np.stack([np.arange(0, 20, 0.5), np.full(40, gap), np.zeros(40)], 1) for gap in (0.0, 10.0, 20.0)]
    points = np.concatenate(rings).astype(np.float32)
    assert Links(points, 1.0).pieces_with(np.ones(120, bool), [0]).sum() == 40  # the links along a ring are shorter
    sparse = points * [8.0, 1.0, 1.0]
    assert Links(sparse.astype(np.float32), 1.0).pieces_with(np.ones(120, bool), [0]).all()


def test_a_single_voxel_is_a_piece() -> None:
    assert Links(np.zeros((1, 3), np.float32), 1.0).pieces_with(np.ones(1, bool), [0]).all()
