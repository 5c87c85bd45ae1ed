"""Looks as compared with a click's: colour, tone, plane."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from iseg3d_ros.models.layers.looks import LIKE_CHANNELS, LOOK_CHANNELS, Looks, like_features, look_features

SIZE = 0.05
UP = torch.tensor([0.0, 0.0, 1.0])


def looks(*colours: tuple[float, float, float], known: float = 1.0) -> Looks:
    colour = torch.tensor(colours)
    return Looks.of(colour, torch.full((len(colours), 1), known), UP.expand(len(colours), 3))


def like(seen: Looks, points: Tensor, click: int = 0) -> Tensor:
    """The channels (LIKE_CHANNELS, M) of all points for one click on one of them."""
    clicked = seen.only(torch.tensor([[click]]))
    features = like_features(seen, points, clicked, points[None, None, click], SIZE)
    assert features.shape == (1, 1, LIKE_CHANNELS, len(points))
    return features[0, 0]


def test_the_clicked_voxel_is_like_itself_and_another_colour_is_not() -> None:
    colour, tone, plane = like(looks((0.2, -0.1, 0.0), (0.2, -0.1, 0.0), (-0.3, 0.4, 0.1)), torch.zeros(3, 3))
    assert colour[:2] == pytest.approx([1, 1], abs=1e-3)
    assert tone[:2] == pytest.approx([1, 1], abs=1e-2)
    assert max(colour[2], tone[2]) < 0.1
    assert plane.tolist() == [1, 1, 1]


def test_less_light_changes_the_colour_and_not_the_tone() -> None:
    bright = torch.tensor([0.4, 0.2, 0.1])
    dark = 0.5 * (bright + 0.58) - 0.58
    colour, tone, _ = like(looks(tuple(bright.tolist()), tuple(dark.tolist())), torch.zeros(2, 3))
    assert colour[1] < 0.2
    assert tone[1] > 0.95


def test_height_above_the_plane_through_the_click_counts_and_distance_within_it_does_not() -> None:
    points = torch.tensor([[0, 0, 0], [3.0, 2.0, 0], [0, 0, 0.2]])
    seen = looks(*[(0.0, 0.0, 0.0)] * 3)
    assert like(seen, points)[2].tolist() == pytest.approx([1, 1, torch.e ** (-2)])
    features = look_features(seen, points[None], seen.only(torch.tensor([0])), SIZE)
    assert features.shape == (1, 3, LOOK_CHANNELS)
    assert torch.equal(features[0, 0], features[0, 1])
    assert (features[0, 2] - features[0, 0]).abs().max() > 0.9


def test_without_colour_nothing_depends_on_it() -> None:
    points, first = torch.rand(3, 3), torch.tensor([0])
    dark, red = (looks(c, c, c, known=0.0) for c in ((0.0, 0.0, 0.0), (0.5, -0.5, -0.5)))
    assert torch.equal(like(dark, points), like(red, points))
    offset = (points - points[0])[None]
    assert torch.equal(*(look_features(each, offset, each.only(first), SIZE) for each in (dark, red)))
