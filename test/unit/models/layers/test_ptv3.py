from __future__ import annotations

import pytest
import torch
from model_scenes import boxes_on_a_table

from iseg3d_ros.models.build import settings_of
from iseg3d_ros.models.layers.ptv3 import Block, PatchAttention, PointTransformer, Pool, Unpool, ramp, serialise
from iseg3d_ros.models.layers.serialisation import codes
from iseg3d_ros.sparse import Maps, SparseTensor, sparse_batch

SETTINGS = settings_of("fewclick", "tiny")


@pytest.fixture
def x() -> SparseTensor:
    torch.manual_seed(0)
    cloud, _ = boxes_on_a_table(SETTINGS)
    return SparseTensor(cloud.features, Maps(sparse_batch([cloud.coords, cloud.coords[:100]])[: len(cloud)]))


def test_patch_attention_as_computed_patch_by_patch(x: SparseTensor) -> None:
    attention, features = PatchAttention(16, 2), torch.randn(len(x), 16)
    sequence = serialise(x.maps, 64)[1][2]
    found = attention(features, sequence)
    q, k, v = attention.qkv(features).chunk(3, 1)
    for patch in (0, len(sequence.slots) - 1):
        rows = sequence.slots[patch]
        heads = []
        for h in range(2):
            part = slice(8 * h, 8 * h + 8)
            weight = (q[rows, part] @ k[rows, part].T / 8**0.5).softmax(1)
            heads.append(weight @ v[rows, part])
        expected = attention.out(torch.cat(heads, 1))
        own = sequence.place[rows] // len(rows) == patch  # the rest is read back from the patch before
        assert own.any()
        torch.testing.assert_close(found[rows][own], expected[own], atol=1e-5, rtol=1e-5)


def test_voxels_of_one_patch_are_neighbours_on_their_curve(x: SparseTensor) -> None:
    for sequence, along in zip(serialise(x.maps, 64)[1], codes(x.coords), strict=True):
        assert (along[sequence.slots].diff(dim=1) > 0).all()


def test_every_level_is_serialised_whole(x: SparseTensor) -> None:
    for stride, curves in serialise(x.maps, 64).items():
        for sequence in curves:
            assert torch.equal(sequence.slots.flatten()[sequence.place], torch.arange(len(x.maps.coords(stride))))


def test_grid_pooling_takes_the_maximum_of_the_children(x: SparseTensor) -> None:
    pooling = Pool(x.features.shape[1], 6, 0.1).eval()
    found, parent = pooling(x), x.maps.parent(1)
    rows = parent == 5
    expected = torch.nn.functional.gelu(pooling.norm(pooling.linear(x.features[rows]).amax(0, keepdim=True)))
    assert found.stride == 2
    torch.testing.assert_close(found.features[5:6], expected)


def test_grid_unpooling_adds_the_parent_to_the_skip(x: SparseTensor) -> None:
    unpooling, coarse = Unpool(6, x.features.shape[1], 4, 0.1).eval(), torch.randn(len(x.maps.coords(2)), 6)
    found = unpooling(SparseTensor(coarse, x.maps, 2), x)
    gelu = torch.nn.functional.gelu
    own = gelu(unpooling.skip_norm(unpooling.skip_linear(x.features)))
    parent = gelu(unpooling.norm(unpooling.linear(coarse)))[x.maps.parent(1)]
    torch.testing.assert_close(found.features, own + parent)


def test_a_block_adds_position_attention_and_mlp(x: SparseTensor) -> None:
    block, features = Block(16, 2, 0.0), x.replace(torch.randn(len(x), 16))
    sequence = serialise(x.maps, 64)[1][0]
    f = features.features + block.place_norm(block.place_linear(block.place(features).features))
    f = f + block.attention(block.attention_norm(f), sequence)
    f = f + block.mlp(block.mlp_norm(f))
    torch.testing.assert_close(block(features, sequence).features, f)


def test_levels_come_coarse_to_fine_and_training_shuffles_the_curves(x: SparseTensor) -> None:
    network = PointTransformer(settings_of("fewclick", "tiny", blocks=(2,) * 8))
    levels = network.eval()(x)
    assert [level.stride for level in levels] == [8, 4, 2, 1]
    assert torch.equal(network(x)[-1].features, levels[-1].features)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.momentum = 0.0
    network.train()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(network(x)[-1].features)
    assert not torch.equal(*found)


def test_stochastic_depth_rises_to_its_highest() -> None:
    flat = [rate for level in ramp(0.3, (1, 2, 1)) for rate in level]
    assert flat == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert ramp(0.3, (1,)) == [[0.0]]


def test_dropped_branches_keep_their_mean() -> None:
    torch.manual_seed(0)
    block = Block(4, 1, 0.3).train()
    dropped = block._dropped(torch.ones(20000, 4))
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert torch.equal(block.eval()._dropped(torch.ones(3, 4)), torch.ones(3, 4))
