"""Objects carried over clouds; boxes; accumulated sweeps. All of it without ROS."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from iseg3d_ros.benchmarks._tracking_scenes import Sweep as LabelledSweep
from iseg3d_ros.benchmarks._tracking_scenes import Thing, sweeps
from iseg3d_ros.benchmarks._tracking_scenes import table as table_sequence
from iseg3d_ros.geometry.boxes import Box, corners, oriented_box
from iseg3d_ros.interaction.accumulator import SECOND, Accumulator, Sweep
from iseg3d_ros.interaction.association import carry, moving, remember
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.looks import blended, likeness, look_of
from iseg3d_ros.interaction.tracking import Follower
from iseg3d_ros.io.pointcloud2_read import Points


def table(rng: np.random.Generator, places: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """A table top and cubes of 10 cm edge on it; labels 0, 1, 2, ..."""
    plane = np.c_[rng.uniform(-1, 1, (8000, 2)), rng.normal(0, 0.001, 8000)]
    cubes = []
    for x, y in places:
        cube = rng.uniform(-0.05, 0.05, (1500, 3))
        face = rng.integers(0, 3, 1500)
        cube[np.arange(1500), face] = np.sign(cube[np.arange(1500), face]) * 0.05
        cubes.append(cube + [x, y, 0.06])
    labels = np.concatenate([np.zeros(8000, int), *[np.full(1500, i + 1) for i in range(len(places))]])
    return np.concatenate([plane, *cubes]).astype(np.float32), labels


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.03, 0.0), (0.05, -0.04)])
def test_carries_objects_that_move(shift: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    before, labels = table(rng, [(0.0, 0.0), (0.4, 0.1)])
    tracks = [remember(before[labels == i], 0.0) for i in (1, 2)]
    after, truth = table(rng, [shift, (0.4, 0.1)])
    carried = carry(tracks, before[labels == 0], after, 0.1, [0.1, 0.1])
    for i in (1, 2):
        assert iou(carried.labels == i, truth == i) > 0.85
    np.testing.assert_allclose(carried.motion[0], [*shift, 0], atol=0.01)
    assert carried.share.min() > 0.9
    faster = moving(tracks[0], carried.motion[0], 0.1)
    np.testing.assert_allclose(faster.velocity, carried.motion[0] / 0.2)


def test_an_object_that_left_is_not_found() -> None:
    rng = np.random.default_rng(1)
    before, labels = table(rng, [(0.0, 0.0), (0.4, 0.1)])
    tracks = [remember(before[labels == i], 0.0) for i in (1, 2)]
    after, truth = table(rng, [(0.4, 0.1)])
    carried = carry(tracks, before[labels == 0], after, 0.1, [0.1, 0.1])
    assert carried.share[0] < 0.3 and carried.share[1] > 0.9
    assert iou(carried.labels == 2, truth == 1) > 0.85


def test_nothing_to_carry() -> None:
    rng = np.random.default_rng(2)
    before, labels = table(rng, [(0.0, 0.0)])
    track = remember(before[labels == 1], 0.0)
    for cloud in (np.zeros((0, 3), np.float32), before[labels == 0] + np.float32(50)):
        carried = carry([track], np.zeros((0, 3)), cloud, 1.0, [0.1])
        assert not carried.labels.any() and carried.share[0] == 0
    assert len(carry([], before, before, 1.0, []).labels) == len(before)
    remember(np.ones((1, 3)), 0.0)


def test_box_stands_on_the_ground_and_turns_with_the_object() -> None:
    rng = np.random.default_rng(3)
    turn = Rotation.from_euler("z", 25, degrees=True)
    points = turn.apply(rng.uniform(-0.5, 0.5, (20000, 3)) * [0.4, 0.2, 0.1]) + [1, 2, 3]
    box = oriented_box(points, np.array([0, 0, 1.0]))
    np.testing.assert_allclose(box.centre, [1, 2, 3], atol=0.005)
    np.testing.assert_allclose(sorted(box.size), [0.1, 0.2, 0.4], atol=0.01)
    np.testing.assert_allclose(box.rotation[:, 2], [0, 0, 1], atol=1e-9)
    assert np.linalg.det(box.rotation) == pytest.approx(1)
    inside = (points - box.centre) @ box.rotation
    assert (np.abs(inside) <= box.size / 2 + 1e-6).all()


@pytest.mark.parametrize("up", [None, np.array([0, -1.0, 0.1]), np.array([1.0, 0, 0])])
def test_box_holds_its_points_for_any_up(up: np.ndarray | None) -> None:
    points = np.random.default_rng(4).normal(size=(500, 3)) * [3, 1, 0.2]
    box = oriented_box(points, up)
    assert (np.abs((points - box.centre) @ box.rotation) <= box.size / 2 + 1e-9).all()
    assert np.linalg.det(box.rotation) == pytest.approx(1)


@pytest.mark.parametrize("points", [np.ones((1, 3)), np.array([[0, 0, 0], [1, 1, 1.0]]), np.tile([[1, 2, 3]], (50, 1))])
def test_box_of_next_to_nothing(points: np.ndarray) -> None:
    for up in (None, np.array([0, 0, 1.0])):
        box = oriented_box(points, up)
        assert np.isfinite(box.centre).all() and (box.size >= 0).all()


def test_corners() -> None:
    box = Box(np.array([1.0, 2, 3]), np.eye(3), np.array([2.0, 4, 6]))
    assert corners(box).min(0).tolist() == [0, 0, 0] and corners(box).max(0).tolist() == [2, 4, 6]


def test_accumulator_keeps_the_last_seconds() -> None:
    accumulator = Accumulator(seconds=1.0, cell=0.01, largest=10_000)
    for i in range(5):
        xyz = np.full((100, 3), i, np.float32)  # one cell each
        accumulator.add(Sweep(i * SECOND // 2, xyz, None))
    merged = accumulator.merged()
    assert merged.xyz[:, 0].tolist() == [4, 3, 2] and merged.stamp == 2 * SECOND


def test_accumulator_thins_and_bounds() -> None:
    rng = np.random.default_rng(5)
    accumulator = Accumulator(seconds=1e3, cell=0.5, largest=100)
    for i in range(50):
        accumulator.add(Sweep(i, rng.uniform(0, 4, (2000, 3)).astype(np.float32), np.zeros((2000, 3), np.uint8)))
    merged = accumulator.merged()
    assert len(merged.xyz) <= 8**3 and len(accumulator) < 50
    assert merged.rgb is not None and len(merged.rgb) == len(merged.xyz)


def test_accumulator_begins_anew_when_the_clock_jumps_back() -> None:
    accumulator = Accumulator(10.0, 0.01, 1000)
    accumulator.add(Sweep(5 * SECOND, np.zeros((1, 3), np.float32), None))
    accumulator.add(Sweep(1 * SECOND, np.ones((1, 3), np.float32), None))
    assert len(accumulator) == 1
    with pytest.raises(ValueError, match="no cloud"):
        Accumulator(1, 1, 1).merged()


@pytest.mark.parametrize("seed", [0, 2, 4, 7])
def test_an_object_that_is_taken_away_leaves_its_neighbour_alone(seed: int) -> None:
    """Two that look the same, 15 mm apart: one goes, the other keeps its points and does not move."""
    sequence = table_sequence(seed, "vanishing")
    sequence.things[0].gone = (0.15, np.inf)
    follower, ids = Follower(), ["gone", "stays"]
    for sweep in sweeps(sequence, 5, seed):
        cloud = CurrentCloud(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))), "s", stamp(sweep), None)
        truth = np.where(sweep.truth <= 2, sweep.truth, 0)
        if sweep.time > 0:
            followed = follower.follow(cloud, sweep.pose, ids, 0.3)
            assert ("gone" in followed.lost) == (sweep.time >= 0.15), sweep.time
            assert not followed.searching, "its place is seen, and empty"
            assert "stays" not in followed.lost and iou(followed.labels == 2, truth == 2) > 0.85
            taken = int((followed.labels == 1)[sweep.truth == 2].sum())
            at_most = 0.0 if "gone" in followed.lost else 0.05 * (truth == 2).sum()  # where they stand 15 mm apart
            assert taken <= at_most, "the neighbour's points went with it"
        follower.remember_masks(cloud, sweep.pose, truth, ids)


def test_what_something_hides_is_searched_for() -> None:
    """A board is put between sensor and object: whether it is there cannot be said."""
    sequence = table_sequence(0, "standing")
    eye, thing = sequence.pose(0.2)[:3, 3], sequence.things[0]
    toward = thing.place - eye
    place = np.array([*(eye + 0.5 * toward)[:2], 0.0])
    board = Thing(place, np.array([0.01, 0.5, 0.6]), float(np.arctan2(toward[1], toward[0])))
    board.gone = (-1.0, 0.15)
    sequence.things.append(board)
    follower, ids = Follower(), ["thing"]
    for sweep in sweeps(sequence, 4, 0):
        cloud = CurrentCloud(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))), "s", stamp(sweep), None)
        if sweep.time > 0:
            followed = follower.follow(cloud, sweep.pose, ids, 0.3)
            assert followed.searching == followed.lost == (frozenset(ids) if sweep.time >= 0.15 else frozenset())
            cloud.origin = None
            assert not follower.follow(cloud, sweep.pose, ids, 0.3).searching, "of a merged cloud nothing is said"
        follower.remember_masks(cloud, sweep.pose, np.where(sweep.truth == 1, 1, 0), ids)


def test_objects_that_pass_each_other_keep_their_ids() -> None:
    """Each goes to where the other was, one after the other round: together they fit best as they are."""
    rng = np.random.default_rng(6)
    before, labels = table(rng, [(0.0, 0.0), (0.0, 0.3), (0.3, 0.0)])
    tracks = [remember(before[labels == i], 0.0) for i in (1, 2, 3)]
    after, truth = table(rng, [(0.0, 0.12), (0.0, 0.42), (0.3, 0.12)])
    carried = carry(tracks, before[labels == 0], after, 0.1, [0.2] * 3)
    for i in (1, 2, 3):
        assert iou(carried.labels == i, truth == i) > 0.85


def stamp(sweep: LabelledSweep) -> int:
    return int(sweep.time * SECOND) + 1


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_objects_of_one_shape_are_known_again_by_their_colours(seed: int) -> None:
    """A red and a blue one are taken away and come back in one another's place."""
    sequence = table_sequence(seed, "exchanged")
    for thing in sequence.things[:2]:
        thing.gone = (0.15, 0.35)
    follower, ids, found = Follower(), ["red", "blue"], 0
    for sweep in sweeps(sequence, 7, seed):
        cloud = CurrentCloud(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))), "s", stamp(sweep), None)
        truth = np.where(sweep.truth <= 2, sweep.truth, 0)
        if sweep.time > 0:
            followed = follower.follow(cloud, sweep.pose, ids, 0.3)
            for label in (1, 2):
                taken = ((followed.labels == label) & (truth == 3 - label)).sum()
                assert taken <= 0.05 * (truth == 3 - label).sum(), "one was taken for the other"
            if 0.15 < sweep.time < 0.35:
                assert followed.lost == frozenset(ids)
            if sweep.time > 0.35:
                found += sum(iou(followed.labels == label, truth == label) > 0.6 for label in (1, 2))
        follower.remember_masks(cloud, sweep.pose, truth, ids)
    assert found >= 4, "of three clouds and two objects"


def test_a_look_is_that_of_the_same_colours_in_other_light() -> None:
    rng = np.random.default_rng(0)
    colours = (190, 60, 50), (40, 70, 190)
    red, blue = (np.clip(rng.normal(colour, 8, (500, 3)), 0, 255).astype(np.uint8) for colour in colours)
    darker = (red * 0.9).astype(np.uint8)
    assert likeness(look_of(red), look_of(darker)) > 0.7 > 0.3 > likeness(look_of(red), look_of(blue))
    assert likeness(look_of(red), look_of(red[:5])) == likeness(None, look_of(red)) == 1.0
    mixed = blended(look_of(red), look_of(blue))
    assert likeness(mixed, look_of(red)) > likeness(mixed, look_of(blue)) > 0.3
