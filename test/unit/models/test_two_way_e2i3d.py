"""The decoder that holds a dialogue for every object: pure, local, and the same for one object as for many."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint, two_way_e2i3d
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.layers.dialogue_scene import Memory, Voxels
from iseg3d_ros.models.layers.two_way import CrossAttention
from iseg3d_ros.models.two_way_e2i3d import TwoWayE2I3D


@pytest.fixture
def network() -> TwoWayE2I3D:
    torch.manual_seed(0)
    settings = settings_of("e2i3d", "tiny", decoder="two_way", decoder_width=32, decoder_inner=16, heads=2)
    network = build(settings).eval()
    assert isinstance(network, TwoWayE2I3D)
    return network


@pytest.fixture
def cloud(network: TwoWayE2I3D) -> VoxelCloud:
    generator = torch.Generator().manual_seed(1)
    coords = torch.unique(torch.randint(0, 24, (600, 3), generator=generator), dim=0).int()
    features = torch.rand(len(coords), network.settings.in_channels, generator=generator)
    return VoxelCloud(coords, coords.float() * 0.05, features, 0.05)


def clicks(*given: tuple[int, int]) -> Prompts:
    voxel, label = torch.tensor(given).T
    return Prompts(voxel, label, int(label.max()))


def logits(network: TwoWayE2I3D, cloud: VoxelCloud, *given: tuple[int, int]) -> Tensor:
    with torch.inference_mode():
        return network.decode(network.encode([cloud]), [clicks(*given)])[0].logits


def test_masks_depend_on_the_clicks_alone_and_not_on_what_was_asked_before(
    network: TwoWayE2I3D, cloud: VoxelCloud
) -> None:
    given = [(3, 1), (50, 0), (120, 2), (7, 1)]
    with torch.inference_mode():
        encoded = network.encode([cloud])
        for count in (1, 3, 2, 4):
            kept = network.decode(encoded, [clicks(*given[:count])])[0].logits
            assert torch.equal(kept, logits(network, cloud, *given[:count]))


def test_a_click_that_concerns_another_object_changes_nothing_of_this_one(
    network: TwoWayE2I3D, cloud: VoxelCloud
) -> None:
    one = logits(network, cloud, (3, 1), (120, 2))
    outside = int((one[:, 1] < 0).nonzero()[-1, 0])
    both = logits(network, cloud, (3, 1), (120, 2), (outside, 2))
    assert torch.equal(both[:, 1], one[:, 1])
    assert not torch.equal(both[:, 2], one[:, 2])


def test_a_click_on_the_background_corrects_the_mask_that_it_hits(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    with torch.no_grad():
        network.bias.fill_(30.0)  # every mask holds everything
    one = logits(network, cloud, (3, 1))
    corrected = logits(network, cloud, (3, 1), (200, 0))
    assert not torch.equal(one[:, 1], corrected[:, 1])


def test_clouds_encoded_together_are_as_alone(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    half = VoxelCloud(cloud.coords[:300], cloud.points[:300], cloud.features[:300], cloud.size)
    with torch.inference_mode():
        together = network.decode(network.encode([half, cloud]), [clicks((3, 1)), clicks((9, 1))])
    for prediction, alone, voxel in zip(together, (half, cloud), (3, 9), strict=True):
        assert torch.allclose(prediction.logits, logits(network, alone, (voxel, 1)), atol=1e-4)


def test_a_part_of_the_voxels_keeps_their_coarse_ones(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    voxels = network.encode([cloud]).clouds[0].voxels
    rows = torch.arange(0, len(cloud), 3)
    part = voxels.only(rows)
    assert torch.equal(part.coarse[part.parent], voxels.coarse[voxels.parent[rows]])
    assert part.pooled(torch.ones(1, len(rows))).allclose(torch.ones(1, len(part.coarse)))


def test_every_parameter_gets_a_gradient(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    voxels = network.encode([cloud]).clouds[0].voxels
    first = torch.tensor([[5], [40]])
    start = network.start(voxels, first[:, 0])
    before = network.masks(start, voxels, first, torch.ones_like(first), None)[-1].detach()
    second, sign = torch.tensor([[5, 9], [40, 3]]), torch.tensor([[1, 0], [1, 1]])
    middle, final = network.masks(start, voxels, second, sign, before)
    (middle.sum() + (final**2).sum()).backward()
    # A key's constant part cannot matter: softmax takes it out.
    lacking = {name for name, p in network.named_parameters() if p.grad is None and not name.endswith("key.bias")}
    assert not lacking


def test_the_file_gives_the_same_network_back(network: TwoWayE2I3D, cloud: VoxelCloud, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "e2i3d.safetensors", network)
    again = checkpoint.load(tmp_path / "e2i3d.safetensors")
    assert isinstance(again, TwoWayE2I3D)
    assert torch.allclose(logits(again, cloud, (3, 1)), logits(network.float(), cloud, (3, 1)), atol=0.1)


def test_attention_folded_into_the_tokens_is_plain_attention() -> None:
    torch.manual_seed(0)
    attention, tokens, voxels = CrossAttention(12, 8, 2), torch.randn(3, 4, 12), torch.randn(3, 50, 12)
    bias = torch.randn(3, 2, 4, 50)
    folded = attention.tokens_to_voxels(tokens, voxels, bias.transpose(1, 2))
    assert torch.allclose(folded, plain(attention, tokens, voxels, voxels, bias), atol=1e-5)
    back = attention.voxels_to_tokens(tokens, tokens + 1, bias.transpose(1, 2))(voxels, slice(None))
    assert torch.allclose(back, plain(attention, voxels, tokens, tokens + 1, bias.transpose(2, 3)), atol=1e-5)


def plain(attention: CrossAttention, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    projected = attention.query(queries), attention.key(keys), attention.value(values)
    q, k, v = (x.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for x in projected)
    out: Tensor = torch.nn.functional.scaled_dot_product_attention(q, k, v, bias, scale=attention.scale)
    return attention.out(out.transpose(1, 2).flatten(2))


def test_memory_forgets_the_least_recently_used() -> None:
    memory = Memory(limit=3 * 4)
    for name in "abc":
        memory.keep(name, torch.zeros(1))
    assert memory.get("a") is not None
    memory.keep("d", torch.zeros(1))
    assert memory.get("b") is None
    assert memory.get("a") is not None


def test_a_mask_goes_on_from_carried_labels_in_one_pass(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    given = clicks((3, 1), (50, 2), (7, 1))
    carried = torch.zeros(len(cloud), dtype=torch.int64)
    carried[:40] = 1
    with torch.inference_mode():
        encoded = network.encode([cloud])
        resumed = network.resume(encoded, [given], [carried])[0].logits
        anew = network.decode(encoded, [given])[0].logits
    assert resumed.shape == anew.shape
    assert not torch.equal(resumed[:, 1], anew[:, 1])
    assert torch.equal(resumed[:, 2], logits(network, cloud, (50, 2))[:, 2])  # nothing of it was carried


def test_without_carried_labels_going_on_is_beginning(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    given = clicks((3, 1), (50, 0))
    with torch.inference_mode():
        encoded = network.encode([cloud])
        nothing = torch.zeros(len(cloud), dtype=torch.int64)
        resumed, anew = network.resume(encoded, [given], [nothing])[0], network.decode(encoded, [given])[0]
    assert torch.equal(resumed.logits, anew.logits)


def test_in_large_clouds_a_cpu_looks_closer_only_where_the_coarse_scale_is_in_doubt(
    network: TwoWayE2I3D, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every coarse voxel in doubt the masks are those of a pass over all; with some, those voxels' are."""
    generator = torch.Generator().manual_seed(2)
    coords = torch.unique(torch.randint(0, 40, (9000, 3), generator=generator), dim=0).int()
    features = torch.rand(len(coords), network.settings.in_channels, generator=generator)
    large = VoxelCloud(coords, coords.float() * 0.05, features, 0.05)
    given = (3, 1), (500, 0), (4000, 2), (77, 1)
    monkeypatch.setattr(two_way_e2i3d, "MANY", 1 << 30)
    everywhere, first = logits(network, large, *given), logits(network, large, given[0])
    monkeypatch.setattr(two_way_e2i3d, "MANY", 1)
    monkeypatch.setattr(two_way_e2i3d, "DOUBTFUL", -1e9)
    assert torch.allclose(logits(network, large, *given), everywhere, atol=1e-4)
    monkeypatch.setattr(two_way_e2i3d, "DOUBTFUL", 1e9)  # of a first click only what was clicked is in doubt
    seen, closer = [0], Voxels.at

    def counted(voxels: Voxels, rows: Tensor) -> Voxels:
        seen.append(len(rows))
        return closer(voxels, rows)

    monkeypatch.setattr(Voxels, "at", counted)
    assert not torch.allclose(logits(network, large, given[0]), first, atol=1e-2)
    assert 0 < max(seen) <= 8
    # A mask that is carried on is looked at where it is, not everywhere.
    carried = torch.zeros(len(large), dtype=torch.int64)
    carried[:50], seen[:] = 1, [0]
    with torch.inference_mode():
        network.resume(network.encode([large]), [clicks((3, 1))], [carried])
    assert 50 <= max(seen) <= 50 * 8


def test_voxels_under_all_coarse_ones(network: TwoWayE2I3D, cloud: VoxelCloud) -> None:
    voxels = network.encode([cloud]).clouds[0].voxels
    rows = torch.tensor([7, 3, 90])
    some = voxels.at(rows)
    assert torch.equal(some.fine, voxels.fine[rows]) and some.coarse is voxels.coarse
    assert torch.equal(some.parent, voxels.parent[rows])
