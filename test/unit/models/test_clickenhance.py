from __future__ import annotations

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.models.clickenhance import ClickEnhance, latest_positive
from iseg3d_ros.models.layers.click_unet import embed
from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d, sparse_batch


def network_of(**changes: object) -> ClickEnhance:
    torch.manual_seed(0)
    return ClickEnhance(settings_of("clickenhance", "tiny", **changes))


def test_the_kept_answer_of_the_stem_is_that_of_one_convolution_over_all_channels() -> None:
    network = network_of().eval()
    cloud, _ = boxes_on_a_table(network.settings)
    maps, clicks = Maps(sparse_batch([cloud.coords])), torch.randn(len(cloud), 2, 8)
    unet = network.unet
    stem = unet.stem.conv
    whole = SubMConv3d(stem.weight.shape[1] + cloud.features.shape[1], stem.weight.shape[2], stem.kernel_size)
    with torch.no_grad():
        whole.weight.copy_(torch.cat([stem.weight, unet.scene.weight], 1))
        kept = unet.scene(SparseTensor(cloud.features, maps)).features
        found = embed(unet.stem, SparseTensor(clicks, maps), kept)
        together = torch.cat([clicks, cloud.features[:, None].expand(-1, 2, -1)], 2)
        expected = unet.stem.norm(whole(SparseTensor(together, maps)).features).relu()
    torch.testing.assert_close(found.features, expected, atol=1e-5, rtol=1e-5)


def test_the_branch_sees_no_colour() -> None:
    network = network_of().eval()
    cloud, _ = boxes_on_a_table(network.settings)
    plain = network.encode([cloud]).branch
    cloud.features[:, :4] += 1.0  # rgb, has_colour
    assert torch.equal(network.encode([cloud]).branch, plain)
    cloud.features[:, 5:] += 1.0
    assert not torch.equal(network.encode([cloud]).branch, plain)


def test_the_branch_is_added_at_every_level_of_the_encoder() -> None:
    network = network_of().eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = [first_clicks(label)]
    with torch.no_grad():
        encoded = network.encode([cloud])
        inputs, current = network._inputs(encoded, clicks)
        levels = network.branch(SparseTensor(current, encoded.maps), encoded.branch)
    assert [x.stride for x in levels] == [1, 2, 4, 8, 16]
    for i, x in enumerate(levels):
        x = x.replace(x.features.detach().requires_grad_())
        changed = [*levels[:i], x, *levels[i + 1 :]]
        network.unet(SparseTensor(inputs, encoded.maps), encoded.scene, changed).features.sum().backward()
        assert x.features.grad.abs().sum() > 0


@pytest.mark.parametrize("changes", [{"click_map": "cube"}, {"click_encoder": False}, {"click_loss": 0.0}])
def test_each_part_can_be_left_out(changes: dict[str, object]) -> None:
    network = network_of(**changes)
    cloud, label = boxes_on_a_table(network.settings)
    losses = network.loss(network.encode([cloud]), [first_clicks(label)], [label])
    losses["total"].backward()
    assert ("click" in losses) == (changes.get("click_loss") != 0.0)
    assert all(p.grad is not None for p in network.parameters())
    assert parameters(network) <= parameters(network_of())


def test_the_total_weighs_its_parts() -> None:
    network = network_of()
    cloud, label = boxes_on_a_table(network.settings)
    losses = network.loss(network.encode([cloud]), [first_clicks(label)], [label])
    expected = 0.8 * (losses["ce"] + losses["dice"]) + 0.2 * losses["click"]
    torch.testing.assert_close(losses["total"].detach(), expected)


def test_positives_are_false_negatives_and_negatives_false_positives() -> None:
    """Eq. 4 on features that tell where each sample came from."""
    network = network_of(click_samples=4)
    contrast = torch.zeros(12, 1, 3)
    contrast[2:4, 0, 0] = 1.0  # missed voxels of the object
    contrast[8:10, 0, 1] = 3.0  # voxels wrongly taken
    true, found = torch.zeros(12, 1), torch.full((12, 1), -1.0)
    true[:4] = 1.0
    found[[0, 1, 8, 9]] = 1.0
    clicks = Prompts(torch.tensor([0]), torch.tensor([1]), 1)
    loss = network._click_loss(contrast, clicks, found, true)
    assert loss == 0  # near 1, far 3
    contrast[8:10, 0, 1] = 0.5
    assert network._click_loss(contrast, clicks, found, true) == pytest.approx(1 - 0.5 + 0.1)


def test_the_anchor_is_the_latest_click_on_the_object() -> None:
    clicks = Prompts(torch.tensor([4, 5, 6, 7]), torch.tensor([1, 1, 0, 3]), 3)
    voxel, known = latest_positive(clicks)
    assert voxel[known].tolist() == [5, 7]
    assert known.tolist() == [True, False, True]


def test_paper_settings_are_the_papers() -> None:
    settings = settings_of("clickenhance", "paper")
    assert (settings.ce_weight, settings.dice_weight) == (0.8, 0.8)
    assert (settings.click_loss, settings.click_margin) == (0.2, 0.1)
    assert settings.fades == ()
    with torch.device("meta"):
        assert build(settings).unet.stem.conv.weight.shape[1] == 2
