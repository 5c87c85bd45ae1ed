"""Harm, gain and what is never reached, counted by hand."""

from __future__ import annotations

import pytest

from iseg3d_ros.evaluation.corrections import corrections
from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.protocol import Outcome


def outcome(name: str, *ious: float) -> Outcome:
    return Outcome(name, 1, [Row(0.0, (0.0,)), *(Row(float(k), (iou,)) for k, iou in enumerate(ious, 1))])


def test_shares_of_corrections() -> None:
    table = corrections([outcome("a #1", 0.5, 0.45, 0.9, 0.7), outcome("b #1", 0.2, 0.2, 0.3, 0.304)])
    assert table["harm>2"] == pytest.approx(2 / 6)
    assert table["harm>10"] == pytest.approx(1 / 6)
    assert table["gain"] == pytest.approx(2 / 6)
    assert (table["never 0.5"], table["never 0.8"]) == (0.5, 0.5)


def test_the_step_from_nothing_to_the_first_mask_is_no_correction() -> None:
    assert corrections([outcome("a", 0.5)]) == {}


def test_objects_of_one_scene_are_drawn_together() -> None:
    """Two scenes that are all good or all bad: the interval spans everything, however many objects they have."""
    good = [outcome(f"a #{k}", 0.5, 0.9) for k in range(20)]
    bad = [outcome(f"b #{k}", 0.9, 0.5) for k in range(20)]
    table = corrections([*good, *bad])
    assert table["harm>10"] == 0.5
    assert (table["harm>10 low"], table["harm>10 high"]) == (0.0, 1.0)


def test_every_object_of_a_sample_counts() -> None:
    both = Outcome("a", 2, [Row(1.0, (0.5, 0.9)), Row(1.5, (0.8, 0.4))])
    table = corrections([both])
    assert (table["harm>10"], table["gain"]) == (0.5, 0.5)
