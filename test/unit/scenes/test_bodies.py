"""Meshes, ray casts, plain furniture, and where things come to stand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("open3d", reason="scenes are scanned with Open3D, which is not installed")

from iseg3d_ros.scenes.clutter import HeightMap, filled_shelf, heap  # noqa: E402
from iseg3d_ros.scenes.mesh import box, merge, plane, pose, sphere, transform  # noqa: E402
from iseg3d_ros.scenes.procedural_furniture import MAKERS  # noqa: E402
from iseg3d_ros.scenes.render import Composition, look_at, pinhole  # noqa: E402
from iseg3d_ros.scenes.rgbd import exposed, projector_shadow  # noqa: E402
from iseg3d_ros.scenes.surfaces import Support, stand  # noqa: E402
from iseg3d_ros.scenes.tabletop_objects import Thing  # noqa: E402


def down(*points: tuple[float, float], start: float = 5.0) -> np.ndarray:
    """Rays looking straight down."""
    return np.array([[x, y, start, 0, 0, -1] for x, y in points], np.float32)


def test_a_box_is_hit_where_it_stands() -> None:
    world = Composition()
    label = world.add(box([1, 1, 0.5], (1, 0, 0)), pose(2, 0, 0), class_name="box")
    hits = world.cast(down((2, 0), (0, 0)))
    assert hits.t[0] == pytest.approx(4.5) and np.isinf(hits.t[1])
    assert hits.label.tolist() == [label, -1]
    assert hits.rgb[0] == pytest.approx([1, 0, 0]) and hits.normal[0] == pytest.approx([0, 0, 1])


def test_rays_go_on_behind_clear_texels_and_glass() -> None:
    leaf = np.zeros((1, 2, 4), np.uint8)
    leaf[0, 0] = [0, 255, 0, 255]  # the left half is a leaf, the right half is air
    world = Composition()
    world.add(plane(2, 2, texture=leaf, repeat=0), pose(z=1), label=1)
    world.add(plane(2, 2, (0, 0, 1)), label=2)
    hits = world.cast(down((-0.5, 0), (0.5, 0)))
    assert hits.label.tolist() == [1, 2]
    assert hits.t == pytest.approx([4, 5])
    assert hits.rgb[0] == pytest.approx([0, 1, 0])


def test_each_side_of_a_box_shows_its_own_picture() -> None:
    sides = [np.full((1, 1, 4), [shade, 0, 0, 255], np.uint8) for shade in (10, 20, 30, 40, 50, 60)]
    world = Composition()
    world.add(box([1, 1, 1], textures=sides), label=1)
    middle = [0, 0, 0.5]
    eyes = [[0, -3, 0.5], [3, 0, 0.5], [0, 3, 0.5], [-3, 0, 0.5], [0, 0, 3], [0, 0, -3]]
    seen = [world.cast(pinhole(np.array(eye, float), np.array(middle), 1, 1, 1.0)).rgb[0, 0] * 255 for eye in eyes]
    assert seen == pytest.approx([10, 20, 30, 40, 50, 60], abs=0.5)


def test_the_optical_frame_looks_forward_with_y_down() -> None:
    turn = look_at(np.zeros(3), np.array([1.0, 0, 0]))
    assert turn[:, 2] == pytest.approx([1, 0, 0]) and turn[:, 1] == pytest.approx([0, 0, -1])
    assert np.linalg.det(turn) == pytest.approx(1)


@pytest.mark.parametrize("role", sorted(MAKERS))
def test_plain_furniture_stands_on_the_floor_at_a_sensible_size(role: str) -> None:
    for seed in range(6):
        low, high = MAKERS[role](np.random.default_rng(seed)).bounds
        assert abs(low[2]) < 0.05
        assert 0.05 < (high - low).max() < 2.7
        assert abs(low[0] + high[0]) < 0.5 and abs(low[1] + high[1]) < 0.8


def thing(size: tuple[float, float, float]) -> Thing:
    return Thing(box(size), (size[0] / 2, size[1] / 2), size[2], 0.0, "box")


def test_things_stand_on_tops_apart_from_each_other() -> None:
    world = Composition()
    board = transform(box([1, 0.6, 0.05]), pose(z=0.7))
    world.add(merge([board, box([0.1, 0.1, 0.7])]), pose(3, 1), class_name="table")
    world.build()
    things = [thing((0.1, 0.1, 0.2)) for _ in range(8)]
    placed = stand(world, [Support(3, 1, 0, (1, 0.6, 0.75), things)], np.random.default_rng(0))
    assert len(placed) >= 4
    for k, spot in enumerate(placed):
        assert spot.z == pytest.approx(0.75, abs=0.005)
        assert abs(spot.x - 3) < 0.46 and abs(spot.y - 1) < 0.26
        assert all(np.hypot(spot.x - o.x, spot.y - o.y) > 0.1 for o in placed[:k])


def test_a_thing_too_tall_for_a_shelf_stays_away() -> None:
    world = Composition()
    boards = [transform(box([1, 0.4, 0.02]), pose(z=z)) for z in (0.3, 0.6, 3.0)]
    world.add(merge(boards), class_name="shelf")
    world.build()
    things = [thing((0.05, 0.05, 0.2))] * 6 + [thing((0.05, 0.05, 0.29))] * 6
    support = Support(0, 0, 0, (1, 0.4, 0.62), things, levels=True)
    placed = stand(world, [support], np.random.default_rng(1))
    heights = sorted({round(p.z, 2) for p in placed})
    assert 0.32 in heights
    assert all(p.thing.height < 0.28 or p.z > 0.6 for p in placed)


def test_things_fall_onto_what_lies_there() -> None:
    field = HeightMap(np.zeros(2), 1.0, 0.5)
    side = np.linspace(-0.1, 0.1, 30)
    corners = np.array([[x, y, z] for x in side for y in side for z in (0, 0.2)])
    assert field.drop(corners, np.zeros((1, 2)))[2] == pytest.approx(0.5)
    assert field.drop(corners, np.zeros((1, 2)))[2] == pytest.approx(0.7)
    assert field.drop(corners, np.array([[0.05, 0], [0.3, 0]])) == pytest.approx((0.3, 0.0, 0.5))


def test_heaps_and_shelves_hold_separate_objects() -> None:
    world = Composition()
    world.add(plane(3, 3), pose(z=0.7), label=0)
    heap(world, np.zeros(2), 0.7, 12, np.random.default_rng(0), [])
    assert len(world.classes) >= 8
    seen = world.cast(pinhole(np.array([0.0, -0.8, 1.6]), np.array([0, 0, 0.75]), 120, 90, 100.0)).label
    assert len(np.unique(seen[seen > 0])) >= 6
    shelf = Composition()
    filled_shelf(shelf, np.random.default_rng(0), [])
    assert len(shelf.classes) >= 4


def test_the_projectors_shadow_lies_left_of_what_stands_in_front() -> None:
    depth = np.full((4, 100), 1.5, np.float32)
    depth[:, 50:70] = 0.75
    hidden = projector_shadow(depth, 400.0)
    assert hidden[:, 31:49].all()  # 400 * 0.075 * (1 / 0.75 - 1 / 1.5) = 20 pixels
    assert not hidden[:, :29].any() and not hidden[:, 50:].any()


def test_exposure_brings_the_mean_brightness_to_a_usual_one() -> None:
    dark = np.full((100, 3), 0.05)
    assert 0.29 < exposed(dark, np.random.default_rng(0)).mean() < 0.61
    assert exposed(np.zeros((0, 3)), np.random.default_rng(0)).shape == (0, 3)


def test_a_sphere_is_round() -> None:
    radius = np.linalg.norm(sphere(0.3).vertices - [0, 0, 0.3], axis=1)
    assert radius == pytest.approx(np.full(len(radius), 0.3), abs=1e-6)
