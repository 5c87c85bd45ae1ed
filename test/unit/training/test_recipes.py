"""The papers' recipes: they load, are pure, say where their numbers come from; schedules and first clicks by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.training.config import ClickConfig, OptimiserConfig, TrainConfig, followed_by, load
from iseg3d_ros.training.random_clicks import farthest, several
from iseg3d_ros.training.schedule import learning_rate, make_optimiser

RECIPES = Path(__file__).resolve().parents[3] / "config" / "train" / "paper"
NAMES = ("interobject3d", "agile3d", "e2i3d", "clickenhance", "npiseg3d", "fewclick")
MILLIONS = {"interobject3d": 37.9, "agile3d": 39.3, "npiseg3d": 40.0, "fewclick": 32.1}  # E²I3D's Tab. 1, NPISeg3D's 11


@pytest.mark.parametrize("name", [name + end for name in NAMES for end in ("", "_cpu")])
def test_a_recipe_is_the_paper_s_and_nothing_of_ours(name: str) -> None:
    config = load(RECIPES / f"{name}.yaml")
    for each in [config, *([followed_by(config)] if config.then else [])]:
        settings = settings_of(each.network, each.preset, **each.options)
        assert not each.start
        assert not getattr(settings, "relation", False)
        assert not getattr(settings, "fades", ())
        assert getattr(settings, "cubes", (1.0,)) == (1.0,)
        with torch.device("meta"):
            count = parameters(build(settings))
        if each.network in MILLIONS and not name.endswith("_cpu"):
            assert count / 1e6 == pytest.approx(MILLIONS[each.network], abs=0.06)
        assert name.endswith("_cpu") == (count < 4e6) or each is not config  # a second run's sizes are the first's


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_recipe_has_its_source_beside_it(name: str) -> None:
    sources = ("Sec.", "Tab.", "Eq.", "code", "silent", "Impl.", "Implementation", "abstract", "other settings")
    comment = ""
    for line in (RECIPES / f"{name}.yaml").read_text().splitlines():
        before, _, own = line.partition("#")
        comment = own if own else comment
        if re.search(r"(?<![a-z])\d", before.partition(":")[2]) and "sources:" not in before:
            assert any(word in comment for word in sources), line


def test_a_base_is_changed_and_its_places_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("steps: 5\ndata: {workers: 3, sources: {a: 1.0}}\noptions: {width: 8}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\ndata: {sources: {b: 2.0}}\noptions: {heads: 2}\n")
    config = load(tmp_path / "b.yaml", **{"data.max_voxels": 7})
    assert config.steps == 5 and config.data.workers == 3 and config.data.max_voxels == 7
    assert config.data.sources == {"b": 2.0} and config.options == {"width": 8, "heads": 2}


def test_the_second_run_of_a_chain_inherits_all_but_the_network() -> None:
    config = load(RECIPES / "e2i3d.yaml")
    second = followed_by(config)
    assert (second.network, second.options) == ("e2i3d", {"scale_layers": (3, 2)}) and not second.then
    assert second.clicks == config.clicks and second.optimiser == config.optimiser and second.data == config.data
    assert yaml.safe_load((RECIPES / "e2i3d.yaml").read_text())["base"] == "agile3d.yaml"


def test_schedules_are_those_of_the_papers() -> None:
    step = OptimiserConfig(learning_rate=1.0, schedule="step", drop_at=0.9)
    assert [learning_rate(done, step) for done in (0, 0.89, 0.9, 1)] == [1, 1, 0.1, 0.1]
    assert learning_rate(0.7, OptimiserConfig(learning_rate=3.0, schedule="constant")) == 3
    config = OptimiserConfig(learning_rate=0.5, schedule="onecycle", final_division=100)
    network, total = torch.nn.Linear(1, 1), 1000
    optimiser = torch.optim.SGD(network.parameters(), 0.5)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.5, total, final_div_factor=100)
    for k in range(total):
        assert learning_rate(k / (total - 1), config) == pytest.approx(optimiser.param_groups[0]["lr"], rel=0.02)
        optimiser.step()
        if k < total - 1:
            theirs.step()
    with pytest.raises(ValueError, match="schedule must be"):
        learning_rate(0, OptimiserConfig(schedule="linear"))


def test_vectors_are_decayed_only_where_the_settings_say_so() -> None:
    network = torch.nn.Linear(2, 2)
    for decayed in (False, True):
        config = OptimiserConfig(name="adam", weight_decay=0.1, decay_vectors=decayed)
        groups = make_optimiser(network, config).param_groups
        assert {group["weight_decay"] for group in groups} == ({0.1} if decayed else {0.1, 0.0})


def test_several_first_clicks_lie_where_their_labels_are() -> None:
    labels = torch.tensor([0] * 20 + [1] * 10 + [2] * 10)
    coords = torch.arange(40)[:, None].expand(40, 3)
    first = Prompts(torch.tensor([25, 35]), torch.tensor([1, 2]), 2)
    generator, counts = torch.Generator().manual_seed(0), []
    config = ClickConfig(first_clicks=3, background_clicks=5)
    for _ in range(50):
        clicks = several(coords, labels, first, config, generator)
        assert torch.equal(labels[clicks.voxel], clicks.label) and torch.equal(clicks.voxel[:2], first.voxel)
        counts.append([int((clicks.label == k).sum()) for k in range(3)])
    low, high = torch.tensor(counts).amin(0).tolist(), torch.tensor(counts).amax(0).tolist()
    assert low == [1, 1, 1] and high == [5, 3, 3]


def test_farthest_points_spread() -> None:
    line = torch.arange(11.0)[:, None].expand(11, 3)
    assert farthest(line, line[:1], 3).tolist() == [10, 5, 2]
    assert farthest(line, line[:1], 0).tolist() == [] and len(farthest(line[:2], line[:1], 5)) == 2


def test_a_config_without_a_chain_has_none() -> None:
    assert TrainConfig().then == {} and TrainConfig().prune.parameters == ""
