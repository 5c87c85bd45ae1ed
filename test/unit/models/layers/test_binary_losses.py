from __future__ import annotations

import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.layers.binary_losses import click_loss, cross_entropy, dice, sample, truth
from iseg3d_ros.models.layers.click_unet import compete

TARGET = torch.tensor([0, 1, 2, 2, 1, 0])


def test_cross_entropy_is_that_of_two_classes() -> None:
    pair = torch.randn(6, 2, 2)  # voxels, objects, (background, foreground)
    mask = truth(TARGET, 2)
    direct = -torch.where(mask > 0, pair.log_softmax(2)[..., 1], pair.log_softmax(2)[..., 0]).mean()
    torch.testing.assert_close(cross_entropy(pair[..., 1] - pair[..., 0], mask), direct)


def test_dice_of_each_object() -> None:
    logits, mask = torch.randn(6, 2), truth(TARGET, 2)
    direct = []
    for m in range(2):
        p = 1 / (1 + torch.exp(-logits[:, m]))
        direct.append(1 - (2 * (p * mask[:, m]).sum() + 1) / (p.sum() + mask[:, m].sum() + 1))
    torch.testing.assert_close(dice(logits, mask), sum(direct) / 2)


def test_click_loss_as_equation_4() -> None:
    anchor, positive, negative = torch.randn(2, 4), torch.randn(5, 2, 4), torch.randn(5, 2, 4)
    found = click_loss(anchor, positive, negative, 0.1)
    for m in range(2):
        near = sum((anchor[m] - positive[k, m]).square().sum().sqrt() for k in range(5)) / 5
        far = sum((anchor[m] - negative[k, m]).square().sum().sqrt() for k in range(5)) / 5
        torch.testing.assert_close(found[m], torch.clamp(near - far + 0.1, min=0))


def test_samples_come_from_the_region_and_cover_it() -> None:
    region = torch.zeros(50, 3, dtype=torch.bool)
    region[10:14, 0] = True
    region[:, 1] = True
    otherwise = torch.zeros_like(region)
    otherwise[40:, 2] = True
    picked = sample(region, otherwise, 8)
    assert picked.shape == (8, 3)
    assert sorted(picked[:, 0].tolist()) == [10, 10, 11, 11, 12, 12, 13, 13]
    assert len(set(picked[:, 1].tolist())) == 8
    assert (picked[:, 2] >= 40).all()


def test_a_single_object_competes_with_its_own_sigmoid() -> None:
    logits = torch.randn(7, 1)
    scores = compete(logits, Prompts(torch.tensor([0]), torch.tensor([1]), 1))
    torch.testing.assert_close(scores.softmax(1)[:, 1], logits[:, 0].sigmoid())


def test_argmax_gives_a_voxel_to_the_likeliest_object_above_one_half() -> None:
    logits = torch.tensor([[-1.0, -2.0], [3.0, 1.0], [0.5, 2.0]])
    scores = compete(logits, Prompts(torch.tensor([0, 1]), torch.tensor([1, 2]), 2))
    assert scores.argmax(1).tolist() == [0, 1, 2]
