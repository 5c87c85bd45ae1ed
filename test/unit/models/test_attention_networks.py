"""AGILE3D, E2I3D and NPISeg3D: what holds for all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks, logits_of, overfitted

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.models.e2i3d import with_hierarchy
from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers.encoded_scene import PAIRS_AT_ONCE

NAMES = ("agile3d", "e2i3d", "npiseg3d")
BUILDS = [(name, ours) for name in NAMES for ours in (False, True)]


def network_of(name: str, ours: bool = True, seed: int = 0, **changes: object) -> torch.nn.Module:
    """A tiny network: as the papers have it, or with our relation term."""
    torch.manual_seed(seed)
    kind: dict[str, object] = {} if ours else {"relation": False, "dice": "point"}
    return build(settings_of(name, "tiny", **(kind | changes)))


@pytest.mark.parametrize(("name", "millions"), [("agile3d", 39.3), ("e2i3d", 40.5), ("npiseg3d", 40.0)])
def test_paper_size(name: str, millions: float) -> None:
    with torch.device("meta"):
        count = parameters(build(settings_of(name, "paper")))
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_small_is_small(name: str) -> None:
    with torch.device("meta"):
        assert 3e6 < parameters(build(settings_of(name, "small"))) < 5e6


@pytest.mark.parametrize(("name", "ours"), BUILDS)
def test_gradients_reach_every_parameter(name: str, ours: bool) -> None:
    network = network_of(name, ours)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, background=2)
    network.loss(network.encode([cloud]), [clicks], [label], [label.clamp(max=2)])["total"].backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # Adding one number to all keys of an attention changes no softmax, nor does the same shift of two means their KL
    assert [n for n in silent if not n.endswith(("key.bias", "object.mean.2.bias"))] == []


@pytest.mark.parametrize(("name", "ours"), BUILDS)
def test_a_batch_gives_what_its_clouds_give_alone(name: str, ours: bool) -> None:
    network = network_of(name, ours).eval()
    cloud, label = boxes_on_a_table(network.settings)
    half = VoxelCloud(cloud.coords[::2], cloud.points[::2], cloud.features[::2], cloud.size)
    clicks = [first_clicks(label, 1), Prompts(torch.tensor([3]), torch.tensor([1]), 1)]
    with torch.inference_mode():
        together = network.decode(network.encode([cloud, half]), clicks)
    for each, alone, c in zip(together, (cloud, half), clicks, strict=True):
        torch.testing.assert_close(each.logits, logits_of(network, alone, c), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "ours"), BUILDS)
@pytest.mark.parametrize("count", [4, 60])
def test_inference_takes_shorter_ways_to_the_same_masks(
    name: str, ours: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_attention, "MIN_FOLDED_NUMBERS", 0)
    network = network_of(name, ours).eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = Prompts(torch.arange(count) * 11, torch.arange(count) % 4, 4)  # the fourth object has none
    for previous in (None, [label]):
        with torch.no_grad():  # as in training, but for the gradient
            encoded = network.encode([cloud])
            plain = network.decode(encoded, [clicks], previous)[0].logits
        with torch.inference_mode():
            mixed = network.decode(encoded, [clicks], previous)[0].logits
            kept = network.encode([cloud])
            short = network.decode(kept, [clicks], previous)[0].logits
        with torch.no_grad():
            back = network.decode(kept, [clicks], previous)[0].logits
        for logits in (mixed, short, back):
            torch.testing.assert_close(logits, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "ours"), BUILDS)
def test_order_of_points_is_indifferent(name: str, ours: bool) -> None:
    network = network_of(name, ours)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(1))
    mixed = VoxelCloud(cloud.coords[order], cloud.points[order], cloud.features[order], cloud.size)
    moved = Prompts(torch.argsort(order)[clicks.voxel], clicks.label, clicks.objects)
    expected = logits_of(network, cloud, clicks)[order]
    torch.testing.assert_close(logits_of(network, mixed, moved), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "same"), [("npiseg3d", True), ("agile3d", False)])
def test_order_of_clicks_counts_only_with_an_order_code(name: str, same: bool) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 2)
    back = Prompts(clicks.voxel.flip(0), clicks.label.flip(0), clicks.objects)
    a, b = logits_of(network, cloud, clicks), logits_of(network, cloud, back)
    assert torch.allclose(a, b, atol=1e-4) == same


@pytest.mark.parametrize(("name", "ours"), BUILDS)
def test_translation_by_whole_voxels(name: str, ours: bool) -> None:
    network = network_of(name, ours)
    cloud, label = boxes_on_a_table(network.settings)
    moved, _ = boxes_on_a_table(network.settings, shift=32)
    clicks = first_clicks(label, 1)
    expected = logits_of(network, cloud, clicks)
    torch.testing.assert_close(logits_of(network, moved, clicks), expected, atol=1e-3, rtol=1e-3)


def test_no_clicks_are_refused_in_words() -> None:
    network = network_of("agile3d")
    cloud, _ = boxes_on_a_table(network.settings)
    nothing = Prompts(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="no clicks"):
        network.decode(network.encode([cloud]), [nothing])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_from_several_threads(name: str) -> None:
    network = network_of(name).eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    expected = logits_of(network, cloud, clicks)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: logits_of(network, cloud, clicks), range(8)):
            assert torch.equal(result, expected)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_autocast(name: str) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network.loss(network.encode([cloud]), [clicks], [label])["total"]
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_memory_bounded_parts_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    expected = logits_of(network, cloud, clicks)
    monkeypatch.setitem(PAIRS_AT_ONCE, "cpu", 300)
    torch.testing.assert_close(logits_of(network, cloud, clicks), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "ours"), BUILDS)
def test_overfits_one_scene_within_a_minute(name: str, ours: bool) -> None:
    assert overfitted(network_of(name, ours, momentum=0.3)) > 0.95


def test_a_hierarchy_added_to_agile3d_begins_by_adding_nothing() -> None:
    network = with_hierarchy(network_of("agile3d"), coarse_layers=2).eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    encoded = network.encode([cloud]).clouds[0]
    coarse = network.click_attentions()[1]
    tokens = coarse.tokens(encoded.scales[1], encoded.scales[0].position[clicks.voxel], clicks)
    scene, queries, _ = coarse(encoded.scales[1], tokens, network.head, 0.0, None, False)
    assert scene.abs().max() == 0
    assert queries.abs().max() == 0
    network.train()
    network.loss(network.encode([cloud]), [clicks], [label])["total"].backward()
    assert coarse.layers[-1].norm4.weight.grad.abs().sum() > 0
