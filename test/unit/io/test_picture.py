from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.clicks import Click
from iseg3d_ros.io.picture import PALETTE, PAPER, picture, write_picture

pytest.importorskip("PIL", reason="Pillow is not installed")


def ball_on_a_table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(-0.5, 0.5, (30000, 2)), np.zeros(30000)]
    ball = rng.normal(size=(8000, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * 0.15 + [0, 0, 0.15]
    return np.concatenate([table, ball]).astype(np.float32), np.repeat([0, 1], [30000, 8000])


def test_objects_stand_out_and_the_cloud_fills_the_picture() -> None:
    xyz, labels = ball_on_a_table()
    image = picture(xyz, None, labels, size=(320, 240)).astype(int)
    assert image.shape == (240, 320, 3)
    drawn = np.abs(image - PAPER).max(axis=2) > 20
    assert drawn.mean() > 0.25
    rows, columns = np.nonzero(drawn)
    assert np.ptp(columns) > 0.6 * 320
    red = image[..., 0] - image[..., 2] > 60  # the palette's first colour
    assert 0.01 < red.mean() < 0.3
    assert rows[red[rows, columns]].mean() < rows.mean() + 30
    assert not (picture(xyz, None, None, size=(320, 240)).astype(int)[..., 0] - image[..., 2] > 90).all()


def test_clicks_are_marked() -> None:
    xyz, labels = ball_on_a_table()
    plain = picture(xyz, None, labels, size=(320, 240))
    marked = picture(xyz, None, labels, [Click((0, 0, 0.3), 1), Click((0.3, 0.3, 0), 0)], size=(320, 240))
    changed = np.abs(plain.astype(int) - marked).max(axis=2) > 30
    assert 10 < changed.sum() < 2000


def test_colours_of_the_cloud_are_kept() -> None:
    xyz, _ = ball_on_a_table()
    green = np.tile(np.array([20, 200, 20], np.uint8), (len(xyz), 1))
    image = picture(xyz, green, size=(160, 120)).astype(int)
    assert ((image[..., 1] - image[..., 0]) > 60).mean() > 0.1


@pytest.mark.parametrize("xyz", [np.zeros((1, 3)), np.ones((5, 3)), np.array([[0, 0, 0], [np.nan, 0, 0], [1, 1, 1]])])
def test_degenerate_clouds_are_drawn(xyz: np.ndarray) -> None:
    assert picture(xyz.astype(np.float32), size=(64, 48)).shape == (48, 64, 3)


def test_a_file_is_written_or_refused(tmp_path: Path) -> None:
    from PIL import Image

    xyz, labels = ball_on_a_table()
    for name in ("a.png", "a.jpg"):
        write_picture(tmp_path / name, xyz, None, labels, size=(64, 48))
        assert Image.open(tmp_path / name).size == (64, 48)
    with pytest.raises(ValueError, match=r"\.png or \.jpg"):
        write_picture(tmp_path / "a.svg", xyz, size=(64, 48))
    with pytest.raises(ValueError, match="no point"):
        picture(np.full((3, 3), np.nan))
    assert len(np.unique(PALETTE, axis=0)) == len(PALETTE)
