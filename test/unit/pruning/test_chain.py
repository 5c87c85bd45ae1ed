"""E²I3D's chain at a tiny size: interrupted in every stage it ends as one that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from data_layouts import own
from safetensors.torch import load_file

from iseg3d_ros.commands import main
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import parameters
from iseg3d_ros.pruning import chain
from iseg3d_ros.training.config import TrainConfig, load

RECIPE = """network: agile3d
preset: tiny
options: {planes: [8, 12, 16, 16, 16, 12, 12, 12], width: 16, heads: 2, ffn: 32, layers: 1, relation: false}
steps: 4
device: cpu
validate_steps: 1000
validate_scenes: 1
data: {max_voxels: 300, min_voxels: 300, min_points: 3, workers: 0}
clicks: {rounds: 1}
prune: {parameters: 95k, scenes: 2, voxels: 300}
then: {network: e2i3d, options: {scale_layers: [1, 1]}, steps: 3}
"""


def config(folder: Path, out: Path) -> TrainConfig:
    (folder / "recipe.yaml").write_text(RECIPE)
    return load(folder / "recipe.yaml", **{"data.sources": {own(folder): 1.0}, "out": str(out)})


def test_a_chain_interrupted_in_every_stage_ends_as_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = chain.run_chain(config(tmp_path, tmp_path / "whole"))
    parts = config(tmp_path, tmp_path / "parts")
    assert chain.run_chain(parts, stop_after=2) == tmp_path / "parts" / "backbone" / "agile3d.safetensors"
    assert not (tmp_path / "parts" / "pruned_95k").exists()
    monkeypatch.setattr(chain, "prune", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain.run_chain(parts)
    monkeypatch.undo()
    monkeypatch.setattr(chain, "train", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain.run_chain(parts)  # the backbone is there: the first training that is begun is the last stage's
    assert (tmp_path / "parts" / "pruned_95k" / "agile3d.safetensors").is_file()
    monkeypatch.undo()
    last = chain.run_chain(parts)
    assert last.relative_to(tmp_path / "parts") == whole.relative_to(tmp_path / "whole")
    one, other = load_file(whole), load_file(last)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    network = checkpoint.load(last)
    assert network.settings.network == "e2i3d" and parameters(network) == pytest.approx(95_000, rel=0.05)
    monkeypatch.setattr(chain, "train", _interrupted)
    assert chain.run_chain(parts) == last  # nothing is done again
    other_size = replace(parts, prune=replace(parts.prune, parameters="105k"))
    with pytest.raises(KeyboardInterrupt):
        chain.run_chain(other_size)  # on the same backbone
    assert (tmp_path / "parts" / "pruned_105k").is_dir()


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_only_agile3d_is_grown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="A chain begins with agile3d"):
        chain.run_chain(replace(config(tmp_path, tmp_path / "out"), network="npiseg3d"))


def test_the_whole_is_not_pruned(tmp_path: Path) -> None:
    given = config(tmp_path, tmp_path / "out")
    last = chain.run_chain(replace(given, prune=replace(given.prune, parameters="")))
    base = checkpoint.load(tmp_path / "out" / "pruned_whole" / "agile3d.safetensors")
    assert parameters(base) == parameters(checkpoint.load(tmp_path / "out" / "backbone" / "agile3d.safetensors"))
    assert last.parent.name == "e2i3d_whole"


def test_a_dry_run_tells_all_stages_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config(tmp_path, tmp_path / "out")
    place = str(tmp_path)
    assert main(["train", str(tmp_path / "recipe.yaml"), "--data", place, "--out", str(tmp_path / "out"),
                 "--dry-run"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert said.count("hours       about") == 2 and "none: as in the paper" in said and "2 own (1)" in said
    assert "95k of" in said and not (tmp_path / "out").exists()
    plain = tmp_path / "plain.yaml"
    plain.write_text("network: agile3d\n")
    assert main(["train", str(plain), "--parameters", "5.7M"]) == 1
    assert "second stage" in capsys.readouterr().err
