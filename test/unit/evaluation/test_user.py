"""The simulated user, against brute force and the traps of the protocol."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.evaluation.user import (
    counted_regions,
    error_regions,
    false_regions,
    largest,
    random_positive,
    slipping,
    tempered,
)


def line(*runs: tuple[int, int, int], step: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on a line in runs of (count, truth, prediction)."""
    truth = np.concatenate([np.full(n, gt) for n, gt, _ in runs])
    prediction = np.concatenate([np.full(n, pred) for n, _, pred in runs])
    points = np.zeros((len(truth), 3), np.float32)
    points[:, 0] = step * np.arange(len(truth))
    return points, truth, prediction


def test_two_separate_errors_of_one_pair_are_one_region() -> None:
    regions = error_regions(*line((3, 0, 0), (5, 1, 0), (4, 0, 0), (9, 1, 0), (3, 0, 0)))
    assert len(regions) == 1
    assert regions[0].voxel == 3 + 5 + 4 + 4  # the middle of the longer piece


def test_distances_are_metric_and_to_every_voxel_outside() -> None:
    points, truth, prediction = line((1, 0, 0), (7, 1, 0), (5, 2, 0), (1, 0, 0))
    regions = {r.truth: r for r in error_regions(points, truth, prediction)}
    assert regions[1].size == pytest.approx(4 * 0.05)  # object 2's error is outside, too
    assert regions[2].size == pytest.approx(3 * 0.05)
    points[7:13, 0] += 0.5  # un-quantised points decide, not indices
    assert largest(error_regions(points, truth, prediction)).truth in (1, 2)


def test_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((400, 3)).astype(np.float32)
    truth, prediction = rng.integers(0, 4, 400), rng.integers(0, 4, 400)
    for region in error_regions(points, truth, prediction):
        inside = (truth == region.truth) & (prediction == region.prediction)
        distance = np.linalg.norm(points[inside][:, None] - points[~inside][None], axis=2).min(1)
        assert region.size == pytest.approx(distance.max(), rel=1e-5)
        assert region.voxel == np.flatnonzero(inside)[np.argmax(distance)]


def test_large_regions_need_no_matrix_of_distances() -> None:
    import tracemalloc

    rng = np.random.default_rng(1)
    points = rng.random((60_000, 3)).astype(np.float32)
    truth = (points[:, 0] > 0.7).astype(np.int64)
    tracemalloc.start()
    (region,) = error_regions(points, truth, np.zeros(60_000, np.int64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # 18,000 by 42,000 distances would be 3 GB
    assert points[region.voxel, 0] > 0.97  # farthest from what is not the object, not from the cloud's border


def test_first_of_equal_voxels_is_clicked() -> None:
    assert error_regions(*line((2, 0, 0), (2, 1, 0), (2, 0, 0)))[0].voxel == 2


def test_a_cloud_that_is_all_one_error_is_clicked_in_its_middle() -> None:
    assert error_regions(*line((9, 1, 0)))[0].voxel == 4


def test_nothing_wrong_brings_no_region() -> None:
    assert largest(error_regions(*line((5, 1, 1), (5, 0, 0)))) is None


def test_interobject_compares_missing_with_too_much() -> None:
    regions = false_regions(*line((3, 0, 0), (4, 1, 0), (3, 1, 1), (9, 0, 1), (2, 0, 0)))
    assert largest(regions).truth == 0
    even = false_regions(*line((3, 0, 0), (5, 1, 0), (3, 1, 1), (5, 0, 1), (2, 0, 0)))
    assert largest(even).truth == 1  # missing on ties


def test_fewclick_counts_voxels() -> None:
    points, truth, prediction = line((3, 0, 0), (6, 1, 0), (2, 0, 0), (4, 0, 1), (2, 0, 0))
    region = largest(counted_regions(points, truth, prediction))
    assert (region.truth, region.size) == (1, 6.0)
    assert region.voxel in (5, 6)


def test_random_positive_never_clicks_background() -> None:
    regions = random_positive(0)(*line((3, 0, 0), (6, 1, 0), (2, 0, 0), (40, 0, 1), (2, 0, 0)))
    assert [region.truth for region in regions] == [1]
    assert 3 <= regions[0].voxel < 9


def test_temperature_spreads_the_clicks() -> None:
    cloud = line((3, 0, 0), (101, 1, 0), (3, 0, 0), step=0.2)
    middle = 3 + 50

    def spread(temperature: float) -> float:
        rule = tempered(temperature, 0)
        return float(np.mean([abs(rule(*cloud)[0].voxel - middle) for _ in range(300)]))

    assert spread(0.0) < 0.4 * spread(1.0)
    assert spread(1.0) == pytest.approx(25, rel=0.2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        tempered(1.5, 0)


def test_slips_name_a_wrong_object_but_never_at_first() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (200, 3)).astype(np.float32)
    truth = np.repeat([0, 1, 2, 2], 50).astype(np.int64)
    nothing, missing = np.zeros_like(truth), np.where(truth == 2, 0, truth)
    rule = slipping(error_regions, 1.0, 7)
    assert {region.truth for region in rule(points, truth, nothing)} == {1, 2}
    named = [rule(points, truth, missing) for _ in range(40)]
    assert all(len(regions) == 1 and truth[regions[0].voxel] == 2 for regions in named)
    assert {regions[0].truth for regions in named} == {0, 1}
    some = slipping(error_regions, 0.25, 7)
    wrong = sum(some(points, truth, missing)[0].truth != 2 for _ in range(400))
    assert 60 < wrong < 140
