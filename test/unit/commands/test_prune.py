"""`iseg3d prune`: from weights and scenes to a smaller file, and sentences for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros import commands
from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import build, parameters, settings_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of a tiny network and two made table tops."""
    place = tmp_path_factory.mktemp("prune")
    checkpoint.save(place / "base.safetensors", build(settings_of("interobject3d", "tiny")), voxel={"tabletop": 0.01})
    for seed in range(2):
        write_scene(place / f"scenes/tabletop_{seed}.scene", table_top(seed))
    return place


def table_top(seed: int) -> LabelledCloud:
    """A table with one box on it."""
    rng = np.random.default_rng(seed)
    table = np.c_[rng.uniform(-0.2, 0.2, (3000, 2)), np.zeros(3000)]
    box = rng.uniform(-0.05, 0.05, (1500, 3)) + [0, 0, 0.06]
    instance = np.repeat([0, 1], [3000, 1500]).astype(np.int32)
    rgb = np.where(instance[:, None] > 0, [200, 40, 40], [90, 90, 90]).astype(np.uint8)
    xyz = np.concatenate([table, box]).astype(np.float32)
    return LabelledCloud(f"t{seed}", xyz, rgb, None, instance, ("box",), "tabletop", np.zeros(3, np.float32))


def prune(place: Path, *words: str) -> int:
    small = ["--count", "2", "--voxels", "500", "-o", str(place / "out/small.safetensors")]
    return commands.main(["prune", str(place / "base.safetensors"), "--scenes", str(place / "scenes"), *small, *words])


@pytest.mark.parametrize("size", [("--share", "0.5"), ("--parameters", "140k")])
def test_a_smaller_file_is_written(place: Path, capsys: pytest.CaptureFixture[str], size: tuple[str, str]) -> None:
    assert prune(place, *size) == 0
    whole, small = (checkpoint.load(place / name) for name in ("base.safetensors", "out/small.safetensors"))
    wanted = 140_000 if size[0] == "--parameters" else parameters(whole) / 2
    assert 0.9 < parameters(small) / wanted <= 1.0
    assert small.card["voxel"] == {"tabletop": 0.01}
    assert "criterion='taylor', compensate=True" in small.card["recipe"]["pruned"]
    assert f"{parameters(small):,} parameters of {parameters(whole):,} remain" in capsys.readouterr().out


def test_economy_is_taken_and_noted(place: Path) -> None:
    assert prune(place, "--share", "0.5", "--economy", "1.5") == 0
    assert "economy=1.5" in checkpoint.load(place / "out/small.safetensors").card["recipe"]["pruned"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--parameters", "many"), "takes a number such as 5.7M or 800k, but got 'many'"),
        (("--parameters=-3M",), "takes a number such as 5.7M"),
        (("--share", "1.5"), "between 0 and 1, but got 1.5"),
        (("--parameters", "10"), "10 parameters cannot be reached"),
        (("--parameters", "900M"), "fewer than the 900,000,000 asked for"),
        (("--share", "0.5", "--economy", "-1"), "--economy takes a number from 0 to 4, but got -1"),
        (("--share", "0.5", "--count", "0"), "needs at least one scene"),
        (("--share", "0.5", "--kinds", "room"), "No training scenes of kind room"),
        (("--share", "0.5", "--scenes", "/nowhere"), "/nowhere: is no folder"),
        (("--share", "0.5", "--out", "{place}"), "is a folder; name the file"),
        (("--share", "0.5", "--out", "{place}/base.safetensors/small"), "base.safetensors: "),
    ],
)
def test_what_cannot_be_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert prune(place, *(word.format(place=place) for word in words)) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_missing_weights_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--share", "0.5", "--scenes", str(place / "scenes"), "-o", str(place / "out/x.safetensors")]
    assert commands.main(["prune", str(place / "none.safetensors"), *words]) == 1
    assert "none.safetensors: No such file" in capsys.readouterr().err
