"""Heterogeneous pruning: dependencies, equality with the masked network, sizes, ranking."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import needs_spconv

from iseg3d_ros.benchmarks import pruning as benchmark
from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.models.e2i3d import with_hierarchy
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.pruning.cost import costs, multiplications
from iseg3d_ros.pruning.groups import heterogeneous_groups
from iseg3d_ros.pruning.importance import accumulate_gradients, importance, point_weights
from iseg3d_ros.pruning.prune import PruneConfig, forward, kept, mask, prune, shrink, surroundings
from iseg3d_ros.pruning.trace import Dependencies, dependencies
from iseg3d_ros.sparse import Maps, backend

NAMES = ("agile3d", "e2i3d", "npiseg3d", "interobject3d", "clickenhance", "fewclick")


@cache
def scene(side: int = 16) -> tuple[VoxelCloud, Prompts, torch.Tensor]:
    """A floor with two boxes on it, one click on each and one on the floor."""
    generator = torch.Generator().manual_seed(0)
    floor = torch.cartesian_prod(torch.arange(side), torch.arange(side), torch.arange(1))
    boxes = [torch.cartesian_prod(torch.arange(5), torch.arange(5), torch.arange(1, 6)) + torch.tensor([x, 4, 0])
             for x in (2, 9)]  # fmt: skip
    coords = torch.cat([floor, *boxes]).int()
    labels = torch.cat([torch.zeros(len(floor)), *(torch.full((len(b),), k + 1.0) for k, b in enumerate(boxes))]).long()
    features = torch.rand(len(coords), 11, generator=generator)
    cloud = VoxelCloud(coords, coords * 0.05 + 0.02, features, 0.05)
    clicks = Prompts(torch.tensor([len(floor) + 60, len(floor) + 185, 0]), torch.tensor([1, 2, 0]), 2)
    return cloud, clicks, labels


@cache
def network_of(name: str) -> Any:
    """A tiny network that no test changes."""
    torch.manual_seed(0)
    network = build(settings_of(name, "tiny")).eval()
    for module in network.modules():  # statistics and shifts that are not trivial
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network


@cache
def traced(name: str) -> Dependencies:
    """Its dependencies: tracing is what takes time here, so it is done once."""
    cloud, clicks, _ = scene()
    return dependencies(network_of(name), forward(network_of(name), *surroundings(cloud, clicks, 60)))


@cache
def halved(name: str) -> tuple[Any, np.ndarray]:
    """The network pruned to 55 %, and what was kept."""
    network = copy.deepcopy(network_of(name))
    config = PruneConfig(round(0.55 * parameters(network)), least=4)
    accumulate_gradients(network, [scene()], True)
    keep = kept(network, traced(name), importance(network, traced(name)), config)
    network.zero_grad()
    shrink(network, traced(name), keep)
    return network, keep


def logits(network: Any) -> torch.Tensor:
    cloud, clicks, _ = scene()
    torch.manual_seed(0)
    with torch.no_grad():
        return forward(network, cloud, clicks)()[0].logits


@pytest.mark.parametrize("name", NAMES)
def test_pruned_network_equals_the_masked_one(name: str) -> None:
    small, keep = halved(name)
    masked = copy.deepcopy(network_of(name))
    mask(masked, traced(name), keep)
    assert 0.9 < parameters(small) / (0.55 * parameters(masked)) <= 1.0
    torch.testing.assert_close(logits(small), logits(masked), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["agile3d", "e2i3d"])
def test_the_width_of_queries_and_points_is_pruned_as_well(name: str) -> None:
    small, whole = halved(name)[0], network_of(name)
    width = len(small.head.norm.weight)
    assert width < len(whole.head.norm.weight)
    attention = small.click_attentions()[-1]
    widths = [attention.background_place.shape[1], len(small.position.phases), small.project[0].out_features]
    assert {*widths, small.relation.of_point.in_features} == {width}


def test_tracing_leaves_the_network_as_it_was() -> None:
    network = copy.deepcopy(network_of("e2i3d"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cloud, clicks, _ = scene()
    dependencies(network, forward(network, *surroundings(cloud, clicks, 60)))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_eight_heads_become_fewer() -> None:
    torch.manual_seed(0)
    network = build(settings_of("agile3d", "tiny", heads=8)).eval()
    small = prune(network, [scene()], PruneConfig(round(0.4 * parameters(network)), criterion="random", least=8))
    heads = checkpoint.heads(small).values()
    assert min(heads) >= 1 and sum(heads) < 0.8 * 8 * len(heads)


def test_multiplications_are_counted() -> None:
    network, (cloud, clicks, _) = network_of("agile3d"), scene()
    spent = multiplications(network, forward(network, cloud, clicks))
    maps = Maps(torch.nn.functional.pad(cloud.coords, (1, 0)))
    name = next(n for n in spent if n.endswith("encoder.0.0.conv2"))
    _, cin, cout = network.get_submodule(name).weight.shape
    assert spent[name] == maps.submanifold(2, 3).pairs * cin * cout
    up = next(n for n in spent if n.endswith("up.3.conv"))
    _, cin, cout = network.get_submodule(up).weight.shape
    assert spent[up] == len(cloud) * cin * cout
    width = network.settings.width
    assert spent["project.0"] == len(cloud) * network.project[0].in_features * width


def test_what_a_channel_costs_is_its_part_of_the_layers_that_hold_it() -> None:
    network, found, (cloud, clicks, _) = network_of("agile3d"), traced("agile3d"), scene()
    spent = multiplications(network, forward(network, cloud, clicks))
    layer = next(s.layer for s in found.sides if s.layer.endswith("encoder.1.0.conv1") and s.side == "out")
    own = found.of(layer, "out")
    expected = (spent[layer] + spent[layer.replace("conv1", "conv2")]) / len(own)
    assert costs(network, found, forward(network, cloud, clicks))[own] == pytest.approx(expected)


def test_economy_prunes_to_the_same_size_with_less_work() -> None:
    network, (cloud, clicks, _), work = network_of("agile3d"), scene(), []
    for economy in (0.0, 2.0):
        config = PruneConfig(round(0.5 * parameters(network)), least=4, economy=economy)
        small = prune(network, [scene()], config, traced("agile3d"))
        assert 0.9 < parameters(small) / config.parameters <= 1.0
        work.append(sum(multiplications(small, forward(small, cloud, clicks)).values()))
    assert work[1] < 0.9 * work[0]


@needs_spconv
@pytest.mark.parametrize("name", NAMES)
def test_pruned_network_runs_in_both_back_ends(name: str) -> None:
    with backend("torch"):
        expected = logits(halved(name)[0])
    with backend("spconv"):
        torch.testing.assert_close(logits(halved(name)[0]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["e2i3d", "fewclick"])
def test_a_pruned_network_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    small, path = halved(name)[0], tmp_path / "small.safetensors"
    checkpoint.save(path, small, voxel={"room": 0.05})
    loaded = checkpoint.load(path)
    assert parameters(loaded) == parameters(small)
    assert checkpoint.heads(loaded) == checkpoint.heads(small) != checkpoint.heads(network_of(name))
    torch.testing.assert_close(logits(loaded), logits(small), rtol=2e-2, atol=2e-2)  # fp16


def test_stage_two_of_a_narrow_base_comes_back_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = with_hierarchy(copy.deepcopy(halved("agile3d")[0]), coarse_layers=2).eval()
    for parameter in network.attention[1].parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))  # no longer silent
    path = tmp_path / "e2i3d.safetensors"
    checkpoint.save(path, network, voxel={"room": 0.05})
    loaded = checkpoint.load(path)
    torch.testing.assert_close(logits(loaded), logits(network), rtol=2e-2, atol=2e-2)
    scales = [[m.scale for m in each.modules() if isinstance(m, Attention)] for each in (network, loaded)]
    assert scales[0] == scales[1]  # which half precision might hide
    smaller = prune(network, [scene()], PruneConfig(round(0.7 * parameters(network)), least=4))
    assert logits(smaller).isfinite().all()


@pytest.mark.parametrize("rung", [20.4, 5.7])
def test_the_papers_ladder_is_reached(rung: float, ladder: dict[str, float]) -> None:
    assert 0.97 < ladder[f"share_{rung}m"] <= 1.0


@pytest.fixture(scope="module")
def ladder() -> dict[str, float]:
    return benchmark.run(rungs=(20.4, 5.7), economies=(2.0,))


def test_economy_leaves_a_tenth_of_the_work_at_most(ladder: dict[str, float]) -> None:
    assert 0 < ladder["work_share_economy_2"] < 0.1


def test_residual_sums_and_skips_tie_their_channels() -> None:
    found = traced("agile3d")
    first = next(s.layer for s in found.sides if s.layer.endswith("encoder.0.0.conv2") and s.side == "out")
    prefix = first.removesuffix("encoder.0.0.conv2")
    up = found.of(f"{prefix}up.3.conv", "out")
    joined = found.of(f"{prefix}decoder.3.0.conv1", "in")
    assert np.array_equal(joined[: len(up)], up)  # the concatenation: first what came up …
    assert np.array_equal(joined[len(up) :], found.of(f"{prefix}stem.conv", "out"))  # … then the skip
    block = found.of(f"{prefix}decoder.3.0.conv2", "out")
    shortcut = found.of(f"{prefix}decoder.3.0.shortcut", "out")
    assert np.array_equal(block, shortcut)  # a residual sum


def test_what_comes_from_outside_or_leaves_is_fixed() -> None:
    found = traced("e2i3d")
    stem = next(s.layer for s in found.sides if s.layer.endswith("stem.conv"))
    assert found.fixed[found.of(stem, "in")].all()
    assert not found.fixed[found.of(stem, "out")].all()


def test_groups_hold_equal_topologies_only() -> None:
    found = traced("agile3d")
    groups = heterogeneous_groups(network_of("agile3d"), found)
    inner = [found.of(s.layer, "out") for s in found.sides if s.layer.endswith("conv1") and s.side == "out"]
    of = {number: topology for topology, members in groups.items() for number in members}
    assert len({of[int(n)] for structure in inner for n in structure}) == 1  # all blocks' inner channels are isomorphic
    assert len(groups) > 3


def test_point_weights_compensate_what_is_learned() -> None:
    logits = torch.tensor([[4.0, -4.0], [-1.0, 0.0], [0.0, -3.0]])
    weights = point_weights(logits, torch.tensor([0, 1, 1]))
    expected = (torch.tensor([4.0, 0.0, -3.0]).sigmoid() - 1).abs()
    torch.testing.assert_close(weights, expected / expected.mean())


def test_taylor_importance_is_the_norm_of_gradient_times_weight() -> None:
    network, found = copy.deepcopy(network_of("agile3d")), traced("agile3d")
    accumulate_gradients(network, [scene()], False)
    scores = importance(network, found)
    layer = next(s.layer for s in found.sides if s.layer.endswith("encoder.1.0.conv1"))
    prefix = layer.removesuffix("conv1")
    modules = dict(network.named_modules())

    def term(parameter: torch.Tensor, dimension: int) -> torch.Tensor:
        product = (parameter * parameter.grad).detach()
        return product.transpose(0, dimension).flatten(1).norm(dim=1) if product.dim() > 1 else product.abs()

    norm = modules[f"{prefix}norm1"]
    total = term(modules[layer].weight, 2) + term(norm.weight, 0) + term(norm.bias, 0)
    total = total + term(modules[f"{prefix}conv2"].weight, 1)
    assert scores[found.of(layer, "out")] == pytest.approx(total.numpy(), rel=1e-4)


@pytest.mark.parametrize("change", [{"criterion": "l1"}, {"criterion": "random"}, {"ranking": "uniform"}])
def test_ablations_reach_the_size(change: dict[str, Any]) -> None:
    network = network_of("agile3d")
    target = round(0.5 * parameters(network))
    small = prune(network, [scene()], PruneConfig(target, least=4, **change), traced("agile3d"))
    assert 0.9 * target < parameters(small) <= target


@pytest.mark.parametrize(("size", "words"), [(1000, "cannot be reached"), (10**9, "fewer than the 1,000,000,000")])
def test_a_size_out_of_reach_is_said(size: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prune(network_of("agile3d"), [scene()], PruneConfig(size, criterion="l1"), traced("agile3d"))


def test_a_network_that_learns_from_dialogues_is_refused_in_words() -> None:
    network = build(settings_of("e2i3d", "tiny", decoder="two_way", decoder_width=32, decoder_inner=16, heads=2))
    with pytest.raises(ValueError, match="learns from whole dialogues.*Prune its base"):
        prune(network, [scene()], PruneConfig(parameters(network) // 2))
