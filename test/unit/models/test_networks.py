"""All six networks: what each must stand, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks, logits_of

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import NETWORKS, build, settings_of


def network_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(settings_of(name, "tiny"))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("objects", "count"), [(64, 64), (1, 1), (3, 500)])
def test_many_objects_and_clicks(name: str, objects: int, count: int) -> None:
    network = network_of(name)
    cloud, _ = boxes_on_a_table(network.settings)
    clicks = Prompts(torch.arange(count) % len(cloud), torch.arange(count) % objects + 1, objects)
    logits = logits_of(network, cloud, clicks)
    assert logits.shape == (len(cloud), objects + 1)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_a_single_voxel(name: str, training: bool) -> None:
    network = network_of(name).train(training)
    cloud = VoxelCloud(torch.zeros(1, 3).int(), torch.zeros(1, 3), torch.ones(1, network.settings.in_channels), 0.05)
    clicks = Prompts(torch.tensor([0]), torch.tensor([1]), 1)
    with torch.no_grad():
        assert network.decode(network.encode([cloud]), [clicks])[0].logits.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_object_without_clicks_is_never_chosen(name: str) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    logits = logits_of(network, cloud, replace(first_clicks(label), objects=5))
    assert logits.isfinite().all()
    assert logits.argmax(1).max() <= 3
