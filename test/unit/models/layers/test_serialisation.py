from __future__ import annotations

import pytest
import torch

from iseg3d_ros.models.layers.serialisation import codes, hilbert_axes, interleave, patches


def grid(side: int) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(side)] * 3)


def test_z_order_weaves_the_bits() -> None:
    cells = torch.tensor([[0b101, 0b011, 0b110], [200_000, 3, 77_777]])
    woven = [sum((int(c) >> bit & 1) << (3 * bit + 2 - axis) for axis, c in enumerate(row) for bit in range(18))
             for row in cells]  # fmt: skip
    assert interleave(cells).tolist() == woven


def test_the_hilbert_curve_steps_from_neighbour_to_neighbour() -> None:
    cells = grid(16)
    along = interleave(hilbert_axes(cells))
    assert along.sort().values.tolist() == list(range(16**3))  # every cell once, without a gap
    steps = cells[along.argsort()].diff(dim=0).abs().sum(1)
    assert (steps == 1).all()


def test_skipping_leading_zeros_changes_nothing() -> None:
    cells = grid(6)
    far = torch.cat([cells, torch.tensor([[200_000, 0, 0]])])  # needs all the bits
    assert torch.equal(hilbert_axes(far)[:-1], hilbert_axes(cells))


def test_children_of_a_voxel_follow_one_another_on_every_curve() -> None:
    coords = torch.nn.functional.pad(grid(8), (1, 0), value=2)
    for along in codes(coords):
        parents = (coords[:, 1:] // 2)[along.argsort()].view(-1, 8, 3)
        assert (parents == parents[:, :1]).all()
        assert len(torch.unique(along >> 3)) == 4**3


def test_the_trans_curves_exchange_two_axes() -> None:
    cells = grid(4)
    straight = codes(torch.nn.functional.pad(cells, (1, 0)))
    turned = codes(torch.nn.functional.pad(cells[:, [1, 0, 2]], (1, 0)))
    assert torch.equal(straight[1], turned[0])
    assert torch.equal(straight[3], turned[2])


def test_clouds_stay_apart_on_the_curve() -> None:
    pad = torch.nn.functional.pad
    coords = torch.cat([pad(grid(3) + 100, (1, 0)), pad(grid(3), (1, 0), value=1)])
    for along in codes(coords):
        assert coords[along.argsort(), 0].diff().min() >= 0


@pytest.mark.parametrize(
    ("counts", "size"), [((10, 3, 1), 4), ((3,), 1024), ((5, 8), 4), ((8, 4), 4), ((1,), 8), ((9,), 4)]
)
def test_patches_hold_every_voxel_in_order_and_mix_no_clouds(counts: tuple[int, ...], size: int) -> None:
    cloud = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    order = torch.cat([torch.nonzero(cloud == c)[torch.randperm(n), 0] for c, n in enumerate(counts)])
    cut = patches(order, counts, size)
    assert torch.equal(cut.slots.flatten()[cut.place], torch.arange(len(order)))
    filled = torch.ones_like(cut.slots, dtype=torch.bool) if cut.empty is None else ~cut.empty
    assert filled.flatten()[cut.place].all()
    rank = torch.argsort(order)[cut.slots]
    for slots, places, full in zip(cut.slots, rank, filled, strict=True):
        assert len(torch.unique(cloud[slots[full]])) == 1
        assert (places[full].diff() == 1).all()
        assert full.sum() == min(size, counts[cloud[slots[0]]])  # patches are as full as their cloud allows
