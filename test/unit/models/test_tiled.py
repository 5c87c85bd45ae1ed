"""Crop and merge: small clouds as without it, large ones by squares around the clicks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iseg3d_ros import Click, Predictor
from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import NETWORKS, build, settings_of
from iseg3d_ros.models.tiled import Tiled, part_of, renumbered, within


def floor(metres: float, size: float = 0.1, channels: int = 11) -> VoxelCloud:
    side = torch.arange(round(metres / size))
    coords = torch.cartesian_prod(side, side, torch.arange(1)).int()
    generator = torch.Generator().manual_seed(1)
    return VoxelCloud(coords, (coords + 0.5) * size, torch.rand(len(coords), channels, generator=generator), size)


def network(name: str):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return build(settings_of(name, "tiny")).eval()


def at(cloud: VoxelCloud, *places: tuple[float, float]) -> torch.Tensor:
    return torch.stack([(cloud.points[:, :2] - torch.tensor(place)).norm(dim=1).argmin() for place in places])


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_a_small_cloud_is_answered_as_without_squares(name: str) -> None:
    plain, cloud = network(name), floor(3.0)
    asked = Tiled(plain, 5.0, 10_000)
    clicks = Prompts(at(cloud, (0.5, 0.5), (2.5, 2.0), (1.0, 2.0)), torch.tensor([1, 2, 0]), 2)
    torch.manual_seed(0)
    expected = plain.decode(plain.encode([cloud]), [clicks])[0]
    torch.manual_seed(0)
    found = asked.decode(asked.encode([cloud]), [clicks])[0]
    assert torch.equal(found.logits, expected.logits)
    assert (found.variance is None) == (expected.variance is None)


@pytest.mark.parametrize("name", ["interobject3d", "agile3d", "fewclick", "npiseg3d"])
@torch.inference_mode()
def test_a_large_cloud_is_asked_about_only_around_the_clicks(name: str) -> None:
    asked, cloud = Tiled(network(name), 4.0, 10_000), floor(12.0)
    encoded = asked.encode([cloud])
    clicks = Prompts(at(cloud, (2.0, 2.0), (10.0, 10.0)), torch.tensor([1, 2]), 2)
    found = asked.decode(encoded, [clicks])[0]
    assert list(encoded.clouds[0].squares) == [(1, 1), (5, 5)]
    assert found.logits.shape == (len(cloud), 3)
    assert torch.isfinite(found.logits).all()
    far = at(cloud, (6.0, 6.5))
    assert found.logits[far].argmax(1) == 0  # where no square was asked, there is no object
    assert found.logits[clicks.voxel[0], 2] < -10  # the second object is not known there
    assert (found.classes is None) == (name != "fewclick")


@torch.inference_mode()
def test_where_squares_overlap_odds_are_averaged() -> None:
    plain = network("agile3d")
    asked, cloud = Tiled(plain, 4.0, 10_000), floor(8.0)
    clicks = Prompts(at(cloud, (2.05, 2.05), (3.95, 2.05)), torch.tensor([1, 1]), 1)
    encoded = asked.encode([cloud])
    merged = asked.decode(encoded, [clicks])[0].logits
    squares, total, weight = list(encoded.clouds[0].squares.values()), 0.0, 0.0
    assert len(squares) == 2
    seen = at(cloud, (3.05, 2.05))
    for square in squares:
        own, _ = within(clicks, square.rows, len(cloud))
        answer = plain.decode(square.encoded, [own])[0].logits
        row = (square.rows == seen).nonzero()[0, 0]
        total += float((answer[row, 1] - answer[row, 0]) * square.weight[row])
        weight += float(square.weight[row])
    assert float(merged[seen, 1]) == pytest.approx(total / weight, abs=1e-4)


@torch.inference_mode()
def test_a_square_too_full_keeps_its_middle() -> None:
    asked, cloud = Tiled(network("agile3d"), 4.0, 100), floor(4.0)
    encoded = asked.encode([cloud])
    asked.decode(encoded, [Prompts(at(cloud, (2.0, 2.0)), torch.tensor([1]), 1)])
    square = next(iter(encoded.clouds[0].squares.values()))
    assert len(square.rows) <= 121
    assert cloud.points[square.rows, :2].sub(2.0).abs().max() < 0.7


def test_positions_start_from_the_squares_own_corner() -> None:
    cloud = floor(4.0, channels=6)
    cloud = VoxelCloud(cloud.coords, cloud.points, torch.cat([cloud.points, cloud.features[:, :3]], 1), cloud.size)
    part = part_of(cloud, torch.arange(800, 1600), ("position", "rgb"))
    assert part.features[:, :3].amin(0).tolist() == [0, 0, 0]
    assert torch.equal(part.features[:, 3:], cloud.features[800:1600, 3:])
    assert part.coords.amin(0).tolist() == [0, 0, 0]


def test_labels_are_numbered_anew_and_others_are_background() -> None:
    assert renumbered(torch.tensor([0, 1, 2, 3]), torch.tensor([1, 3]), 3).tolist() == [0, 1, 0, 2]


def test_from_the_predictor() -> None:
    xyz = np.random.default_rng(0).uniform([0, 0, 0], [12, 12, 0.05], (40000, 3)).astype(np.float32)
    plain, asked, small = (Predictor.load("agile3d", "cpu", 0.1, tile=tile) for tile in (None, 4.0, 50.0))
    clicks = [Click((2.0, 2.0, 0.0), 4), Click((10.0, 10.0, 0.0), 7)]
    results = [p.segment(p.encode(xyz, up=(0, 0, 1)), clicks) for p in (plain, asked, small)]
    assert np.array_equal(results[0].labels, results[2].labels)
    assert np.array_equal(results[0].probability, results[2].probability)
    assert set(np.unique(results[1].labels)) <= {0, 4, 7}
    assert results[1].labels[np.abs(xyz[:, :2] - 6).max(1) < 1].max() == 0


def test_what_has_no_network_has_no_tiles() -> None:
    with pytest.raises(ValueError, match="tiles"):
        Predictor.load("random_walker", tile=5.0)
    with pytest.raises(ValueError, match="positive number"):
        Predictor.load("agile3d", "cpu", tile=-1.0)
