"""Made streets: repeatable, labelled as promised, on the ground, of many models."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("open3d", reason="needs Open3D (pip install open3d-cpu) to cast rays")

from iseg3d_ros.scenes.site import MAKERS, Site, parametric
from iseg3d_ros.scenes.street import street
from iseg3d_ros.scenes.terrain import Road, Terrain


def test_the_seed_decides_all() -> None:
    first, again = (street(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.xyz, again.xyz)
    np.testing.assert_array_equal(first.instance, again.instance)
    assert len(street(np.random.default_rng(6)).xyz) != len(first.xyz)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_street_is_a_labelled_cloud(seed: int) -> None:
    cloud = street(np.random.default_rng(seed))
    assert cloud.kind == "street" and cloud.rgb is None and cloud.intensity is not None
    assert np.isfinite(cloud.xyz).all() and cloud.xyz.dtype == np.float32
    assert sorted(set(cloud.instance) - {0}) == list(range(1, len(cloud.classes) + 1))
    assert cloud.intensity.min() >= 0 and cloud.intensity.max() <= 1
    assert (np.bincount(cloud.instance)[1:] >= 50).sum() >= 5


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_models_stand_on_the_ground_and_differ(kind: str) -> None:
    one, other = parametric(kind, 0), parametric(kind, 1)
    assert one.faces.max() < len(one.vertices)
    assert -0.35 <= one.bounds[0][2] <= 0.35 or kind == "building"
    assert not np.array_equal(one.bounds, other.bounds)
    assert 0.3 < one.bounds[1][2] < 30


def test_nothing_is_put_where_something_stands() -> None:
    rng = np.random.default_rng(0)
    site = Site(rng, Terrain(rng, (Road(0, 0.0, 5.0, 2.0),)), ())
    assert site.put("car", 0, 0)
    assert not site.put("car", 0.5, 0.3, yaw=1.0)
    assert site.put("car", 0, 2.6)


def test_kerbs_raise_the_pavement() -> None:
    terrain = Terrain(np.random.default_rng(0), (Road(0, 1.0, 4.0, 2.0),))
    step = float(terrain.height(0.0, 5.1) - terrain.height(0.0, 4.9))
    assert 0.05 < step < 0.2
    assert terrain.beyond(0.0, 6.0) == pytest.approx(1.0)
