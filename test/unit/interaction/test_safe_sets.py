"""What may be acted on when the mask leaks: never a wall, the ground or the thing beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iseg3d_ros.benchmarks._tracking_scenes import room, sweep, table
from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.planes import large_planes
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.safe_sets import Safety, removable, sure_points
from iseg3d_ros.interaction.view import View, list_objects
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

SCENES = [(table, seed) for seed in (0, 3, 5, 8)] + [(room, seed) for seed in (0, 1, 4)]


def leaking(make: object, seed: int, sure: float = 0.99, leaked: float = 0.99) -> tuple[View, np.ndarray]:
    """A view whose mask of a thing has an IoU of .3: it runs over into whatever is nearest; and the truth."""
    sequence = make(seed, "standing")  # type: ignore[operator]
    scan = sweep(sequence, 0.0, np.random.default_rng(seed))
    counts = np.bincount(scan.truth, minlength=4)
    thing = 1 + int(counts[1:4].argmax())
    truth = scan.truth == thing
    middle = scan.xyz[truth].mean(0)
    away = np.linalg.norm(scan.xyz - middle, axis=1) + 1e3 * truth
    mask = truth.copy()
    mask[np.argsort(away)[: int(truth.sum() * (1 / 0.3 - 1))]] = True
    assert truth.sum() / mask.sum() == pytest.approx(0.3, abs=0.02)
    click = scan.xyz[truth][np.linalg.norm(scan.xyz[truth] - middle, axis=1).argmin()]
    x, y, z = (float(value) for value in click)
    probability = np.where(truth, sure, np.where(mask, leaked, 1.0)).astype(np.float32)
    result = Segmentation(mask.astype(np.int32), probability, np.zeros(len(mask), np.float32), None, None, 1, 0.0)
    points = Points(scan.xyz, None, None, None, (1, len(scan.xyz)))
    view = View(
        0, CurrentCloud(points, "sensor", 1, None), None, result, list_objects(["thing"], [Click((x, y, z), "thing")]),
        "thing", (), False, False, "frozen", "none", 0.0, 0.0, "",
    )  # fmt: skip
    return view, scan.truth


@pytest.mark.parametrize(("make", "seed"), SCENES)
@pytest.mark.parametrize("leaked", [0.7, 0.99], ids=["unsure", "sure of it"])
def test_a_mask_that_leaks_takes_nothing_else_with_it(make: object, seed: int, leaked: float) -> None:
    """Also where the model is as sure of what it leaked into as of the thing itself."""
    view, truth = leaking(make, seed, leaked=leaked)
    thing = view.objects[0]
    own = truth == truth[np.flatnonzero(view.points.xyz[:, 0] == np.float32(thing.clicks[0].point[0]))[0]]
    grasped = sure_points(view, thing, 0.8)
    assert own[grasped].mean() >= 0.98 and own[grasped].sum() > 0.5 * own.sum()
    gone = removable(view, thing, Safety())
    assert gone[own].mean() > 0.5
    for other in np.unique(truth[~own]):
        assert gone[truth == other].mean() <= (0.002 if other == 0 else 0.02), other


def test_nothing_is_acted_on_that_is_lost_or_doubted() -> None:
    view, _ = leaking(table, 0)
    lost = replace(view.objects[0], lost=True)
    assert len(sure_points(view, lost, 0.8)) == 0 and not removable(view, lost, Safety()).any()
    view, _ = leaking(table, 0, sure=0.6, leaked=0.6)
    assert len(sure_points(view, view.objects[0], 0.8)) == 0 and not removable(view, view.objects[0], Safety()).any()


def test_unsure_points_and_those_beyond_the_box_stay() -> None:
    view, truth = leaking(table, 0, leaked=0.7)
    probable = Safety(grasp=0.8, removal=0.5, margin=0.0)
    grasped = np.zeros(len(truth), bool)
    grasped[sure_points(view, view.objects[0], 0.8)] = True
    gone = removable(view, view.objects[0], probable)
    low, high = view.points.xyz[grasped].min(0), view.points.xyz[grasped].max(0)
    assert (view.points.xyz[gone] >= low - 0.05).all() and (view.points.xyz[gone] <= high + 0.05).all()
    assert not (gone & (view.result.probability < 0.5)).any()


def test_large_planes_are_the_ground_and_the_walls() -> None:
    scan = sweep(room(0, "standing"), 0.0, np.random.default_rng(0))
    planes = large_planes(scan.xyz)
    held = np.zeros(len(scan.xyz), bool)
    for plane in planes:
        held |= plane.holds(scan.xyz)
    assert 2 <= len(planes) <= 5
    assert held[scan.truth == 0].mean() > 0.9
    assert held[scan.truth > 0].mean() < 0.3
    assert large_planes(scan.xyz[:10]) == ()
