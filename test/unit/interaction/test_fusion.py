"""Which clouds of several sensors are taken together, and what becomes of their colours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from iseg3d_ros.interaction.fusion import GREY, Bundler, fused
from iseg3d_ros.io.pointcloud2_read import Points

MS = 10**6


def numbers(bundle: object) -> list[tuple[int, object]]:
    assert bundle is not None
    return [(sensor, message) for sensor, _, message in bundle.parts]  # type: ignore[attr-defined]


def test_a_bundle_is_whole_with_the_last_sensor() -> None:
    bundler = Bundler(3, lambda: 0.1)
    assert bundler.add(2, 0, "c") is None
    assert bundler.add(0, 20 * MS, "a") is None
    assert numbers(bundler.add(1, 40 * MS, "b")) == [(0, "a"), (1, "b"), (2, "c")]
    assert bundler.add(0, 120 * MS, "a2") is None, "the next begins anew"


def test_what_is_too_old_is_left_out() -> None:
    bundler = Bundler(2, lambda: 0.05)
    assert bundler.add(0, 0, "old") is None
    assert bundler.add(1, 100 * MS, "b") is None
    assert numbers(bundler.add(0, 120 * MS, "a")) == [(0, "a"), (1, "b")]


def test_a_silent_sensor_holds_the_others_for_one_period_only() -> None:
    bundler = Bundler(2, lambda: 0.1)
    assert bundler.add(0, 0, "first") is None
    assert numbers(bundler.add(0, 100 * MS, "second")) == [(0, "first")]
    assert numbers(bundler.add(0, 200 * MS, "third")) == [(0, "second")]


def test_the_header_is_the_newest_ones() -> None:
    messages = [SimpleNamespace(header=name) for name in "ab"]
    bundler = Bundler(2, lambda: 1.0)
    bundler.add(0, 50 * MS, messages[0])
    bundle = bundler.add(1, 40 * MS, messages[1])
    assert bundle is not None and bundle.header == "a"


def points(count: int, colour: int | None) -> Points:
    rgb = None if colour is None else np.full((count, 3), colour, np.uint8)
    return Points(np.full((count, 3), count, np.float32), rgb, None, None, (1, count))


def test_points_without_colours_are_grey_among_coloured_ones() -> None:
    one = fused([points(2, 7), points(3, None)])
    assert one.rgb is not None and one.rgb[:, 0].tolist() == [7, 7, GREY, GREY, GREY]
    assert one.xyz[:, 0].tolist() == [2, 2, 3, 3, 3] and one.shape == (1, 5)
    assert fused([points(2, None), points(3, None)]).rgb is None
