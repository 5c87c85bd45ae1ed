"""Fine-tuning on one's own scans: the split, the early end, the card; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from data_layouts import own

from iseg3d_ros.commands import main
from iseg3d_ros.data.parts import part_of
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.training.best import Best
from iseg3d_ros.training.state import Average

SETTINGS = ["data.min_voxels=300", "data.max_voxels=300", "data.min_points=3", "data.workers=0", "device=cpu"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Weights of a tiny AGILE3D that is not trained."""
    torch.manual_seed(0)
    path = tmp_path / "base" / "agile3d.safetensors"
    small = {"planes": (4,) * 8, "stem": 4, "width": 8, "heads": 1, "ffn": 8, "layers": 1}
    checkpoint.save(path, build(settings_of("agile3d", "tiny", **small)))
    return path


def test_own_scans_bend_weights_and_the_card_says_before_and_after(base: Path, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    place = own(scans)
    words = ["train", "--finetune", str(base), "--data", place, "--out", str(out), "--steps", "4"]
    assert main([*words, "--set", "validate_steps=2", *SETTINGS]) == 0
    card = checkpoint.read_card(out / "agile3d.safetensors")
    after = {name for name in card["metrics"] if name.startswith("own IoU@")}
    assert after and {f"before: {name}" for name in after} <= set(card["metrics"])
    assert str(base) in card["recipe"]["config"] and card["recipe"]["steps"] == 4
    assert len(part_of(place, "val")) == 1


def average_of(value: float) -> Average:
    network = torch.nn.Linear(1, 1)
    average = Average(network, 0.9)
    average.values["weight"] = torch.full((1, 1), value)
    return average


def test_a_run_ends_after_its_patience_with_its_best_weights(tmp_path: Path) -> None:
    average = average_of(0.0)
    best = Best(tmp_path, 2, average)
    for step, score in ((0, 0.5), (10, 0.7), (20, 0.6)):
        average.values["weight"].fill_(score)
        best.take(step, {"IoU@1": score})
        assert not best.over
    again = Best(tmp_path, 2, average)  # after an interruption
    again.take(20, {"IoU@1": 0.9})  # of a step that was judged before
    again.take(30, {"IoU@1": 0.65})
    assert again.over
    again.put_back()
    assert float(average.values["weight"]) == pytest.approx(0.7)
    assert again.before() == {"before: IoU@1": 0.5}


def test_nothing_is_kept_without_patience(tmp_path: Path) -> None:
    best = Best(tmp_path, 0, average_of(1.0))
    best.take(1, {"IoU@1": 0.5})
    assert not best.over and best.before() == {} and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["train"], "Name a file of settings"),
        (["train", "--finetune", "e2i3d"], "needs labelled scans"),
        (["train", "a.yaml", "--finetune", "e2i3d", "--data", "x"], "Name a file of settings"),
        (["train", "--finetune", "no_such_weights", "--data", "x"], "no weights called"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    assert sentence in capsys.readouterr().err
