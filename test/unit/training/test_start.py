"""The network that a run begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.sparse import Maps, SparseTensor, sparse_batch
from iseg3d_ros.training.config import TrainConfig, load
from iseg3d_ros.training.start import first_network, with_looks

ROOT = Path(__file__).parents[3]
WEIGHTS, RECIPES = ROOT / "weights/e2i3d.safetensors", ROOT / "config/train/paper"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Weights of an AGILE3D that is not trained."""
    torch.manual_seed(1)
    path = tmp_path / "base.safetensors"
    checkpoint.save(path, build(settings_of("agile3d", "tiny")), voxel={"room": 0.05}, recipe={})
    return path


def config(base: Path | str, **changes: object) -> TrainConfig:
    return replace(TrainConfig("e2i3d", "tiny", start=str(base)), **changes)  # type: ignore[arg-type]


def test_a_grown_network_keeps_what_its_base_has_learned(base: Path) -> None:
    """The second stage begins where the first has ended: the coarse scale adds nothing to the sums yet."""
    grown = first_network(config(base, options={"scale_layers": (1, 2)})).eval()
    assert grown.settings.network == "e2i3d" and len(grown.attention) == 2
    before, after = checkpoint.load(base).eval(), dict(grown.named_parameters())
    assert all(torch.equal(value, after[name]) for name, value in before.named_parameters())
    coords = torch.cartesian_prod(torch.arange(12), torch.arange(12), torch.arange(2)).int()
    cloud = VoxelCloud(coords, coords * 0.05, torch.rand(len(coords), 11), 0.05)
    with torch.no_grad():
        (one,), (two,) = (network.encode([cloud]).clouds for network in (before, grown))
        torch.testing.assert_close(one.scales[0].features, two.scales[0].features)
        scale, attention = two.scales[1], grown.attention[1]
        clicks = Prompts(torch.tensor([3]), torch.tensor([1]), 1)
        tokens = attention.tokens(scale, two.scales[0].position[clicks.voxel], clicks)
        scene, queries, _ = attention(scale, tokens, grown.head, 0.0, None, True)
    assert float(scene.abs().max()) == 0.0 == float(queries.abs().max())


def test_a_start_is_refused_where_it_does_not_fit(base: Path) -> None:
    with pytest.raises(ValueError, match=r"options can only add .*: leave out relation"):
        first_network(config(base, options={"relation": False}))
    with pytest.raises(ValueError, match="agile3d cannot compare looks: leave out options.looks"):
        first_network(config(base, options={"looks": True}))
    with pytest.raises(ValueError, match="holds agile3d, not npiseg3d"):
        first_network(config(base, network="npiseg3d"))


def test_without_a_start_the_seed_decides() -> None:
    one, two, other = (first_network(config("", seed=seed)).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_u_net_of_other_weights_is_taken_over_as_it_was_pruned() -> None:
    """The default's U-Net, which is narrower after pruning, gives the same features inside a wider one."""
    torch.manual_seed(3)
    given = checkpoint.load(WEIGHTS).eval()
    options = {name: getattr(given.settings, name) for name in ("planes", "blocks", "stem", "features")}
    network = first_network(TrainConfig("agile3d", "small", options, backbone=str(WEIGHTS))).eval()
    coords = torch.cartesian_prod(torch.arange(20), torch.arange(20), torch.arange(3)).int()
    x = SparseTensor(torch.rand(len(coords), 11), Maps(sparse_batch([coords])))
    with torch.no_grad():
        for own, theirs in zip(network.backbone(x), given.backbone(x), strict=True):
            assert own.features.shape[1] >= theirs.features.shape[1]
            torch.testing.assert_close(own.features[:, : theirs.features.shape[1]], theirs.features)


def test_networks_whose_input_holds_the_clicks_take_it_over_too() -> None:
    network = first_network(load(RECIPES / "interobject3d_cpu.yaml", backbone=str(WEIGHTS)))
    given = checkpoint.load(WEIGHTS).backbone.stem.conv.weight
    torch.testing.assert_close(network.unet.scene.weight[..., : given.shape[2]], given)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"start": "x"}, "set one of them"), ({"preset": "tiny"}, "give options its planes")],
)
def test_a_u_net_that_does_not_fit_is_named(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        first_network(replace(TrainConfig("agile3d", "small", backbone=str(WEIGHTS)), **changes))  # type: ignore[arg-type]


def test_weights_that_do_not_compare_looks_go_on_as_ones_that_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"decoder": "two_way", "decoder_width": 32, "decoder_inner": 16, "heads": 2}
    without = build(settings_of("e2i3d", "tiny", looks=False, **small)).eval()
    grown = with_looks(without)
    coords = torch.cartesian_prod(torch.arange(12), torch.arange(12), torch.arange(2)).int()
    cloud = VoxelCloud(coords, coords * 0.05, torch.rand(len(coords), without.settings.in_channels), 0.05)
    given = Prompts(torch.tensor([3, 50, 120]), torch.tensor([1, 0, 2]), 2)
    with torch.inference_mode():
        before, after = (network.decode(network.encode([cloud]), [given])[0] for network in (without, grown))
    assert torch.equal(before.logits, after.logits)
    checkpoint.save(tmp_path / "grown.safetensors", grown)
    assert checkpoint.load(tmp_path / "grown.safetensors").settings.looks
    assert with_looks(grown) is grown
    with pytest.raises(ValueError, match="agile3d cannot compare looks"):
        with_looks(build(settings_of("agile3d", "tiny")))
    with pytest.raises(ValueError, match="without the features normal, rgb"):
        settings_of("e2i3d", "tiny", decoder="two_way", features=("has_colour", "one"))
