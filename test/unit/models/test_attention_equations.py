"""Each equation of the attention networks against a small direct computation."""

from __future__ import annotations

import math

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.agile3d import Agile3DSettings
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers.attention import ClickLayer, best_of_clicks, click_mask, mean_of_clicks, sees
from iseg3d_ros.models.layers.encoded_scene import children, parents, pool_mean
from iseg3d_ros.models.layers.heads import MaskHead
from iseg3d_ros.models.layers.losses import click_weights, mask_loss, object_dice, point_dice
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.layers.position_codes import FourierCode, OrderCode, unit_cube
from iseg3d_ros.models.layers.relation import closer, nearest_clicks, nearest_other, relations
from iseg3d_ros.sparse import Maps


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


# Codes


def test_fourier_code_is_sines_then_cosines() -> None:
    code = FourierCode(8, scale=1.0)
    x = torch.rand(5, 3)
    angle = 2 * math.pi * x @ code.frequencies[:, :4]
    torch.testing.assert_close(code(x), torch.cat([angle.sin(), angle.cos()], 1), atol=1e-5, rtol=1e-5)
    assert set(code.state_dict()) == {"frequencies", "phases"}  # stored, never drawn again


def test_positions_are_scaled_per_axis_and_a_flat_axis_is_zero() -> None:
    scene = torch.tensor([[1.0, 2.0, 5.0], [3.0, 2.0, 9.0]])
    points = torch.tensor([[2.0, 2.0, 6.0]])
    torch.testing.assert_close(unit_cube(points, scene), torch.tensor([[0.5, 0.0, 0.25]]))


def test_click_order_code_is_the_usual_table_and_clamps() -> None:
    code = OrderCode(6, 10)
    rows = code(14)
    for place in (0, 3, 9):
        for i in range(3):
            angle = place / 10000 ** (2 * i / 6)
            assert rows[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert rows[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    assert torch.equal(rows[9:], rows[9:10].expand(5, -1))


# Attention


def test_attention_against_softmax_by_hand() -> None:
    attention = Attention(8, 2)
    queries, keys = torch.randn(3, 8), torch.randn(5, 8)
    mask = torch.tensor([[1, 1, 0, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]]).bool()
    q, k, v = attention.query(queries), attention.key(keys), attention.value(keys)
    heads = []
    for h in (slice(0, 4), slice(4, 8)):
        scores = (q[:, h] @ k[:, h].T / 2.0).masked_fill(~mask, -torch.inf)
        heads.append(scores.softmax(1) @ v[:, h])
    added = torch.zeros(3, 5).masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(attention.attend(q, k, v, added), attention.out(torch.cat(heads, 1)))


@pytest.mark.parametrize("count", [1, 3, 30])
def test_folded_attention_is_attention(count: int) -> None:
    attention = Attention(8, 2)
    for linear in (attention.query, attention.key, attention.value, attention.out):
        torch.nn.init.normal_(linear.bias)  # zero at first, which would hide a bias forgotten
    points, position, clicks = torch.randn(50, 8), torch.randn(50, 8), torch.randn(count, 8)
    label = torch.arange(count) % 3
    seen = torch.stack([torch.arange(50) < 20, torch.ones(50).bool(), torch.arange(50) == 49])
    k, v = attention.key(points + position), attention.value(points)
    expected = attention.attend(attention.query(clicks), k, v, click_mask(seen, label))
    found = cpu_attention.attend_visible(attention, attention.query(clicks), points, position, label, seen)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    kept = cpu_attention.attend_visible_projected(attention, attention.query(clicks), k, v, label, seen)
    torch.testing.assert_close(kept, expected, atol=1e-5, rtol=1e-5)
    norm = torch.nn.LayerNorm(8)
    expected = norm(points + attention(points + position, clicks, clicks))
    with torch.inference_mode():
        looked = cpu_attention.SceneToClicks(attention, attention.key(clicks), attention.value(clicks))
        updated = looked.update(points, position, norm)
    torch.testing.assert_close(updated, expected, atol=1e-5, rtol=1e-5)


def test_a_click_sees_its_object_or_everything() -> None:
    scores = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0]])  # (labels, points); nobody predicts 2
    mask = click_mask(sees(scores), torch.tensor([0, 1, 2, 1]))
    expected = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 1, 1]]).bool()
    assert torch.equal(mask == 0, expected)
    assert mask[~expected].isneginf().all()


def test_object_scores_are_the_best_of_their_clicks() -> None:
    head = MaskHead(8)
    clicks, points, label = torch.randn(4, 8), torch.randn(6, 8), torch.tensor([1, 0, 1, 3])
    each = head.mlp(head.norm(clicks)) @ points.T
    scores = head(clicks, points, label, 4)
    torch.testing.assert_close(scores[0], each[1])
    torch.testing.assert_close(scores[1], torch.maximum(each[0], each[2]))
    assert (scores[2] < -1000).all()  # no clicks
    torch.testing.assert_close(scores, best_of_clicks(each, label, 4))


def test_mean_of_clicks() -> None:
    queries, label = torch.randn(4, 3), torch.tensor([1, 0, 1, 3])
    mean = mean_of_clicks(queries, label, 4)
    torch.testing.assert_close(mean[1], (queries[0] + queries[2]) / 2)
    assert (mean[2] == 0).all()


# E2I3D: Eqs. 5 and 6


def test_click_map_takes_the_nearest_coarse_voxel_and_scenes_are_summed() -> None:
    network = build(settings_of("e2i3d", "tiny", relation=False)).eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label)
    encoded = network.encode([cloud]).clouds[0]
    fine, coarse = encoded.scales
    place = fine.position[clicks.voxel]
    coords = network.encode([cloud]).maps.coords(2)
    for voxel, row in zip(clicks.voxel, coarse.at(clicks.voxel), strict=True):
        assert torch.equal(coords[row, 1:], cloud.coords[voxel] // 2)
    attentions = network.click_attentions()
    tokens = attentions[1].tokens(coarse, place, clicks)
    refined, queries, scores = attentions[1](coarse, tokens, network.head, 0.0, None, True)
    seen = sees(scores[-1])[:, coarse.parent]
    fine_scene, fine_queries, _ = attentions[0](
        fine, attentions[0].tokens(fine, place, clicks), network.head, 0.0, seen, False
    )
    whole = network.refine(encoded, clicks, place, None)
    torch.testing.assert_close(whole.scene(), fine_scene + refined[coarse.parent])
    torch.testing.assert_close(whole.clicks, fine_queries + queries)
    prototypes = torch.randn(3, 32)
    torch.testing.assert_close(whole.similarity(prototypes), prototypes @ whole.scene().T, atol=1e-4, rtol=1e-4)


def test_pooling_to_a_coarse_level() -> None:
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 3, 2], [0, 5, 0, 0], [0, 3, 3, 3]], dtype=torch.int32)
    parent = parents(Maps(coords), 4)
    assert parent[0] == parent[1] == parent[3] != parent[2]
    values = torch.tensor([[1.0], [2.0], [10.0], [6.0]])
    pooled = pool_mean(values, parent, children(parent, 2))
    torch.testing.assert_close(pooled[parent][:, 0], torch.tensor([3.0, 3.0, 10.0, 3.0]))


# Losses


def test_weights_fall_from_two_at_a_click_to_four_fifths() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.15, 0, 0], [0.3, 0, 0], [2.0, 0, 0]])
    cloud = VoxelCloud((points / 0.05).int(), points, torch.zeros(4, 3), 0.05)
    clicks = Prompts(torch.tensor([0]), torch.tensor([1]), 1)
    torch.testing.assert_close(click_weights(cloud, clicks, 0.3), torch.tensor([2.0, 1.4, 0.8, 0.8]))


def test_the_papers_dice_of_a_point_is_one_minus_its_probability() -> None:
    logits, target = torch.randn(7, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    probability = logits.softmax(1)
    truth = torch.nn.functional.one_hot(target, 3)
    overlap = 2 * (probability * truth).sum(1)
    dice = 1 - overlap / (probability.sum(1) + truth.sum(1))  # over the class axis
    torch.testing.assert_close(point_dice(logits, target, False), dice)
    wrong = torch.tensor([[30.0, 0.0, 0.0]])
    assert point_dice(wrong, torch.tensor([1]), False).item() == pytest.approx(1)
    assert point_dice(wrong, torch.tensor([1]), True).item() == 0  # the public code's


def test_dice_of_objects() -> None:
    target = torch.tensor([0, 0, 1, 1, 2])
    sure = torch.nn.functional.one_hot(target, 4) * 50.0  # label 3 is not in the target
    assert object_dice(sure, target, torch.ones(5)).item() == pytest.approx(0, abs=1e-6)
    half = torch.zeros(4, 2)
    by_hand = 1 - (2 * 1.0 + 1) / (2.0 + 2.0 + 1)
    assert object_dice(half, torch.tensor([0, 0, 1, 1]), torch.ones(4)).item() == pytest.approx(by_hand)


def test_mask_loss_is_weighted_cross_entropy_and_dice() -> None:
    settings = Agile3DSettings()
    logits, target, weight = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(6) + 0.8
    p = logits.softmax(1)[torch.arange(6), target]
    expected = (weight * (-p.log() + 2 * (1 - p))).mean()
    torch.testing.assert_close(mask_loss(logits, target, weight, settings), expected)


def test_previous_mask_changes_masks_and_an_empty_one_does_not() -> None:
    network = build(settings_of("npiseg3d", "tiny")).eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label)
    with torch.inference_mode():
        encoded = network.encode([cloud])
        before = encoded.clouds[0].scales[0].features.clone()
        none = network.decode(encoded, [clicks])[0]
        empty = network.decode(encoded, [clicks], [torch.zeros_like(label)])[0]
        given = network.decode(encoded, [clicks], [label])[0]
    assert torch.equal(none.logits, empty.logits)
    assert not torch.allclose(none.logits, given.logits, atol=1e-3)
    assert torch.equal(before, encoded.clouds[0].scales[0].features)  # nothing accumulates on the kept features


def test_the_previous_masks_code_is_in_the_first_projections_exactly() -> None:
    network = build(settings_of("npiseg3d", "tiny")).eval()
    cloud, label = boxes_on_a_table(network.settings)
    scale = network.encode([cloud]).clouds[0].scales[0]
    layer = network.click_attentions()[0].first()
    coded = network.previous(scale, layer, label)
    direct = layer.project(coded.features, scale.position)
    for a, b in zip(vars(coded.first).values(), vars(direct).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


# The relation term


def test_nearest_clicks_by_hand() -> None:
    points, clicked = torch.rand(20, 3), torch.rand(6, 3)
    label = torch.tensor([2, 0, 2, 1, 0, 2])
    near = nearest_clicks(points, clicked, label, 4)
    apart = torch.cdist(points, clicked)
    for m in range(3):
        own = apart[:, label == m]
        torch.testing.assert_close(near.distance[:, m], own.amin(1))
        assert torch.equal(near.click[:, m], torch.nonzero(label == m)[:, 0][own.argmin(1)])
    assert near.distance[:, 3].isinf().all()
    other = nearest_other(near.distance)
    torch.testing.assert_close(other[:, 1], near.distance[:, 2])
    torch.testing.assert_close(other[:, 2], near.distance[:, 1])
    torch.testing.assert_close(other[:, 0], near.distance[:, 1:].amin(1))


def test_half_way_between_two_clicks() -> None:
    far = torch.tensor(torch.inf)
    one = torch.tensor(1.0)
    assert closer(one, one) == 0.5
    assert closer(torch.tensor(0.0), one) == 1
    assert closer(one, far) == 1
    assert closer(far, one) == 0
    assert closer(far, far) == 0.5


def test_relations_are_finite_at_every_extreme_and_the_same_in_parts() -> None:
    settings = settings_of("agile3d", "tiny")
    cloud, _ = boxes_on_a_table(settings)
    scene, extent = torch.randn(len(cloud), 8), torch.tensor(2.0)
    for clicks in (
        Prompts(torch.tensor([4]), torch.tensor([1]), 1),
        Prompts(torch.tensor([4, 4]), torch.tensor([1, 2]), 3),
        Prompts(torch.tensor([7]), torch.tensor([0]), 2),
    ):
        whole = relations(cloud, scene, clicks, extent, slice(0, len(cloud)))
        assert whole.isfinite().all()
        part = relations(cloud, scene, clicks, extent, slice(10, 20))
        torch.testing.assert_close(part, whole[10:20])


def test_mixed_precision_keeps_the_points_as_precise_as_they_were() -> None:
    layer = ClickLayer(8, 2, 16)
    taken: list[torch.dtype] = []
    layer.norm4.register_forward_pre_hook(lambda _, given: taken.append(given[0].dtype))
    points, position, clicks = torch.randn(20, 8), torch.randn(20, 8), torch.randn(3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        layer.update_scene(layer.view(points, position), clicks, torch.zeros(3, 8))
    assert taken == [torch.float32]
