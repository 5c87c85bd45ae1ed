"""The cheap simulated user: depth by erosion, first clicks, corrections."""

from __future__ import annotations

import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.simulate import SimulatedUser, depth, neighbours, overwrite


def plane(side: int = 15) -> torch.Tensor:
    """A flat square of voxels."""
    x, y = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1), torch.zeros(side * side, dtype=torch.long)], 1).int()


def square(coords: torch.Tensor, low: int, high: int) -> torch.Tensor:
    return ((coords[:, :2] >= low) & (coords[:, :2] < high)).all(1)


def test_neighbours_are_the_26_around_and_stay_in_their_cloud() -> None:
    near = neighbours(sparse_batch([plane(3), plane(3)]))
    assert near.shape == (18, 26)
    assert set(near[4].tolist()) == set(range(9))  # the middle of the first square sees all nine
    assert near[9:].min() >= 9  # the second cloud never sees the first


def test_depth_counts_erosions() -> None:
    coords = plane()
    region = square(coords, 4, 11).long()
    deep = depth(region, neighbours(sparse_batch([coords])))
    assert deep[7 * 15 + 7] == 3  # the middle of a 7-wide square survives three erosions
    assert deep[4 * 15 + 4] == 0
    assert deep[0] == 3  # the scan's own border is no border: only the square 4 cells away is


def test_first_click_is_inside_each_object() -> None:
    coords = plane()
    labels = square(coords, 1, 6).long() + 2 * square(coords, 8, 13).long()
    user = SimulatedUser(sparse_batch([coords, coords]), torch.cat([labels, labels]), [2, 2], [3, 4])
    for clicks in user.first(1.0):
        assert sorted(clicks.label.tolist()) == [1, 2]
        assert torch.equal(labels[clicks.voxel], clicks.label)
        middles = {1: 3 * 15 + 3, 2: 10 * 15 + 10}
        assert {int(k): int(v) for k, v in zip(clicks.label, clicks.voxel, strict=True)} == middles


def test_correction_answers_the_deepest_error_first() -> None:
    coords = plane()
    labels = square(coords, 1, 6).long() + 2 * square(coords, 8, 13).long()
    user = SimulatedUser(sparse_batch([coords]), labels, [2], [3])
    shown = torch.where(labels == 2, 0, labels)
    shown[0] = 1  # one wrong voxel in the corner
    none = Prompts(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 2)
    first = user.correct(shown, [none], 1)[0]
    assert first.voxel.tolist() == [10 * 15 + 10]
    both = user.correct(shown, [none], 5)[0]
    assert both.label.tolist() == [2, 0]


def test_no_error_brings_no_click() -> None:
    coords = plane()
    labels = square(coords, 1, 6).long()
    user = SimulatedUser(sparse_batch([coords]), labels, [1], [0])
    assert len(user.correct(labels, user.first(1.0), 3)[0]) == 1


def test_clicks_are_written_into_the_labels() -> None:
    clicks = Prompts(torch.tensor([1, 3]), torch.tensor([2, 0]), 2)
    assert overwrite(torch.ones(5, dtype=torch.long), clicks).tolist() == [1, 2, 1, 0, 1]
