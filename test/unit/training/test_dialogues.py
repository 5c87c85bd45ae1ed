"""Dialogues in training: where the operator clicks, and a network that learns to answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.preprocessing.features import voxel_cloud
from iseg3d_ros.training import augment
from iseg3d_ros.training.config import AugmentConfig, DialogueConfig, OptimiserConfig
from iseg3d_ros.training.dialogues import DialogueStep, Operator, choose_objects
from iseg3d_ros.training.samples import TrainingSample
from iseg3d_ros.training.schedule import make_optimiser

EXACT = DialogueConfig(centre_share=1.0, other_error=0.0, needless=0.0)


def line(*labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxels one metre apart along x, and which of them are the object."""
    points = np.zeros((len(labels), 3), np.float32)
    points[:, 0] = np.arange(len(labels))
    return points, np.array([labels], bool)


def test_the_first_click_is_inside_and_corrections_answer_the_deeper_error() -> None:
    points, truth = line(0, 0, 1, 1, 1, 0, 0, 0, 0, 0)
    operator = Operator(points, truth, EXACT, np.random.default_rng(0))
    voxel, sign = operator.click(np.zeros_like(truth))
    assert (voxel.tolist(), sign.tolist()) == ([[3]], [[1]])
    spilled = np.array([[0, 0, 0, 1, 1, 1, 1, 1, 1, 1]], bool)  # one voxel is missing, five are too much
    voxel, sign = operator.click(spilled)
    assert sign.tolist() == [[1, 0]]
    assert 5 <= voxel[0, 1] <= 9
    assert operator.click(truth)[1].shape == (1, 3)  # nothing is wrong: it clicks all the same


def test_objects_are_drawn_alike_and_crumbs_are_left_out() -> None:
    instance = np.array([1] * 500 + [2] * 20 + [3] * 2 + [0] * 50)
    drawn = np.concatenate([choose_objects(instance, EXACT, np.random.default_rng(k)) for k in range(200)])
    assert set(drawn) == {1, 2}
    assert 0.4 < (drawn == 1).mean() < 0.6


def sample() -> TrainingSample:
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(0, 1, (3000, 2)), np.zeros(3000)]
    box = rng.uniform([0.3, 0.3, 0.02], [0.6, 0.6, 0.3], (2000, 3))
    xyz = np.concatenate([floor, box]).astype(np.float32)
    instance = np.repeat([0, 1], [3000, 2000])
    cloud, voxels = voxel_cloud(xyz, None, 0.05, ("rgb", "has_colour", "one", "offset", "normal"))
    labels = torch.from_numpy(instance[voxels.representative])
    return TrainingSample(cloud, labels, labels, torch.tensor([0]), 1, "room")


def test_a_network_learns_the_dialogue_by_heart() -> None:
    torch.manual_seed(0)
    network = build(settings_of("e2i3d", "tiny", decoder="two_way", decoder_width=32, decoder_inner=16, heads=2))
    step = DialogueStep(network, DialogueConfig(objects=2, voxels=600, lengths=(0, 1)))  # type: ignore[arg-type]
    optimiser = make_optimiser(network, OptimiserConfig(learning_rate=5e-3, backbone_rate=0.5))
    crop, totals = sample(), []
    for number in range(40):
        losses = step([crop], number, [number])
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        totals.append(float(losses["total"].detach()))
    assert np.mean(totals[-5:]) < 0.5 * np.mean(totals[:5])
    assert {"iou_first", "iou_last", "harm"} < set(losses)


def test_the_backbone_learns_at_its_own_rate() -> None:
    network = build(settings_of("e2i3d", "tiny", decoder="two_way", decoder_width=32, decoder_inner=16, heads=2))
    groups = make_optimiser(network, OptimiserConfig(backbone_rate=0.5)).param_groups
    assert sorted({group["share"] for group in groups}) == [0.5, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_light_and_bent_surfaces_keep_what_they_are_given_where_they_are_off() -> None:
    rng, xyz = np.random.default_rng(0), np.random.default_rng(1).uniform(0, 5, (400, 3)).astype(np.float32)
    rgb, instance = np.full((400, 3), 128, np.uint8), np.repeat([1, 2], 200).astype(np.int32)
    still = AugmentConfig()
    assert augment.relit(rgb, xyz, instance, 0.05, still, rng) is rgb
    assert augment.bent(xyz, 0.05, still, rng) is xyz
    lively = AugmentConfig(elastic=1.0, relight=1.0)
    lit = augment.relit(rgb, xyz, instance, 0.05, lively, rng)
    assert lit is not None and lit.std() > 2
    assert 0 < np.abs(augment.bent(xyz, 0.05, lively, rng) - xyz).max() < 0.5


def test_a_crop_that_is_turned_anyhow_keeps_its_shape_and_not_its_up() -> None:
    xyz = np.random.default_rng(1).uniform(0, 5, (50, 3)).astype(np.float32)
    still = {"scale": (1.0, 1.0), "noise": 0.0, "tilt_degrees": 0.0}
    changes = (AugmentConfig(any_up=share, **still) for share in (0.0, 1.0))
    upright, turned = (augment.geometry(xyz, 0.05, change, np.random.default_rng(3)) for change in changes)
    for moved in (upright, turned):
        away = np.linalg.norm(moved[1:] - moved[:-1], axis=1)
        assert away == pytest.approx(np.linalg.norm(xyz[1:] - xyz[:-1], axis=1), abs=1e-4)
    assert np.abs(upright[:, 2] - xyz[:, 2]).max() < 1e-4
    assert np.abs(np.corrcoef(turned[:, 2], xyz[:, 2])[0, 1]) < 0.95


def test_things_that_touch_are_bridged_and_nothing_else_changes() -> None:
    """Two sheets 4 cm apart get points between them, each of the sheet it begins at; a third far away gets none."""
    rng = np.random.default_rng(0)
    sheet = np.random.default_rng(1).uniform(0, 0.3, (300, 3)).astype(np.float32) * np.float32([1, 1, 0])
    xyz = np.concatenate([sheet, sheet + np.float32([0, 0, 0.04]), sheet + np.float32([0, 0, 2])])
    instance = np.repeat([1, 2, 3], 300).astype(np.int32)
    rgb = np.repeat(np.uint8([[200, 0, 0], [0, 200, 0], [0, 0, 200]]), 300, 0)
    assert augment.bridged(xyz, rgb, instance, 0.05, AugmentConfig(), rng)[0] is xyz
    points, colours, labels = augment.bridged(xyz, rgb, instance, 0.1, AugmentConfig(bridge=1.0), rng)
    assert colours is not None and len(points) == len(colours) == len(labels) > len(xyz) + 100
    np.testing.assert_array_equal(points[: len(xyz)], xyz)
    new, own = points[len(xyz) :], labels[len(xyz) :]
    assert set(own) == {1, 2} and (new[:, 2] > 0).all() and (new[:, 2] < 0.04).all()
    assert ((new[:, 2] < 0.02) == (own == 1)).all()


def test_rooms_lose_their_ceiling_and_what_is_high_up_at_times() -> None:
    rng, instance = np.random.default_rng(0), np.array([0, 1, 2, 2], np.int32)
    xyz = np.zeros((4, 3), np.float32)
    assert augment.as_scanned(xyz, instance, ("chair", "Ceiling"), AugmentConfig(), rng) is None
    always = AugmentConfig(drop_ceiling=1.0)
    kept = augment.as_scanned(xyz, instance, ("chair", "Ceiling"), always, rng)
    assert kept is not None and kept.tolist() == [True, True, False, False]
    assert augment.as_scanned(xyz, instance, ("chair", "table"), always, rng) is None
    xyz[:, 2] = 0, 0.5, 2.5, 2.9
    heights = [augment.as_scanned(xyz, instance, ("wall", "wall"), always, rng) for _ in range(40)]
    lost = [(~kept).sum() for kept in heights if kept is not None]
    assert set(lost) == {0, 2}


def test_what_melts_rounds_edges_and_leaves_planes() -> None:
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0, 1, (4000, 2)), np.zeros(4000)])
    wall = np.column_stack([rng.uniform(0, 1, 4000), np.zeros(4000), rng.uniform(0, 1, 4000)])
    xyz = np.concatenate([floor, wall]).astype(np.float32)
    assert augment.melted(xyz, 0.05, AugmentConfig(), rng) is xyz
    moved = augment.melted(xyz, 0.05, AugmentConfig(melt=1.0), rng)
    away = np.linalg.norm(moved - xyz, axis=1)
    assert away.max() < 0.15
    edge = (xyz[:, 1] < 0.02) & (xyz[:, 2] < 0.02)
    plane = (xyz[:, 1] > 0.3) & (xyz[:, 2] == 0)
    assert np.abs(moved[plane, 2]).max() < 1e-5
    assert moved[edge][:, 1:].sum(1).mean() > xyz[edge][:, 1:].sum(1).mean() + 0.003


def test_colours_vary_within_objects_as_in_real_rooms() -> None:
    """Two plain walls of one colour each: within them colours spread as in real rooms, and their means draw near."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 3, (6000, 3)).astype(np.float32) * np.float32([1, 1, 0])
    instance = (1 + (xyz[:, 0] > 1.5)).astype(np.int32)
    rgb = np.where(instance[:, None] == 1, np.uint8([200, 190, 180]), np.uint8([90, 100, 120])).astype(np.uint8)
    assert augment.relit(rgb, xyz, instance, 0.05, AugmentConfig(), rng) is rgb
    spreads = []
    for _ in range(20):
        changed = augment.relit(rgb, xyz, instance, 0.05, AugmentConfig(relight=1.0), rng)
        assert changed is not None and changed.dtype == np.uint8
        spreads += [np.sqrt((changed[instance == k] / 255.0).var(0).sum()) for k in (1, 2)]
    assert 0.12 < np.median(spreads) < 0.45
    assert augment.relit(None, xyz, instance, 0.05, AugmentConfig(relight=1.0), rng) is None


def test_labels_are_beside_their_place_at_borders_alone() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 2, (4000, 3)).astype(np.float32)
    instance = 1 + (points[:, 0] > 1).astype(np.int32)
    exact = augment.mislabelled(points, instance, 0.05, AugmentConfig(), rng)
    assert exact is instance
    changed = [augment.mislabelled(points, instance, 0.05, AugmentConfig(mislabel=1.0), rng) for _ in range(20)]
    moved = np.mean([(each != instance) & (each > 0) for each in changed], 0)
    assert moved[np.abs(points[:, 0] - 1) > 0.3].max() == 0  # a voxel or two, and to the nearest point
    assert moved[np.abs(points[:, 0] - 1) < 0.03].mean() > 0.02
    gone = np.mean([(each == 0).mean() for each in changed])
    assert 0 < gone < 0.1  # ends that a box has cut off
    assert (instance == 1 + (points[:, 0] > 1)).all()  # what was given stays


def test_an_object_that_a_click_made_worse_costs_more() -> None:
    network = build(settings_of("e2i3d", "tiny", decoder="two_way", decoder_width=32, decoder_inner=16, heads=2))
    crop, totals = sample(), []
    for weight in (0.0, 50.0):
        config = DialogueConfig(objects=2, voxels=600, lengths=(0, 0, 0, 1), shows_mask=1.0, harm_weight=weight)  # type: ignore[arg-type]
        losses = [DialogueStep(network, config)([crop], number, [number])["total"] for number in range(6)]
        totals.append(torch.stack(losses).detach())
    assert (totals[1] >= totals[0]).all() and (totals[1] > totals[0]).any()
