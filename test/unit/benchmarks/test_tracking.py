"""The tracking benchmark counts what it says, on sequences as short as that takes."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.benchmarks import tracking
from iseg3d_ros.benchmarks._tracking_scenes import room, street, sweep, sweeps, table


def test_masks_that_were_right_are_carried_on() -> None:
    figures = tracking.run(model="truth", scenes="table", kinds="vanishing", frames=32, seeds=1)
    assert figures["switches_percent"] <= 1.0
    assert figures["lost_percent"] == 100.0 and figures["neighbours_moved"] == 0.0
    assert figures["iou_table"] > 0.9


def test_a_mask_on_another_thing_is_a_switch() -> None:
    sequence = table(0, "standing")
    scan = sweep(sequence, 0.0, np.random.default_rng(0))
    states, tally = tracking.States(sequence, [1, 2]), tracking.Tally()
    swapped = np.where(scan.truth == 1, 2, np.where(scan.truth == 2, 1, 0))
    states.count(scan, swapped, set(), tally)
    assert tally.switches == 2 == tally.frames


def test_a_loss_that_is_noticed_late_does_not_count() -> None:
    sequence = table(0, "vanishing")
    sequence.things[0].gone = (0.0, np.inf)
    states, tally = tracking.States(sequence, [1]), tracking.Tally()
    for scan in sweeps(sequence, 15):
        states.count(scan, np.zeros(len(scan.truth), np.int32), {0} if scan.time > 1.1 else set(), tally)
    states.finish(tally)
    assert tally.vanished == [False]


@pytest.mark.parametrize("make", [table, room, street])
def test_sweeps_see_what_is_clicked_on(make: object) -> None:
    sequence = make(1, "moving")  # type: ignore[operator]
    scan = next(iter(sweeps(sequence, 1)))
    assert len(scan.xyz) == len(scan.rgb) == len(scan.truth) > 5000
    assert np.isfinite(scan.xyz).all()
    assert sum((scan.truth == i).sum() > 20 for i, thing in enumerate(sequence.things, 1) if thing.target) >= 2
    again = next(iter(sweeps(sequence, 1)))
    np.testing.assert_array_equal(again.xyz, scan.xyz)


def test_an_unknown_scene_is_named() -> None:
    with pytest.raises(ValueError, match="no 'moon'"):
        tracking.run(scenes="moon")
