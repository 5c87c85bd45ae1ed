"""The classifier of neighbouring voxels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.layers import affinity as affinity_file
from iseg3d_ros.models.layers.affinity import Affinity, affinity_loss, example_pairs, judge_of
from iseg3d_ros.training.simulate import neighbours

NAMES = ("rgb", "offset", "normal")


def plane(side: int = 12) -> VoxelCloud:
    """A plane of voxels, red on the left and blue on the right."""
    coords = torch.cartesian_prod(torch.arange(side), torch.arange(side), torch.zeros(1, dtype=torch.int64)).int()
    features = torch.zeros(len(coords), 9)
    features[:, 8] = 1.0  # normals upwards
    features[coords[:, 0] < side // 2, 0] = 1.0
    return VoxelCloud(coords, (coords + 0.5) * 0.1, features, 0.1)


def near(cloud: VoxelCloud) -> torch.Tensor:
    return neighbours(torch.nn.functional.pad(cloud.coords, (1, 0)))


def test_the_order_of_a_pair_does_not_matter() -> None:
    cloud, affinity = plane(), Affinity(6, 8, NAMES)
    features, (first, second) = torch.randn(len(cloud), 6), example_pairs(near(cloud), slice(0, 144), torch.Generator())
    torch.testing.assert_close(affinity(features, cloud, first, second), affinity(features, cloud, second, first))


def test_examples_are_neighbours_within_two_steps() -> None:
    cloud = plane()
    first, second = example_pairs(near(cloud), slice(0, 144), torch.Generator())
    away = (cloud.coords[first] - cloud.coords[second]).abs().amax(1)
    assert set(away.tolist()) == {1, 2}


def test_it_learns_a_change_of_colour_and_judges_in_numpy() -> None:
    torch.manual_seed(0)
    cloud, instance = plane(), torch.arange(144) // 72
    affinity, features, table = Affinity(6, 8, NAMES), torch.randn(144, 6) * 0.1, near(cloud)
    optimiser = torch.optim.Adam(affinity.parameters(), 0.02)
    for step in range(250):
        pairs = example_pairs(table, slice(0, 144), torch.Generator().manual_seed(step))
        loss = affinity_loss(affinity(features, cloud, *pairs), instance, *pairs)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judge = judge_of(affinity, features, cloud)
    same, across = judge(np.array([0]), np.array([1]))[0], judge(np.array([66]), np.array([78]))[0]
    assert same > 1 > -1 > across


def test_many_pairs_are_judged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud, module = plane(), Affinity(6, 8, NAMES)
    features, (first, second) = torch.randn(len(cloud), 6), example_pairs(near(cloud), slice(0, 144), torch.Generator())
    whole = module(features, cloud, first, second)
    monkeypatch.setattr(affinity_file, "PAIRS", 50)
    torch.testing.assert_close(module(features, cloud, first, second), whole)
    assert module(features, cloud, first[:0], second[:0]).shape == (0,)
    assert len(judge_of(module, features, cloud)(first.numpy(), second.numpy())) == len(first)
