from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from conftest import REALSET, needs_realset

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import voxel_graph
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.random_walker import RandomWalker, RandomWalkerSettings
from iseg3d_ros.models.voxel_graph import Edges, factorised, is_single_view, nearest_pairs, supporting_surface
from iseg3d_ros.preprocessing.features import voxel_cloud


def clicks(*pairs: tuple[int, int]) -> Prompts:
    voxel, label = (torch.tensor(values) for values in zip(*pairs, strict=True))
    return Prompts(voxel, label, int(label.max()))


def two_balls() -> tuple[VoxelCloud, np.ndarray]:
    """Two balls with a gap of two voxels between them; the voxels' truth."""
    ball = np.random.default_rng(0).normal(size=(9000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    xyz = np.concatenate([ball, ball + [2.2, 0, 0]]).astype(np.float32)
    cloud, voxels = voxel_cloud(xyz, None, 0.1, RandomWalker().settings.features)
    return cloud, (voxels.points[:, 0] > 1.1).astype(int) + 1


def test_the_solver_solves_the_walk() -> None:
    first, second = np.array([0, 1]), np.array([1, 2])
    right = np.array([1.0, 0.0, 0.0])
    solved = factorised(Edges(first, second, np.array([2.0, 1.0])), np.array([0.1, 0.1, 0.5]))(right)
    matrix = np.array([[2.1, -2, 0], [-2, 3.1, -1], [0, -1, 1.5]])
    assert matrix @ solved == pytest.approx(right)


def test_two_objects_part_at_the_gap() -> None:
    cloud, truth = two_balls()
    walker = RandomWalker()
    given = clicks((int(np.flatnonzero(truth == 1)[300]), 1), (int(np.flatnonzero(truth == 2)[300]), 2))
    (prediction,) = walker.decode(walker.encode([cloud]), [given])
    assert (prediction.logits.argmax(1).numpy() == truth).mean() > 0.9
    chance = prediction.logits.exp().sum(1)
    assert float(chance.min()) > 0.1
    assert float(chance.max()) < 1.01


def test_background_clicks_take_their_object_away() -> None:
    cloud, truth = two_balls()
    walker = RandomWalker()
    encoded = walker.encode([cloud])
    left, right = (int(np.flatnonzero(truth == label)[300]) for label in (1, 2))
    (prediction,) = walker.decode(encoded, [clicks((left, 1), (right, 0))])
    assert (prediction.logits.argmax(1).numpy() == (truth == 1)).mean() > 0.9


def test_decoding_is_repeatable_and_batches_are_lists() -> None:
    cloud, _ = two_balls()
    walker = RandomWalker()
    given = clicks((5, 1), (900, 2), (5, 2))
    one, two = walker.decode(walker.encode([cloud, cloud]), [given, given])
    assert torch.equal(one.logits, two.logits)
    assert torch.isfinite(one.logits).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_clouds(count: int) -> None:
    xyz = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    cloud, _ = voxel_cloud(xyz, None, 0.5, RandomWalker().settings.features)
    walker = RandomWalker()
    (prediction,) = walker.decode(walker.encode([cloud]), [clicks((0, 1))])
    assert prediction.logits[0].argmax() == 1


def test_pairs_are_unique_and_symmetric() -> None:
    from scipy.spatial import cKDTree

    first, second, distance = nearest_pairs(cKDTree(np.random.default_rng(0).random((200, 3))), 6)
    assert (first < second).all()
    assert len(set(zip(first, second, strict=True))) == len(first)
    assert distance.min() > 0


def test_support_and_view() -> None:
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-1, 1, (2000, 2)), np.zeros(2000)]
    wall = np.c_[np.full(500, 1.0), rng.uniform(-1, 1, 500), rng.uniform(0, 1, 500)]
    points = np.concatenate([floor, wall])
    normals = np.repeat([[0.0, 0, 1], [1, 0, 0]], [2000, 500], axis=0)
    support = supporting_surface(points, normals, 0.05)
    assert support[:2000].all()
    assert not support[2000:].any()
    seen = floor + [0, 0, -1.5]
    assert is_single_view(seen)
    assert not is_single_view(np.concatenate([seen, seen * 1.7]))


@needs_realset
def test_a_real_table_top_from_one_click_an_object() -> None:
    from iseg3d_ros import Click, Predictor
    from iseg3d_ros.evaluation.user import error_regions

    sys.path.insert(0, str(REALSET))
    from load import scenes

    _, xyz, rgb, instance = next(iter(scenes("tabletop")))
    predictor = Predictor.load("random_walker")
    scene = predictor.encode(xyz, rgb)
    rows = scene.voxels.representative
    regions = error_regions(xyz[rows], instance[rows].astype(np.int64), np.zeros(len(rows), np.int64))
    given = [Click(tuple(map(float, xyz[rows][region.voxel])), region.truth) for region in regions]
    labels = predictor.segment(scene, given).labels
    for label in range(1, instance.max() + 1):
        assert ((labels == label) & (instance == label)).sum() / ((labels == label) | (instance == label)).sum() > 0.9


def box_room(rng: np.random.Generator) -> tuple[VoxelCloud, np.ndarray]:
    """A floor, a ceiling and one wall of 4 m x 4 m x 2.5 m at 5 cm; 1, 2, 3 by voxel."""
    a, b = rng.uniform(0, 4, (2, 40000)).astype(np.float32)
    high = rng.uniform(0.05, 2.45, 40000).astype(np.float32)
    zero = np.zeros_like(a)
    xyz = np.concatenate([np.stack(part, 1) for part in ((a, b, zero), (a, b, zero + 2.5), (a, zero, high))])
    cloud, voxels = voxel_cloud(xyz - 2, None, 0.05, RandomWalker().settings.features)
    return cloud, np.repeat([1, 2, 3], 40000)[voxels.representative]


def nearest(cloud: VoxelCloud, place: tuple[float, float, float]) -> int:
    return int((cloud.points - torch.tensor(place)).norm(dim=1).argmin())


def test_a_clicked_floor_is_an_object_and_walls_part_from_ceilings() -> None:
    cloud, truth = box_room(np.random.default_rng(0))
    places = {1: (0.0, 0.0, -2.0), 2: (0.0, 0.0, 0.5), 3: (0.0, -2.0, -0.8)}
    given = clicks(*((nearest(cloud, place), label) for label, place in places.items()))
    walker = RandomWalker()
    labels = walker.decode(walker.encode([cloud]), [given])[0].logits.argmax(1).numpy()
    for label in places:
        found, wanted = labels == label, truth == label
        assert (found & wanted).sum() > 0.9 * (found | wanted).sum()


def test_a_click_on_a_stray_point_holds_its_neighbours_too() -> None:
    cloud, truth = two_balls()
    walker = RandomWalker()
    (walks,) = walker.encode([cloud])
    lone = int(np.flatnonzero(truth == 1)[300])
    walks.geometry.normals[lone] = (0, 0, 0)  # nothing is parallel to it: no smooth patch
    assert len(walker._patch(walks, lone, 4.0)) >= 5


def test_a_patch_that_is_cut_off_takes_root_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clicked patch is parted from its ball: the ball is meant all the same, and stays after a correction."""
    cloud, truth = two_balls()
    walker, left = RandomWalker(), int(np.flatnonzero(truth == 1)[300])
    (walks,) = walker.encode([cloud])
    stray = np.isin(np.arange(len(truth)), walks.tree.query(walks.geometry.means[left], 5)[1])
    cloud.features[left, 7:10] = 0  # no smooth patch

    def parted(_: object, first: np.ndarray, second: np.ndarray, distance: np.ndarray, __: object) -> np.ndarray:
        return distance**2 / 4 + 44.0 * ((stray[first] != stray[second]) | (truth[first] != truth[second]))

    monkeypatch.setattr(voxel_graph, "resistance", parted)
    corner = int(np.flatnonzero((truth == 1) & ~stray)[0])
    (walks,) = RandomWalker(RandomWalkerSettings(floor=1e-4)).encode([cloud])
    ball = (truth == 1) & ~stray
    for given, least in ((clicks((left, 1)), 0.95), (clicks((left, 1), (corner, 0)), 0.5)):
        labels = walker.decode([walks], [given])[0].logits.argmax(1).numpy()
        assert (labels[ball] == 1).mean() > least
        assert (labels[truth == 2] == 1).mean() < 0.05
