"""The speed benchmark measures what it says, at a size that takes no time."""

from __future__ import annotations

import pytest

from iseg3d_ros.benchmarks import models


def test_figures_of_a_small_room() -> None:
    figures = models.run(voxels=1500, repeats=1, networks="e2i3d_5.7m")
    assert figures["t5_ratio_agile3d"] == 1.0
    assert figures["t5_ratio_e2i3d_5.7m"] > 1.0
    assert 0 < figures["next_click_share_e2i3d_5.7m"] < 1
    assert figures["parameters_e2i3d_5.7m"] == pytest.approx(5.7e6, rel=0.03)


def test_rooms_have_the_voxels_asked_for() -> None:
    for voxels in (1500, 40_000, 150_000):
        assert len(models.room(voxels)) == pytest.approx(voxels, rel=0.1)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(ValueError, match="no network 'other'"):
        models.run(networks="other")


def test_clicks_between_the_measured_ones_are_interpolated() -> None:
    seconds = {0: 1.0, 5: 0.1, 6: 0.1, 25: 0.1, 75: 0.1}
    assert models.total(seconds, 5) == pytest.approx(1.0 + 21 * 0.1)
