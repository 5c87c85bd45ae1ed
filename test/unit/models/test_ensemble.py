"""A network and the random walker asked together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from iseg3d_ros import Click, Predictor
from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.ensemble import NetworkWithWalker, selected, with_walker
from iseg3d_ros.models.random_walker import RandomWalker, RandomWalkerSettings
from iseg3d_ros.preprocessing.features import FEATURES, voxel_cloud


def two_boxes() -> tuple[np.ndarray, np.ndarray]:
    """A table with two boxes, in metres, and their colours."""
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(-0.3, 0.3, (6000, 2)), np.zeros(6000)]
    boxes = []
    for x in (-0.12, 0.12):
        box, face = rng.uniform(0, 0.1, (3000, 3)), rng.integers(0, 3, 3000)
        box[np.arange(3000), face] = np.where(rng.random(3000) < 0.5, 0, 0.1)
        boxes.append(box + [x - 0.05, -0.05, 0.0])
    xyz = np.concatenate([table, *boxes]).astype(np.float32)
    rgb = np.repeat(np.array([[120] * 3, [200, 40, 40], [40, 40, 200]], np.uint8), [6000, 3000, 3000], axis=0)
    return xyz, rgb


def untrained(share: float) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build(settings_of("e2i3d", "tiny")).eval()
    network.card = {"recipe": {"walker": share}}
    return network


def test_log_probabilities_add_up_with_the_share() -> None:
    xyz, rgb = two_boxes()
    network = untrained(0.5)
    both = Predictor(NetworkWithWalker(network, 0.5), voxel_size=0.01)
    scene = both.encode(xyz, rgb, up=(0, 0, 1))
    cloud = scene.cloud
    clicks = Prompts(torch.tensor([50, 900]), torch.tensor([1, 2]), 2)
    expert = NetworkWithWalker(network, 0.5)
    with torch.no_grad():
        learned = network.decode(network.encode([cloud]), [clicks])[0].logits.log_softmax(1)
        walked = expert.walker.decode(
            expert.walker.encode([selected(cloud, FEATURES, expert.walker.settings.features)]), [clicks]
        )[0].logits
        product = expert.decode(expert.encode([cloud]), [clicks])[0].logits
    torch.testing.assert_close(product, 0.5 * learned + walked, rtol=1e-4, atol=1e-4)


def test_the_walker_draws_the_boundary_of_an_untrained_network(tmp_path: Path) -> None:
    xyz, rgb = two_boxes()
    checkpoint.save(tmp_path / "both.safetensors", untrained(0.02), voxel={"tabletop": 0.01}, recipe={"walker": 0.02})
    predictor = Predictor.load(tmp_path / "both.safetensors", device="cpu")
    assert isinstance(predictor.network, NetworkWithWalker)
    result = predictor.segment(predictor.encode(xyz, rgb, up=(0, 0, 1)), [Click((-0.12, 0.0, 0.1), 1)])
    truth = np.repeat([0, 1, 0], [6000, 3000, 3000])
    both = ((result.labels == 1) & (truth == 1)).sum() / ((result.labels == 1) | (truth == 1)).sum()
    assert both > 0.7  # the walker alone: 0.8; the network knows nothing yet
    assert predictor.parameters > 100_000


def test_a_card_without_a_share_is_asked_alone() -> None:
    network = untrained(0.0)
    assert with_walker(network) is network
    assert isinstance(with_walker(untrained(0.7)), NetworkWithWalker)
    with pytest.raises(ValueError, match="share"):
        NetworkWithWalker(network, -1)


def test_a_cloud_too_large_for_the_walker_is_left_to_the_network() -> None:
    xyz, rgb = two_boxes()
    cloud, _ = voxel_cloud(xyz, rgb, 0.01, FEATURES)
    expert = NetworkWithWalker(untrained(0.5), 0.5)
    object.__setattr__(expert.walker.settings, "max_voxels", 10)
    with torch.no_grad():
        assert expert.encode([cloud]).walks == (None,)


def test_corrections_leave_the_network_less_say() -> None:
    cloud, _ = voxel_cloud(*two_boxes(), 0.01, FEATURES)
    network, expert = untrained(0.5), NetworkWithWalker(untrained(0.5), 0.5)
    clicks = Prompts(torch.tensor([50, 900, 60, 70, 80]), torch.tensor([1, 2, 0, 0, 1]), 2)
    with torch.no_grad():
        scene = expert.encode([cloud])
        learned = network.decode(network.encode([cloud]), [clicks])[0].logits.log_softmax(1)
        walked = expert.walker.decode([scene.walks[0]], [clicks])[0].logits
        product = expert.decode(scene, [clicks])[0]
    torch.testing.assert_close(product.logits, 0.5 * 2 / 5 * learned + walked, rtol=1e-4, atol=1e-4)
    assert product.sharpness == pytest.approx(1.6)


def test_sharper_probabilities_change_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(NetworkWithWalker(untrained(0.02), 0.02), voxel_size=0.01)
    scene = predictor.encode(*two_boxes(), up=(0, 0, 1))
    clicks = [Click((-0.12, 0.0, 0.1), 1), Click((0.12, 0.0, 0.1), 0), Click((0.0, 0.2, 0.0), 0)]
    sharp = predictor.segment(scene, clicks)
    # a sharpness of one after three clicks on one object
    monkeypatch.setattr("iseg3d_ros.models.ensemble.SHARPNESS_AT_MANY_CLICKS", 1 + 1 / 3)
    plain = predictor.segment(scene, clicks)
    np.testing.assert_array_equal(sharp.labels, plain.labels)
    assert (sharp.probability >= plain.probability - 1e-6).all() and sharp.probability.mean() > plain.probability.mean()
    assert sharp.uncertainty.mean() < plain.uncertainty.mean()


def test_a_judge_is_only_asked_about_near_pairs() -> None:
    """Two sheets of one colour, five voxel edges apart: a judge that parts everything cannot part them further."""
    sheet = np.random.default_rng(0).uniform(0, 0.5, (4000, 3)) * [1, 1, 0]
    cloud, _ = voxel_cloud(np.r_[sheet, sheet + [0, 0, 0.05]].astype(np.float32), None, 0.01, FEATURES)
    cloud = selected(cloud, FEATURES, RandomWalkerSettings().features)
    asked: list[int] = []

    def doubtful(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        asked.append(len(first))
        return np.full(len(first), -50.0)

    clicks = Prompts(torch.tensor([5]), torch.tensor([1]), 1)
    taken = {}
    for reach in (0.0, 3.0):
        walker = RandomWalker(RandomWalkerSettings(judged_reach=reach))
        labels = walker.decode(walker.encode([cloud], [doubtful]), [clicks])[0].logits.argmax(1)
        taken[reach] = int((labels == 1).sum())
    assert asked and taken[3.0] < 0.2 * taken[0.0]
