"""Sparse coordinates, kernel maps, pooling: odd inputs, moving, sharing."""

from __future__ import annotations

import pickle
from itertools import product

import pytest
import torch

from iseg3d_ros.sparse import (
    BatchNorm,
    DownConv3d,
    Maps,
    SparseTensor,
    SubMConv3d,
    UpConv3d,
    cat,
    pool,
    sparse_batch,
    unpool,
)
from iseg3d_ros.sparse.kernel_map import KernelMap

CLOUD = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 2, 3], [-1, -1, -1], [-2, 5, 0]], dtype=torch.int32)


def neighbours_by_hand(coords: torch.Tensor, kernel: int) -> list[list[int]]:
    rows = {tuple(c): i for i, c in enumerate(coords.tolist())}
    steps = range(-((kernel - 1) // 2), kernel - (kernel - 1) // 2)
    around = list(product(steps, steps, steps))
    return [[rows.get((b, x + i, y + j, z + k), len(rows)) for i, j, k in around] for b, x, y, z in coords.tolist()]


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("spread", [1, 100_000])
def test_neighbours_dense_and_searched(kernel: int, spread: int) -> None:
    """A spread-out cloud is searched in sorted keys, a compact one in a table; both find the same."""
    cloud = torch.cat([CLOUD, CLOUD * 1 + spread])
    coords = sparse_batch([cloud[:5], cloud[5:], cloud[:3]])
    assert Maps(coords).submanifold(1, kernel).neighbours.tolist() == neighbours_by_hand(coords, kernel)


def test_levels_are_floors_whatever_the_way() -> None:
    maps = Maps(sparse_batch([CLOUD, CLOUD + 7]))
    direct = Maps(sparse_batch([CLOUD, CLOUD + 7])).coords(4)
    maps.coords(2)
    wanted = maps.coords(1).clone()
    wanted[:, 1:] = wanted[:, 1:].div(4, rounding_mode="floor")
    parents = maps.parent(2)[maps.parent(1)]
    assert torch.equal(maps.coords(4)[parents], wanted)
    assert torch.equal(maps.coords(4), direct)


def test_blocks_hold_every_pair_once() -> None:
    coords = torch.cartesian_prod(*[torch.arange(6)] * 3)[torch.randperm(216)[:150]].int()
    pairs = Maps(sparse_batch([coords])).submanifold(1, 3)
    found = set()
    for block in pairs.blocks(32):
        offset = torch.repeat_interleave(torch.arange(27), torch.tensor(block.counts))
        found |= set(zip(offset.tolist(), block.targets.tolist(), block.sources.tolist(), strict=True))
        ends = torch.cat([block.begin[1:], torch.tensor([len(block.order)])])
        for row, (begin, end) in enumerate(zip(block.begin.tolist(), ends.tolist(), strict=True)):
            assert set(block.targets[block.order[begin:end].long()].tolist()) <= {block.rows.start + row}
    table = pairs.neighbours
    wanted = {(k, t, int(table[t, k])) for t, k in (table < pairs.inputs).nonzero().tolist() if k != 13}
    assert found == wanted
    assert pairs.pairs == len(wanted) + 150


def test_transposed_is_the_same_pairs_backwards() -> None:
    maps = Maps(sparse_batch([CLOUD, CLOUD * 2]))
    for pairs in (maps.strided(1), maps.strided(1, 3, 2), maps.submanifold(1, 3), maps.submanifold(1, 2)):
        assert as_pairs(pairs.transposed) == {(k, s, t) for k, t, s in as_pairs(pairs)} or pairs.symmetric
        if pairs.symmetric:
            assert as_pairs(pairs) == {(26 - k, s, t) for k, t, s in as_pairs(pairs)}


def as_pairs(pairs: KernelMap) -> set[tuple[int, int, int]]:
    table = pairs.neighbours
    return {(k, t, int(table[t, k])) for t, k in (table < pairs.inputs).nonzero().tolist()}


@pytest.mark.parametrize("how", ["max", "mean", "sum"])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_pooling_over_children(how: str, shape: tuple[int, ...]) -> None:
    maps = Maps(sparse_batch([CLOUD, CLOUD]))
    x = torch.randn(10, *shape)
    out = pool(SparseTensor(x, maps), how)  # type: ignore[arg-type]
    for row in range(len(maps.coords(2))):
        children = x[maps.parent(1) == row]
        wanted = {"max": children.amax(0), "mean": children.mean(0), "sum": children.sum(0)}[how]
        assert torch.allclose(out.features[row], wanted)
    assert torch.equal(unpool(out).features, out.features[maps.parent(1)])


def u_net(x: SparseTensor, layers: torch.nn.ModuleList) -> SparseTensor:
    stem, down, middle, up = layers
    fine = stem(x)
    return cat([up(middle(down(fine))), fine])


def layers() -> torch.nn.ModuleList:
    torch.manual_seed(0)
    parts = [SubMConv3d(3, 4, 5), DownConv3d(4, 6), SubMConv3d(6, 6, bias=True), UpConv3d(6, 5)]
    return torch.nn.ModuleList(parts)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
@pytest.mark.parametrize("voxels", [0, 1])
def test_empty_and_tiny(voxels: int, shape: tuple[int, ...]) -> None:
    x = torch.randn(voxels, *shape, requires_grad=True)
    out = u_net(SparseTensor(x, Maps(sparse_batch([CLOUD[:voxels]]))), layers())
    out.features.sum().backward()
    assert out.features.shape == (voxels, *shape[:-1], 9)
    assert x.grad is not None and x.grad.shape == x.shape


def test_permuted_voxels_permute_the_result() -> None:
    cells = torch.cartesian_prod(*[torch.arange(6)] * 3)[torch.randperm(216)[:120]].int()
    x, order, net = torch.randn(120, 3, dtype=torch.double), torch.randperm(120), layers().double()
    one = u_net(SparseTensor(x, Maps(sparse_batch([cells]))), net).features
    other = u_net(SparseTensor(x[order], Maps(sparse_batch([cells[order]]))), net).features
    assert torch.allclose(one[order], other)


def test_a_batch_is_its_clouds() -> None:
    clouds = [CLOUD, CLOUD[:1] - 40, CLOUD[2:] + 3]
    features, net = [torch.randn(len(c), 3, dtype=torch.double) for c in clouds], layers().double()
    together = u_net(SparseTensor(torch.cat(features), Maps(sparse_batch(clouds))), net).features
    alone = [
        u_net(SparseTensor(f, Maps(sparse_batch([c]))), net).features for f, c in zip(features, clouds, strict=True)
    ]
    assert torch.allclose(together, torch.cat(alone))


def test_far_away_is_the_same() -> None:
    """Coordinates near the limits of int32 give what the same cloud gives at the origin."""
    net, x = layers().double(), torch.randn(5, 3, dtype=torch.double)
    near = u_net(SparseTensor(x, Maps(sparse_batch([CLOUD]))), net).features
    for shift in (10_000_000, -2_000_000_000, 2_000_000_000):
        far = u_net(SparseTensor(x, Maps(sparse_batch([CLOUD + shift]))), net).features
        assert torch.allclose(near, far)


def test_feature_sets_share_the_maps() -> None:
    net, maps = layers().double(), Maps(sparse_batch([CLOUD, CLOUD + 1]))
    x = torch.randn(10, 3, 3, dtype=torch.double)
    together = u_net(SparseTensor(x, maps), net).features
    alone = [u_net(SparseTensor(x[:, i], maps), net).features for i in range(3)]
    assert torch.allclose(together, torch.stack(alone, 1))


def test_prepared_pickled_moved() -> None:
    maps = Maps(sparse_batch([CLOUD])).prepare(strides=(1, 2, 4), device="cpu")
    again = pickle.loads(pickle.dumps(maps)).to("cpu")
    x = torch.randn(5, 3)
    assert torch.equal(
        u_net(SparseTensor(x, maps), layers()).features, u_net(SparseTensor(x, again), layers()).features
    )


def test_batch_norm_over_the_last_dimension() -> None:
    maps, norm = Maps(sparse_batch([CLOUD])), BatchNorm(4)
    x = torch.randn(5, 2, 4)
    out = norm(SparseTensor(x, maps)).features
    assert torch.allclose(out.mean((0, 1)), torch.zeros(4), atol=1e-5)
    assert torch.equal(norm.eval()(x), norm(SparseTensor(x, maps)).features)
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


def test_bad_input_is_a_sentence() -> None:
    maps = Maps(sparse_batch([CLOUD]))
    with pytest.raises(ValueError, match="same coordinates"):
        Maps(sparse_batch([torch.cat([CLOUD, CLOUD])])).submanifold(1, 3)
    with pytest.raises(ValueError, match="integers"):
        Maps(torch.zeros(3, 3))
    with pytest.raises(ValueError, match="V = 5 voxels"):
        SparseTensor(torch.zeros(4, 2), maps)
    with pytest.raises(ValueError, match="takes 3 channels"):
        SubMConv3d(3, 4)(SparseTensor(torch.zeros(5, 2), maps))
    with pytest.raises(ValueError, match="crop the cloud"):
        Maps(sparse_batch([torch.tensor([[0, 0, 0], [2**30, 2**30, 2**30]])])).submanifold(1, 3)
    with pytest.raises(ValueError, match="share their maps"):
        cat([SparseTensor(torch.zeros(5, 1), maps), SparseTensor(torch.zeros(5, 1), Maps(maps.coords()))])
    with pytest.raises(ValueError, match="no level finer"):
        UpConv3d(1, 1)(SparseTensor(torch.zeros(5, 1), maps))
    with pytest.raises(ValueError, match="at least one cloud"):
        sparse_batch([])
