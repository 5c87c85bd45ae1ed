from __future__ import annotations

import torch
from model_scenes import boxes_on_a_table

from iseg3d_ros.models.build import settings_of
from iseg3d_ros.training.random_clicks import near, of_cells, random_clicks

CLOUD, LABEL = boxes_on_a_table(settings_of("interobject3d", "tiny"))


def test_counts_and_places_of_the_paper() -> None:
    seen = set()
    for seed in range(30):
        clicks = random_clicks(CLOUD.coords, LABEL, 3, torch.Generator().manual_seed(seed))
        assert torch.equal(clicks.label, LABEL[clicks.voxel])
        own = torch.bincount(clicks.label, minlength=4)
        assert own[1:].min() >= 1
        assert 1 <= own[0] <= 45
        seen.add(int(own[0]))
        box = near(CLOUD.coords, LABEL[:, None] == torch.arange(1, 4))
        assert box[clicks.voxel].any(1).all()
    assert len(seen) > 5


def test_the_box_is_a_fifth_larger_on_every_side() -> None:
    coords = torch.cartesian_prod(torch.arange(40), torch.tensor([0]), torch.tensor([0]))
    own = ((coords[:, 0] >= 10) & (coords[:, 0] <= 20))[:, None]
    assert torch.nonzero(near(coords, own)[:, 0])[:, 0].tolist() == list(range(8, 23))


def test_the_seed_decides() -> None:
    first, second = (random_clicks(CLOUD.coords, LABEL, 3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.voxel, second.voxel)


def test_an_object_that_fills_its_box_has_no_negative_clicks() -> None:
    coords = torch.cartesian_prod(*[torch.arange(3)] * 3)
    clicks = random_clicks(coords, torch.ones(27, dtype=torch.int64), 1, torch.Generator().manual_seed(0))
    assert (clicks.label == 1).all()


def test_voxel_sampling_takes_no_two_points_of_a_cell() -> None:
    coords = torch.cartesian_prod(torch.arange(20), torch.arange(20), torch.arange(2))
    chosen = of_cells(coords, 9, torch.Generator().manual_seed(0))
    assert len(chosen) == 9
    cells = coords[chosen] // 4  # a quarter of 19, in whole voxels
    assert len(torch.unique(cells, dim=0)) == 9
    assert len(of_cells(coords, 500, torch.Generator().manual_seed(0))) == 25
    assert len(of_cells(coords[:1], 5, torch.Generator().manual_seed(0))) == 1
