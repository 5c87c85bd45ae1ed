"""Lenses: the models of camera_info against values by hand, back and forth, and where a model ends."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from iseg3d_ros.geometry.lens import Lens, lens_of
from iseg3d_ros.geometry.rgbd import camera_of

REALSENSE = (-0.055, 0.066, -0.0004, 0.0006, -0.021)


def info(model: str, d: tuple[float, ...]) -> SimpleNamespace:
    k = [600.0, 0.0, 319.5, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0]
    p = [500.0, 0.0, 310.0, 0.0, 0.0, 500.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return SimpleNamespace(distortion_model=model, d=list(d), k=k, p=p, width=640, height=480)


def seen(lens: Lens, x: float, y: float) -> list[float]:
    return [float(value[0]) for value in lens.distorted(np.array([x]), np.array([y]))]


def test_values_by_hand() -> None:
    plain = Lens("plumb_bob", (0.1, 0.01, 0.002, 0.003, 0.001))
    # r² = 0.25: 1 + 0.025 + 0.000625 + 0.000015625 = 1.025640625; 2xy = 0.24, r² + 2x² = 0.43, r² + 2y² = 0.57
    assert seen(plain, 0.3, 0.4) == pytest.approx(
        [0.3 * 1.025640625 + 0.002 * 0.24 + 0.003 * 0.43, 0.4 * 1.025640625 + 0.002 * 0.57 + 0.003 * 0.24]
    )
    rational = Lens("rational_polynomial", (0.1, 0.01, 0.0, 0.0, 0.001, 0.2, 0.02, 0.002))
    below = 1 + 0.2 * 0.25 + 0.02 * 0.0625 + 0.002 * 0.015625
    assert seen(rational, 0.3, 0.4) == pytest.approx([0.3 * 1.025640625 / below, 0.4 * 1.025640625 / below])
    fisheye = Lens("equidistant", (0.01, 0.0, 0.0, 0.0))
    angle = np.pi / 4  # of the direction (1, 0)
    assert seen(fisheye, 1.0, 0.0) == pytest.approx([angle * (1 + 0.01 * angle**2), 0.0])
    assert seen(fisheye, 0.0, 0.0) == [0.0, 0.0]


@pytest.mark.parametrize(
    "lens",
    [
        Lens("plumb_bob", REALSENSE),
        Lens("rational_polynomial", (0.5, -0.3, 1e-4, -2e-4, 0.02, 0.8, -0.2, 0.05)),
        Lens("equidistant", (-0.01, 0.02, -0.01, 0.002)),
    ],
)
def test_back_and_forth(lens: Lens) -> None:
    """A pixel's direction, found by Newton's method, is seen at that pixel; neighbours are not folded over it."""
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.4, 0.4, 9))).reshape(2, -1)
    place = grid.copy()
    for _ in range(20):
        error = np.stack(lens.distorted(*place)) - grid
        step = 1e-6
        across = (np.stack(lens.distorted(place[0] + step, place[1])) - np.stack(lens.distorted(*place))) / step
        down = (np.stack(lens.distorted(place[0], place[1] + step)) - np.stack(lens.distorted(*place))) / step
        place -= np.linalg.solve(np.stack([across, down], 1).transpose(2, 0, 1), error.T[..., None])[..., 0].T
    np.testing.assert_allclose(np.stack(lens.distorted(*place)), grid, atol=1e-9)
    assert np.abs(place - grid).max() > 1e-3, "the lens bends"


def test_what_a_model_would_fold_back_is_not_seen() -> None:
    barrel = Lens("plumb_bob", (-0.4, 0.0, 0.0, 0.0, 0.0))  # r (1 - 0.4 r²) is largest at r = 0.913
    inside, outside = seen(barrel, 0.9, 0.0), seen(barrel, 1.3, 0.0)
    assert inside[0] == pytest.approx(0.9 * (1 - 0.4 * 0.81)) and np.isnan(outside).all()


def test_a_raw_image_has_k_and_d_and_a_rectified_one_p() -> None:
    given = info("plumb_bob", REALSENSE)
    rectified, raw = camera_of(given), camera_of(given, rectified=False)
    assert (rectified.fx, rectified.cx, rectified.lens) == (500.0, 310.0, None)
    assert (raw.fx, raw.cx, raw.lens) == (600.0, 319.5, Lens("plumb_bob", REALSENSE))
    u, v, z = raw.pixels(np.array([[0.6, 0.8, 2.0]]))
    x, y = seen(Lens("plumb_bob", REALSENSE), 0.3, 0.4)
    assert [u[0], v[0]] == pytest.approx([600 * x + 319.5, 600 * y + 239.5])
    assert z[0] == 2.0 and raw.scaled(1280, 960).lens == raw.lens
    assert camera_of(info("", (0.0,) * 5), rectified=False).lens is None
    np.testing.assert_allclose(np.ravel(rectified.pixels(np.array([[0.6, 0.8, 2.0]]))), [460.0, 430.0, 2.0])


@pytest.mark.parametrize(
    ("model", "d", "words"),
    [
        ("thin_prism_fisheye", (0.1, 0.0, 0.0, 0.0), "not known"),
        ("rational_polynomial", (0.1,) * 12, "thin prism"),
        ("plumb_bob", (float("nan"), 0.0, 0.0, 0.0, 0.0), "not finite"),
    ],
)
def test_what_is_not_known_is_refused_in_words(model: str, d: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lens_of(info(model, d))
