"""InterObject3D, ClickEnhance and Few-Click: what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks, logits_of, overfitted

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters, settings_of

NAMES = ("interobject3d", "clickenhance", "fewclick")


def network_of(name: str, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(settings_of(name, "tiny", **changes))


def classes_of(name: str) -> dict[str, object]:
    return {"classes": [torch.tensor([3, 7, -100])]} if name == "fewclick" else {}


# The paper of ClickEnhance states no size; its trunk without the click encoder is InterObject3D's.
@pytest.mark.parametrize(
    ("name", "millions", "changes"),
    [("interobject3d", 37.9, {}), ("clickenhance", 37.9, {"click_encoder": False}), ("fewclick", 128.5 / 4, {})],
)
def test_paper_size(name: str, millions: float, changes: dict[str, object]) -> None:
    with torch.device("meta"):
        count = parameters(build(settings_of(name, "paper", **changes)))
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_small_is_small(name: str) -> None:
    with torch.device("meta"):
        assert 3e6 < parameters(build(settings_of(name, "small"))) < 5e6


@pytest.mark.parametrize("preset", ["paper", "tiny"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name: str, preset: str) -> None:
    torch.manual_seed(0)
    sizes = {"stem": 8, "planes": (8,) * 8, "blocks": (1,) * 8} if preset == "paper" else {}
    sizes |= {"width": 16, "ffn": 16} if preset == "paper" and name == "fewclick" else {}
    network = build(settings_of(name, preset, **sizes))
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, background=2)
    network.loss(network.encode([cloud]), [clicks], [label], **classes_of(name))["total"].backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [n for n in silent if not n.endswith("key.bias")] == []  # the same for all keys, it changes no softmax


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_its_clouds_give_alone(name: str) -> None:
    network = network_of(name).eval()
    cloud, label = boxes_on_a_table(network.settings)
    half = VoxelCloud(cloud.coords[::2], cloud.points[::2], cloud.features[::2], cloud.size)
    few = VoxelCloud(cloud.coords[:9], cloud.points[:9], cloud.features[:9], cloud.size)  # less than one patch
    clouds = [cloud, half, few]
    one = Prompts(torch.tensor([3]), torch.tensor([1]), 1)
    clicks = [first_clicks(label, 1), one, one]
    with torch.inference_mode():
        together = network.decode(network.encode(clouds), clicks)
    for each, alone, c in zip(together, clouds, clicks, strict=True):
        torch.testing.assert_close(each.logits, logits_of(network, alone, c), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_points_is_indifferent(name: str) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(1))
    mixed = VoxelCloud(cloud.coords[order], cloud.points[order], cloud.features[order], cloud.size)
    moved = Prompts(torch.argsort(order)[clicks.voxel], clicks.label, clicks.objects)
    expected = logits_of(network, cloud, clicks)[order]
    torch.testing.assert_close(logits_of(network, mixed, moved), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "same"), [("interobject3d", True), ("clickenhance", False), ("fewclick", True)])
def test_order_of_clicks_counts_only_where_there_is_a_current_one(name: str, same: bool) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 2)
    back = Prompts(clicks.voxel.flip(0), clicks.label.flip(0), clicks.objects)
    a, b = logits_of(network, cloud, clicks), logits_of(network, cloud, back)
    assert torch.allclose(a, b, atol=1e-4) == same


@pytest.mark.parametrize("name", NAMES)
def test_order_of_objects_is_indifferent(name: str) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label)
    renamed = Prompts(clicks.voxel, torch.tensor([3, 1, 2]), 3)
    expected = logits_of(network, cloud, clicks)[:, [0, 2, 3, 1]]
    torch.testing.assert_close(logits_of(network, cloud, renamed), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_translation_by_whole_voxels(name: str) -> None:
    """By any number of voxels: coordinates are counted from the cloud's own corner, along the curves too."""
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    moved, _ = boxes_on_a_table(network.settings, shift=13)
    clicks = first_clicks(label, 1)
    expected = logits_of(network, cloud, clicks)
    torch.testing.assert_close(logits_of(network, moved, clicks), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_only_background_clicks(name: str) -> None:
    network = network_of(name)
    cloud, _ = boxes_on_a_table(network.settings)
    clicks = Prompts(torch.tensor([5]), torch.tensor([0]), 2)
    logits = logits_of(network, cloud, clicks)
    assert logits.isfinite().all()
    assert logits.argmax(1).max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_clicks_are_refused_in_words(name: str) -> None:
    network = network_of(name)
    cloud, _ = boxes_on_a_table(network.settings)
    nothing = Prompts(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="no clicks"):
        network.decode(network.encode([cloud]), [nothing])


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_autocast(name: str) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network.loss(network.encode([cloud]), [first_clicks(label, 1)], [label], **classes_of(name))["total"]
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_brings_the_same_masks_back(name: str, tmp_path: Path) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    checkpoint.save(tmp_path / "weights.safetensors", network)
    loaded = checkpoint.load(tmp_path / "weights.safetensors")
    expected = logits_of(network, cloud, clicks)
    assert (logits_of(loaded, cloud, clicks) - expected).abs().mean() < 0.01 * expected.std()  # half precision


@pytest.mark.parametrize("name", ["interobject3d", "clickenhance"])
def test_memory_bounded_portions_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(name)
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    expected = logits_of(network, cloud, clicks)
    monkeypatch.setattr("iseg3d_ros.models.layers.click_unet.VOXELS_AT_ONCE", 2 * len(cloud))
    torch.testing.assert_close(logits_of(network, cloud, clicks), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_overfits_one_scene_within_a_minute(name: str) -> None:
    assert overfitted(network_of(name, momentum=0.3)) > 0.95
