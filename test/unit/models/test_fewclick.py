from __future__ import annotations

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.build import settings_of
from iseg3d_ros.models.fewclick import FewClick, class_loss, mask_pool, merge, of_objects


@pytest.fixture
def network() -> FewClick:
    torch.manual_seed(0)
    return FewClick(settings_of("fewclick", "tiny", relation=False)).eval()


def test_mask_and_class_heads_as_equations_5_and_6(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    scene, clicks = network.encode([cloud]).clouds[0], first_clicks(label)
    query = torch.randn(3, network.settings.width)
    found = network.segment(query, scene, clicks, None)
    mask = scene.features @ network.mask_head.mlp(network.mask_head.norm(query)).T
    torch.testing.assert_close(found.masks, mask.T)
    classes = network.prototypes @ network.class_mlp(network.class_norm(query)).T
    torch.testing.assert_close(found.classes, classes.T)
    assert found.classes.shape == (3, 35)


def test_the_adaptor_as_equation_7(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    scene, clicks = network.encode([cloud]).clouds[0], first_clicks(label)
    query = torch.randn(3, network.settings.width)
    answer = network.segment(query, scene, clicks, None)
    found = network.adapt(1, query, scene, answer)
    for k in range(3):
        probability = answer.masks[k].sigmoid()
        cropped = torch.where(probability > 0.5, probability, 0.0)
        spatial = (cropped[:, None] * scene.features).sum(0) / cropped.sum().clamp(min=1e-6)
        semantic = network.prototypes[int(answer.classes[k].argmax())]
        expected = network.adaptors[1](torch.cat([query[k], spatial, semantic]))
        torch.testing.assert_close(found[k], expected, atol=1e-5, rtol=1e-5)


def test_an_empty_mask_pools_to_nothing() -> None:
    assert (mask_pool(torch.full((1, 5), -3.0), torch.randn(5, 4)) == 0).all()


def test_a_query_starts_as_its_voxel_and_the_answer_has_four_stages(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    scene, clicks = network.encode([cloud]).clouds[0], first_clicks(label, 1)
    answers = network.answer(scene, clicks)
    assert [answer.masks.shape for answer in answers] == [(4, len(cloud))] * 4


def test_masks_of_one_object_are_merged_and_objects_exclude_one_another() -> None:
    masks = torch.tensor([[2.0, -1.0, -5.0], [-3.0, 1.0, -5.0], [1.0, 0.5, -4.0], [-1.0, 3.0, -2.0]])
    clicks = Prompts(torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 2, 0]), 2)
    found = merge(masks, clicks)
    torch.testing.assert_close(found, torch.tensor([[0.0, 2.0, 1.0], [3.0, 1.0, 0.5], [0.0, -5.0, -4.0]]))
    assert found.argmax(1).tolist() == [1, 0, 0]


def test_class_loss_as_equation_11_over_what_is_known() -> None:
    logits = torch.randn(4, 35)
    clicks = Prompts(torch.arange(4), torch.tensor([2, 0, 1, 2]), 3)
    found = class_loss(logits, clicks, torch.tensor([-100, 7, 3]))
    expected = -(logits.log_softmax(1)[0, 7] + logits.log_softmax(1)[3, 7]) / 2
    torch.testing.assert_close(found, expected)
    assert class_loss(logits, clicks, None) == 0
    assert class_loss(logits, clicks, torch.tensor([-100, -100, -100])) == 0


def test_the_loss_weighs_its_parts(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    encoded, clicks = network.encode([cloud]), first_clicks(label, 1)
    classes = torch.tensor([1, 2, 3])
    losses = network.loss(encoded, [clicks], [label], classes=[classes])
    answers, truth = network.answer(encoded.clouds[0], clicks), (label == clicks.label[:, None]).float()
    bce = dice = ce = 0.0
    for answer in answers:  # Eqs. 9-11
        p = answer.masks.sigmoid()
        bce -= (truth * p.log() + (1 - truth) * (1 - p).log()).mean() / 4
        dice += (1 - (2 * (p * truth).sum(1) + 1) / (p.sum(1) + truth.sum(1) + 1)).mean() / 4
        ce -= answer.classes.log_softmax(1)[range(3), classes].mean() / 4
    settings = network.settings
    expected = settings.ce_weight * bce + settings.dice_weight * dice + settings.class_weight * ce
    torch.testing.assert_close(losses["total"], expected, atol=1e-4, rtol=1e-4)


def test_a_click_looks_only_at_its_mask_or_everywhere(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    scene, clicks = network.encode([cloud]).clouds[0], first_clicks(label)
    answer = network.segment(torch.randn(3, network.settings.width), scene, clicks, None)
    answer.masks[0] = -1.0
    answer.masks[1] = torch.where(label == 2, 1.0, -1.0)
    seen = network._visible(answer, scene.levels[-1])
    assert (seen[0] == 0).all()
    assert torch.equal(seen[1] == 0, label == 2)
    level = scene.levels[0]  # stride 8: rows at least half of which is inside
    share = torch.stack([(label == 2)[level.parent == row].float().mean() for row in range(len(level.count))])
    assert torch.equal(network._visible(answer, level)[1] == 0, (share >= 0.5) | ~(share >= 0.5).any())


def test_what_a_click_does_not_see_does_not_reach_it(network: FewClick) -> None:
    cloud, label = boxes_on_a_table(network.settings)
    scene, clicks = network.encode([cloud]).clouds[0], first_clicks(label)
    answer = network.segment(torch.randn(3, network.settings.width), scene, clicks, None)
    answer.masks[:] = torch.where(label == 2, 1.0, -1.0)
    look, level = network.stages[-1].look, scene.levels[-1]
    seen, queries = network._visible(answer, level), torch.randn(3, network.settings.width)
    hidden = (label != 2).view(1, -1, 1) if level.values.ndim == 3 else (label != 2)[:, None]
    changed = level.values.masked_fill(hidden, 100.0)
    torch.testing.assert_close(
        look.attend(look.query(queries), level.keys, level.values, seen),
        look.attend(look.query(queries), level.keys, changed, seen),
    )


def test_an_object_s_classes_are_the_mean_over_its_own_clicks() -> None:
    chance = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    clicks = Prompts(torch.arange(4), torch.tensor([1, 2, 0, 1]), 2)
    found = of_objects(chance.log(), clicks).softmax(1)
    torch.testing.assert_close(found, torch.tensor([[0.75, 0.25], [0.2, 0.8]]))


@pytest.mark.parametrize(
    "switch",
    [{"encoder": "unet"}, {"adaptor": False}, {"spatial": False}, {"semantic": False}, {"mask_head": False},
     {"class_head": False}, {"spatial": False, "semantic": False}, {"prototypes": 2}],
    ids=lambda switch: " ".join(switch),
)  # fmt: skip
def test_what_the_ablations_of_table_4_leave_out(switch: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = FewClick(settings_of("fewclick", "tiny", relation=False, **switch))
    cloud, label = boxes_on_a_table(network.settings)
    clicks, objects = first_clicks(label), int(label.max())
    losses = network.loss(network.encode([cloud]), [clicks], [label], classes=[torch.arange(objects) + 5])
    losses["total"].backward()
    used = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert ("adaptors" in used) == (switch.get("adaptor", True) is True)
    assert ("mask_head" in used) == (switch.get("mask_head", True) is True)
    assert ("class_mlp" in used) == (switch.get("class_head", True) is True)
    with torch.inference_mode():
        found = network.eval().decode(network.encode([cloud]), [clicks])[0]
    assert found.logits.shape == (len(cloud), objects + 1)
    assert (found.classes is None) == (switch.get("class_head") is False)


def test_with_fewer_prototypes_the_last_is_that_of_all_other_classes() -> None:
    logits = torch.tensor([[0.0, 9.0], [9.0, 0.0]])
    clicks = Prompts(torch.tensor([0, 1]), torch.tensor([1, 2]), 2)
    assert float(class_loss(logits, clicks, torch.tensor([30, 0]))) < 0.01
    assert float(class_loss(logits, clicks, torch.tensor([0, 1]))) > 8
