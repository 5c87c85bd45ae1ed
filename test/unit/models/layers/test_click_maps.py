from __future__ import annotations

import pytest
import torch
from model_scenes import boxes_on_a_table

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import settings_of
from iseg3d_ros.models.layers.click_maps import (
    channels,
    click_channels,
    current_channels,
    current_click,
    nearest_of_label,
)

CLICKS = Prompts(torch.tensor([3, 200, 77, 150, 400]), torch.tensor([1, 2, 1, 0, 2]), 3)  # object 3 has none


@pytest.fixture
def cloud() -> VoxelCloud:
    return boxes_on_a_table(settings_of("interobject3d", "tiny"))[0]


def positives(label: int) -> list[int]:
    return [int(v) for v, own in zip(CLICKS.voxel, CLICKS.label, strict=True) if own == label]


def negatives(label: int) -> list[int]:
    return [int(v) for v, own in zip(CLICKS.voxel, CLICKS.label, strict=True) if own != label]


def test_cubes_as_equation_1(cloud: VoxelCloud) -> None:
    settings = settings_of("interobject3d", "tiny", cubes=(1.0, 3.0))
    found = click_channels(cloud, CLICKS, settings)
    assert found.shape == (len(cloud), 3, channels(settings))
    for m in (1, 2, 3):
        for c, clicked in enumerate((positives(m), negatives(m)) * 2):
            half = (1, 3)[c // 2]  # in voxels, whose coordinates are exact
            away = (cloud.coords[:, None] - cloud.coords[clicked]).abs().amax(2)
            assert torch.equal(found[:, m - 1, c] == 1, (away <= half).any(1))


def test_distance_maps_as_equations_1_to_3(cloud: VoxelCloud) -> None:
    settings = settings_of("clickenhance", "tiny", fades=(2.0,))
    found = click_channels(cloud, CLICKS, settings)
    for m in (1, 2, 3):
        for c, clicked in enumerate((positives(m), negatives(m))):
            if not clicked:
                assert (found[:, m - 1, c] == 1).all()
                assert (found[:, m - 1, 2 + c] == 0).all()
                continue
            d = torch.stack([(cloud.points - cloud.points[v]).square().sum(1).sqrt() for v in clicked]).min(0).values
            torch.testing.assert_close(found[:, m - 1, c], (d - d.min()) / (d.max() - d.min()))
            torch.testing.assert_close(found[:, m - 1, 2 + c], torch.exp(-d / (2 * cloud.size)))


def test_the_current_click_is_the_latest_on_the_object_or_the_background(cloud: VoxelCloud) -> None:
    click, positive, known = current_click(CLICKS)
    assert click.tolist() == [3, 4, 3]
    assert positive.tolist() == [False, True, False]
    assert known.all()
    found = current_channels(cloud, CLICKS, settings_of("clickenhance", "paper"))
    d = (cloud.points - cloud.points[150]).norm(dim=1)
    torch.testing.assert_close(found[:, 0, 1], d / d.max())
    assert (found[:, 0, 0] == 1).all()
    assert (found[:, 1, 1] == 1).all()


def test_an_object_that_no_click_speaks_of_has_no_current_click(cloud: VoxelCloud) -> None:
    clicks = Prompts(torch.tensor([3]), torch.tensor([1]), 2)
    assert current_click(clicks)[2].tolist() == [True, False]
    assert (current_channels(cloud, clicks, settings_of("clickenhance", "paper"))[:, 1] == 1).all()


def test_a_single_point_has_distance_zero() -> None:
    cloud = VoxelCloud(torch.zeros(1, 3).int(), torch.zeros(1, 3), torch.zeros(1, 3), 0.05)
    clicks = Prompts(torch.tensor([0]), torch.tensor([1]), 1)
    assert click_channels(cloud, clicks, settings_of("clickenhance", "paper")).tolist() == [[[0.0, 1.0]]]


def test_many_clicks_are_worked_on_in_parts(cloud: VoxelCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest_of_label(cloud.points, CLICKS, 2.0)
    monkeypatch.setattr("iseg3d_ros.models.layers.click_maps.PAIRS", 1000)
    assert torch.equal(nearest_of_label(cloud.points, CLICKS, 2.0), whole)
