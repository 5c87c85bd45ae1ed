"""Objects that nobody has clicked on: where clicks are tried, what counts as an object, and which of two stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.commands import main
from iseg3d_ros.interaction.proposals import Proposal, judged, labels_of, proposals, spread, the_best
from iseg3d_ros.models.random_walker import RandomWalker
from iseg3d_ros.predictor import Predictor, Segmentation


def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table top of 1.2 m with three boxes on it, in colours of their own; labels 0 to 3."""
    rng = np.random.default_rng(0)
    parts, labels = [np.c_[rng.uniform(-0.6, 0.6, (12_000, 2)), rng.normal(0, 0.001, 12_000)]], [np.zeros(12_000, int)]
    for number, (x, y) in enumerate([(-0.3, -0.2), (0.3, -0.1), (0.0, 0.3)], 1):
        box = rng.uniform(-0.06, 0.06, (2500, 3))
        side = rng.integers(0, 3, 2500)
        box[np.arange(2500), side] = np.sign(box[np.arange(2500), side]) * 0.06
        parts.append(box + [x, y, 0.065])
        labels.append(np.full(2500, number))
    truth = np.concatenate(labels)
    colours = np.array([(150, 140, 130), (200, 40, 40), (40, 160, 60), (40, 60, 190)], np.uint8)
    return np.concatenate(parts).astype(np.float32), colours[truth], truth


def overlap(indices: np.ndarray, mask: np.ndarray) -> float:
    both = mask[indices].sum()
    return float(both / (mask.sum() + len(indices) - both))


def test_the_things_on_a_table_are_proposed_and_the_table_is_not() -> None:
    xyz, rgb, truth = table()
    predictor = Predictor(RandomWalker(), voxel_size=0.015)
    told: list[tuple[int, int]] = []
    found = proposals(predictor, predictor.encode(xyz, rgb, (0, 0, 1)), xyz, 24, lambda *state: told.append(state))
    best = [max(overlap(each.indices, truth == number) for each in found) for number in (1, 2, 3)]
    assert min(best) > 0.5, best
    assert all((truth[each.indices] > 0).mean() > 0.5 for each in found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert told[0] == (0, len(told)) and len(told) <= 24
    labels = labels_of(found, len(xyz))
    assert set(np.unique(labels)) == set(range(len(found) + 1)) and (labels[found[0].indices] == 1).all()


def test_clicks_are_spread_over_what_is_free() -> None:
    xyz, _, truth = table()
    rows = spread(xyz, truth > 0, 0.05, 12)
    assert {1, 2, 3} <= set(truth[rows[:6]]) and (truth[rows] > 0).all() and len(rows) == 12
    assert spread(xyz, truth > 9, 0.05, 12) == []


def result(labels: np.ndarray, probability: np.ndarray) -> Segmentation:
    return Segmentation(labels.astype(np.int32), probability, 0 * probability, None, None, 1, 0.0)


@pytest.mark.parametrize(
    "labels, sure, taken",
    [(1, 0.9, True), (1, 0.55, False), (0, 0.9, False)],  # what is not sure changes with what is asked; the table
)
def test_what_counts_as_an_object(labels: int, sure: float, taken: bool) -> None:
    xyz, _, truth = table()
    mask = truth == labels
    probability = np.where(mask, sure, 0.95).astype(np.float32)
    proposal = judged(Click((0.0, 0.0, 0.0), 1), result(mask, probability), xyz, truth == 0)
    assert (proposal is not None) == taken


def test_of_two_masks_of_one_object_the_better_one_stays() -> None:
    click = Click((0.0, 0.0, 0.0), 1)
    whole, most = Proposal(click, np.arange(100), 0.9), Proposal(click, np.arange(10, 110), 0.8)
    part, other = Proposal(click, np.arange(20), 0.7), Proposal(click, np.arange(95, 200), 0.6)
    assert the_best([other, part, most, whole], 300) == [whole, other]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xyz, rgb, truth = table()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    options = ["--model", "random_walker", "--voxel-size", "0.015", "--tries", "16"]
    words = ["propose", str(tmp_path / "scan.ply"), *options]
    assert main([*words, "-o", str(tmp_path / "out.ply"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    labels = read_cloud(tmp_path / "out.ply").labels
    assert labels is not None and labels.max() == len(rows) >= 3
    assert main([*words[:-1], "0"]) == 1 and "1 or more" in capsys.readouterr().err
