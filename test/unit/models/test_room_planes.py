"""Walls, floor and ceiling of a made room: found as planes, and held together by the random walker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.random_walker import RandomWalker, RandomWalkerSettings
from iseg3d_ros.models.room_planes import is_room, room_planes_of, usual_colours
from iseg3d_ros.preprocessing.features import voxel_cloud

SIZE = 0.05


def room() -> tuple[np.ndarray, np.ndarray]:
    """Floor, two walls and a free-standing panel; a gap of half a metre cuts the wall y = 0 from top to bottom."""
    rng = np.random.default_rng(0)
    across, up = rng.uniform(0, 4, (40000, 1)), rng.uniform(0, 2.5, (40000, 1))
    wall = np.hstack([across, np.zeros_like(across), up])[(across[:, 0] < 1.75) | (across[:, 0] > 2.25)]
    floor = np.hstack([rng.uniform(0, 4, (60000, 2)), np.zeros((60000, 1))])
    other = np.hstack([np.zeros_like(across), rng.uniform(0, 4, (40000, 1)), up])
    panel = np.hstack([rng.uniform(1, 3, (20000, 1)), np.full((20000, 1), 2.0), rng.uniform(0.3, 1.8, (20000, 1))])
    things = [wall, floor, other, panel]
    xyz = np.concatenate(things) + rng.normal(0, 0.004, (sum(map(len, things)), 3))
    rgb = np.repeat([[200, 200, 190], [120, 90, 60], [200, 200, 190], [60, 60, 200]], [len(t) for t in things], axis=0)
    return xyz.astype(np.float32), rgb.astype(np.uint8)


def test_outer_planes_are_found_and_the_panel_is_none() -> None:
    cloud, _ = voxel_cloud(*room(), SIZE, RandomWalkerSettings().features)
    points, normals = cloud.points.double().numpy(), cloud.features[:, 7:10].double().numpy()
    surface = room_planes_of(points, normals, SIZE, 1.0)
    inner = np.abs(points - [2, 2, 1.25]).max(axis=1) < 0.9  # on the panel alone
    assert surface.max() == 2 and (surface[inner] == -1).all()
    for axis in range(3):
        here = (points[:, axis] < 0.02) & (np.delete(points, axis, axis=1) > 0.2).all(axis=1)
        assert np.bincount(surface[here] + 1).max() > 0.9 * here.sum(), "one number on each of them"
    assert is_room(surface, normals) and not is_room(np.where(np.abs(normals[:, 2]) > 0.5, surface, -1), normals)
    assert (room_planes_of(points, normals, SIZE, 40.0) == -1).all(), "none is that large"


def test_a_picture_differs_from_its_wall() -> None:
    surface, colours = np.array([0, 0, 0, -1]), np.array([[1.0, 1, 1], [1, 1, 1], [0.5, 1, 0.8], [0, 0, 0]])
    assert usual_colours(surface, colours) == pytest.approx([0, 0, 0.7, 0])


def test_one_click_takes_a_wall_across_a_gap() -> None:
    cloud, _ = voxel_cloud(*room(), SIZE, RandomWalkerSettings().features)
    points = cloud.points.double().numpy()
    near = [int(np.abs(points - place).sum(axis=1).argmin()) for place in ([0.8, 0, 1.2], [2, 2, 1], [0, 2, 1.2])]
    clicks = Prompts(torch.tensor(near), torch.tensor([1, 2, 3]), 3)
    beyond = (np.abs(points[:, 1]) < 0.02) & (points[:, 0] > 2.4) & (points[:, 2] > 0.3)
    taken = {}
    for hold in (0.0, 0.1):
        walker = RandomWalker(RandomWalkerSettings(hold=hold))
        labels = walker.decode(walker.encode([cloud]), [clicks])[0].logits.argmax(1).numpy()
        taken[hold] = (labels[beyond] == 1).mean()
    assert taken[0.1] > 0.95 > 0.5 > taken[0.0]
