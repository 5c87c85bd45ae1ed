"""Pictures of an evaluation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from evaluation_cases import Nearest, row_of_blocks

from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.plots import (
    MISSED,
    OTHER,
    TOO_MUCH,
    curve,
    draw_confidence,
    draw_curves,
    draw_maps,
    errors,
    heat,
)
from iseg3d_ros.evaluation.protocol import Outcome, Task


def outcome(*ious: float) -> Outcome:
    return Outcome("a", 1, [Row(float(k), (iou,)) for k, iou in enumerate(ious)])


def test_the_curve_is_the_mean_at_whole_counts() -> None:
    half = Outcome("b", 2, [Row(0, (0.0, 0.0)), Row(1, (0.4, 0.6)), Row(1.5, (1.0, 1.0)), Row(2, (0.6, 0.8))])
    clicks, ious = curve([outcome(0.0, 0.7, 0.9), half])
    assert clicks == [0, 1, 2]
    assert ious == pytest.approx([0.0, 0.6, 0.8])
    assert curve([]) == ([0.0], pytest.approx([float("nan")], nan_ok=True))


def test_curves_are_written_as_a_picture(tmp_path: Path) -> None:
    path = draw_curves({"one": [outcome(0.0, 0.7)], "two": [outcome(0.0, 0.9)]}, tmp_path / "new" / "c.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_confidence_against_iou_is_written_as_a_picture(tmp_path: Path) -> None:
    one = outcome(0.0, 0.7, 0.9)
    one.scores = [(0.6,), (0.8,)]
    path = draw_confidence({"one": [one], "none": [outcome(0.0)]}, tmp_path / "new" / "c.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_each_kind_of_error_has_its_colour() -> None:
    task = Task("t", np.zeros((5, 3), np.float32), None, np.array([0, 1, 1, 0, 2], np.int32), 2)
    colours = errors(task, np.array([0, 1, 0, 1, 1], np.int32))
    assert [tuple(colour) for colour in colours.tolist()] == [(190,) * 3, (190,) * 3, MISSED, TOO_MUCH, OTHER]


def test_heat_rises_from_pale_to_black() -> None:
    low, middle, high = heat(np.array([-1.0, 0.5, 2.0])).astype(int).sum(1)
    assert low > 600 > middle > high
    assert high < 30


def test_maps_show_masks_errors_and_doubt_at_the_asked_counts(tmp_path: Path) -> None:
    from PIL import Image

    class Sampling(Nearest):
        """A predictor with a variance: its maps have a fourth column."""

        def segment(self, scene: Any, clicks: Any, previous: Any = None) -> Any:
            result = super().segment(scene, clicks, previous)
            return SimpleNamespace(**vars(result), variance=result.uncertainty)

    class Plain(Sampling):
        def segment(self, scene: Any, clicks: Any, previous: Any = None) -> Any:
            return SimpleNamespace(**vars(super().segment(scene, clicks, previous)) | {"variance": None})

    task = row_of_blocks(1, 0, 2, points=200)
    wide, high = (Image.open(draw_maps(Sampling(), task, tmp_path / "a.png", (1, 3))).size,
                  Image.open(draw_maps(Plain(), task, tmp_path / "b.png", (1,))).size)  # fmt: skip
    assert wide[0] > 1.2 * high[0]
    assert wide[1] > 1.8 * high[1]
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_maps(Plain(), Task("empty", task.xyz, None, np.zeros(600, np.int32), 1), tmp_path / "c.png", (1,))
