"""Pixels and masks to points: at edges, through holes, before what is hidden, for dense and for sparse clouds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from iseg3d_ros.geometry.camera_view import STROKE, CameraView, ellipse
from iseg3d_ros.geometry.lens import Lens
from iseg3d_ros.geometry.rgbd import Camera, unproject
from iseg3d_ros.geometry.transforms import apply, matrix

CAMERA = Camera(200.0, 200.0, 79.5, 59.5, 160, 120)
WALL, BOX = 2.0, 1.0
LEFT, RIGHT, TOP, BOTTOM = 60, 100, 40, 80  # pixels of the box, the last ones not of it


def depth_image() -> np.ndarray:
    """A wall, and a box before it; a hole without returns in the wall."""
    depth = np.full((120, 160), WALL, np.float32)
    depth[TOP:BOTTOM, LEFT:RIGHT] = BOX
    depth[10:30, 10:40] = 0.0
    return depth


def cloud(depth: np.ndarray) -> np.ndarray:
    return unproject(depth, None, CAMERA, 1, 0.05, 20.0, False)[0]


def view(xyz: np.ndarray, pose: np.ndarray | None = None) -> CameraView:
    pose = np.eye(4) if pose is None else pose
    return CameraView(apply(pose, xyz.astype(np.float64)).astype(np.float32), CAMERA, pose)


@pytest.mark.parametrize(
    "u, v, expected",
    [(80, 60, BOX), (LEFT, 60, BOX), (LEFT - 1, 60, WALL), (RIGHT - 1, BOTTOM - 1, BOX), (RIGHT, BOTTOM, WALL)],
)
def test_at_an_edge_the_pixels_own_surface_is_taken(u: int, v: int, expected: float) -> None:
    xyz = cloud(depth_image())
    pose = matrix(np.array([1.0, -2.0, 0.5, 0.5, -0.5, 0.5, -0.5]))  # anywhere, turned
    row = view(xyz, pose).at(u, v)
    assert xyz[row, 2] == pytest.approx(expected)
    place = xyz[row] * CAMERA.fx / xyz[row, 2] + [CAMERA.cx, CAMERA.cy, 0]
    np.testing.assert_allclose(place[:2], [u, v], atol=1e-3)


def test_what_a_sensor_makes_of_an_edge_is_no_surface() -> None:
    depth = depth_image()
    depth[60, LEFT - 1] = 1.4  # a flying pixel
    row = view(cloud(depth)).at(LEFT - 1, 60)
    assert cloud(depth)[row, 2] != pytest.approx(1.4)


@pytest.mark.parametrize("u, v", [(25, 20), (14, 20)])
def test_a_click_through_a_hole_is_refused(u: int, v: int) -> None:
    with pytest.raises(ValueError, match="nothing at the pixel"):
        view(cloud(depth_image())).at(u, v)


def test_a_click_into_the_sky_is_refused() -> None:
    depth = depth_image()
    depth[:40] = 0
    with pytest.raises(ValueError, match="sky"):
        view(cloud(depth)).at(80, 10)


@pytest.mark.parametrize("u, v", [(160.0, 5.0), (-1.0, 5.0), (5.0, 120.0), (float("nan"), 5.0)])
def test_a_pixel_outside_is_refused(u: float, v: float) -> None:
    with pytest.raises(ValueError, match="outside the image"):
        view(cloud(depth_image())).at(u, v)


def test_a_camera_that_sees_nothing_says_so() -> None:
    behind = cloud(depth_image()) * np.float32(-1)
    with pytest.raises(ValueError, match="sees nothing of the cloud"):
        view(behind).at(80, 60)


def test_in_a_raw_image_the_lens_counts() -> None:
    """A thing at the image's rim is pixels away from where a camera without distortion would see it."""
    bent = replace(CAMERA, lens=Lens("plumb_bob", (-0.3, 0.05, 0.001, -0.001, 0.0)))
    xyz = cloud(depth_image())
    corner = int(np.flatnonzero((np.abs(xyz[:, 0] - xyz[:, 0].min()) < 1e-3) & (np.abs(xyz[:, 1]) < 0.01))[0])
    u, v, _ = (float(value[0]) for value in bent.pixels(xyz[corner : corner + 1].astype(np.float64)))
    assert u > 2.0, "the lens draws it in"
    row = CameraView(xyz, bent, np.eye(4)).at(u, v)
    assert np.linalg.norm(xyz[row] - xyz[corner]) < 1e-6
    assert np.linalg.norm(xyz[view(xyz).at(u, v)] - xyz[corner]) > 0.02


def test_a_stroke_becomes_clicks_along_it() -> None:
    xyz, seen = cloud(depth_image()), view(cloud(depth_image()))
    rows = seen.along(np.array([[62.0, 60.0], [80.0, 60.0], [98.0, 60.0]]))
    assert len(rows) == 4 and (xyz[rows, 2] == BOX).all()
    assert np.diff(np.sort(xyz[rows, 0])) == pytest.approx(9.0 / CAMERA.fx, abs=1.5 / CAMERA.fx)
    assert len(seen.along(np.array([[80.0, 60.0]]))) == 1
    assert len(seen.along(np.stack([np.linspace(62, 98, 3000), np.full(3000, 60.0)], 1))) <= STROKE
    across = seen.along(np.array([[2.0, 20.0], [60.0, 20.0]]))  # over the hole: what hits nothing is left out
    assert 1 <= len(across) < 5


@pytest.mark.parametrize(
    "stroke, words",
    [(np.zeros((0, 2)), "no pixels"), (np.array([[25.0, 20.0]]), "nothing at"), (np.array([[900.0, 0.0]]), "outside")],
)
def test_a_stroke_that_hits_nothing_is_refused(stroke: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        view(cloud(depth_image())).along(stroke)


def sparse(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a rotating lidar: a pixel apart along the row, nine from row to row, and a wall seen from elsewhere."""
    rows = []
    for v in np.arange(4.0, 116.0, 9.0):
        u = np.arange(0.0, 160.0, 1.0) + rng.uniform(-0.3, 0.3, 160)
        z = np.where((u >= LEFT) & (u < RIGHT) & (v >= TOP) & (v < BOTTOM), BOX, WALL)
        rows.append(np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z], 1))
    hidden = np.stack([rng.uniform(-0.8, 0.8, 4000), rng.uniform(-0.6, 0.6, 4000), np.full(4000, WALL)], 1)
    return np.concatenate(rows).astype(np.float32), hidden.astype(np.float32)


def test_between_the_rows_of_a_lidar_the_surface_goes_on() -> None:
    xyz, _ = sparse(np.random.default_rng(0))
    seen = view(xyz)
    assert all(xyz[seen.at(u, v), 2] == pytest.approx(BOX) for u in (70, 80, 90) for v in (53.0, 54.5, 56.0, 62.5))
    assert xyz[seen.at(130, 54), 2] == pytest.approx(WALL)


def test_what_a_sparse_thing_hides_is_not_clicked_through_it() -> None:
    """The wall behind was seen from elsewhere, and denser: its points shine through between the box's."""
    front, hidden = sparse(np.random.default_rng(0))
    xyz = np.concatenate([front, hidden])
    seen = view(xyz)
    depths = []
    for u, v in itertools.product(range(66, 95, 3), range(47, 72, 3)):
        try:
            depths.append(xyz[seen.at(u, v), 2])
        except ValueError:  # too far from every point to say
            depths.append(np.nan)
    assert np.mean(np.isclose(depths, BOX)) >= 0.9


def test_a_mask_becomes_clicks_inside_and_around() -> None:
    xyz = cloud(depth_image())
    mask = np.zeros((120, 160), bool)
    mask[TOP - 1 : BOTTOM + 1, LEFT - 1 : RIGHT + 1] = True  # a pixel too wide, as masks are
    found = view(xyz).inside(mask)
    assert len(found.inside) == 3 and len(found.around) == 4
    np.testing.assert_allclose(xyz[found.inside, 2], BOX)
    np.testing.assert_allclose(xyz[found.around, 2], WALL)
    first = xyz[found.inside[0]] * CAMERA.fx / BOX + [CAMERA.cx, CAMERA.cy, 0]
    assert np.abs(first[:2] - [79.5, 59.5]).max() < 3, "the first is in the middle"
    assert (xyz[found.shown, 2] < 1.5).mean() > 0.9


def test_points_that_are_hidden_are_not_the_masks() -> None:
    front, hidden = sparse(np.random.default_rng(0))
    xyz = np.concatenate([front, hidden])
    found = view(xyz).inside(ellipse(CAMERA, (79.5, 59.5), (36.0, 36.0)))
    np.testing.assert_allclose(xyz[found.inside, 2], BOX)
    assert np.mean(found.shown < len(front)) > 0.8


def test_a_mask_without_points_says_so() -> None:
    mask = np.zeros((120, 160), bool)
    with pytest.raises(ValueError, match="mask is empty"):
        view(cloud(depth_image())).inside(mask)
    mask[14:26, 14:36] = True
    with pytest.raises(ValueError, match="shows no point"):
        view(cloud(depth_image())).inside(mask)


def test_the_ellipse_of_a_turned_box() -> None:
    mask = ellipse(CAMERA, (80.0, 60.0), (40.0, 10.0), np.pi / 2)
    assert mask[78, 80] and mask[60, 84] and not mask[60, 90]
    assert mask.sum() == pytest.approx(np.pi * 20 * 5, rel=0.05)
