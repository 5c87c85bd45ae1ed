"""Proposals of a class: found by the class head, held apart, and each with a click that segments it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from iseg3d_ros import Predictor
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.commands import main
from iseg3d_ros.interaction import class_proposals as module
from iseg3d_ros.interaction.class_proposals import _apart, classes_of, proposals_of_class
from iseg3d_ros.models.fewclick import StageMasks


def table_top() -> np.ndarray:
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(-0.6, 0.6, (9000, 2)), np.zeros(9000)]
    boxes = [rng.uniform(-0.05, 0.05, (2500, 3)) + [x, 0.1, 0.06] for x in (-0.35, 0.35)]
    return np.concatenate([table, *boxes]).astype(np.float32)


def test_of_masks_that_overlap_the_likelier_stays() -> None:
    found = [(0.9, np.arange(0, 100)), (0.8, np.arange(50, 150)), (0.7, np.arange(90, 290)), (0.6, np.arange(95, 105))]
    assert [p for p, _ in _apart(found, 300)] == [0.9, 0.7]


def test_every_thing_of_the_class_is_proposed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load("fewclick", "cpu")
    scene = predictor.encode(table_top(), up=(0, 0, 1))
    points = torch.from_numpy(scene.voxels.points)
    own = [(points[:, 2] > 0.012) & (points[:, 0].sign() == sign) for sign in (-1, 1)]

    def answer(self, encoded, clicks):  # type: ignore[no-untyped-def]
        """A network that knows the boxes, and that they are chairs."""
        on = [next((mask for mask in own if mask[voxel]), points[:, 2] < 0.012) for voxel in clicks.voxel]
        classes = torch.full((len(clicks), 35), -9.0)
        for row, voxel in enumerate(clicks.voxel):
            classes[row, classes_of(predictor).index("chair" if points[voxel, 2] > 0.012 else "floor")] = 9.0
        return [StageMasks(torch.where(torch.stack(on), 5.0, -5.0), classes)]

    monkeypatch.setattr(module.FewClick, "answer", answer)
    found = proposals_of_class(predictor, scene, "chair")
    assert len(found) == 2
    assert [p.click.object for p in found] == [1, 2]
    assert sorted(np.sign(p.click.point[0]) for p in found) == [-1, 1]
    assert all(abs(abs(p.click.point[0]) - 0.35) < 0.06 and p.click.point[2] > 0.01 for p in found)
    for proposal, mask in zip(sorted(found, key=lambda p: p.click.point), own, strict=True):
        assert (np.flatnonzero(mask.numpy()[scene.voxels.inverse]) == proposal.indices).all()
    assert proposals_of_class(predictor, scene, "bed") == []


def test_what_knows_no_classes_proposes_nothing() -> None:
    with pytest.raises(ValueError, match="knows no classes"):
        classes_of(Predictor.load("random_walker"))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cloud(tmp_path / "a.ply", Cloud(table_top(), None))
    clicks = tmp_path / "clicks.json"
    words = ["propose", str(tmp_path / "a.ply"), "carton", "--least", "0.02", "--clicks", str(clicks)]
    assert main(words) == 0
    assert "proposals of carton" in capsys.readouterr().out
    rows = json.loads(clicks.read_text())
    if rows:
        assert main(["segment", str(tmp_path / "a.ply"), "--clicks", str(clicks), "--model", "random_walker"]) == 0
    assert main(["propose", str(tmp_path / "a.ply"), "unicorn"]) == 1
    assert "There is no class 'unicorn'; the classes are floor" in capsys.readouterr().err
