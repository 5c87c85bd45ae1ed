"""Class names to semantic prototypes: ours, or a vocabulary of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.vocabulary import class_names
from iseg3d_ros.training.classes import UNKNOWN, prototype, prototypes
from iseg3d_ros.training.config import DataConfig, TrainConfig
from iseg3d_ros.training.start import first_network


def test_a_vocabulary_of_ones_own_decides(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("Pump, pump, motor\nValve, valve\n")
    assert prototypes(["feed pump 3", "ball valve", "chair"], str(file)).tolist() == [0, 1, UNKNOWN]
    assert prototype("office chair") == 6
    config = replace(TrainConfig("fewclick", "tiny"), data=DataConfig(vocabulary=str(file)))
    network = first_network(config)
    assert network.settings.prototypes == len(network.prototypes) == 2
    checkpoint.save(tmp_path / "own.safetensors", network, classes=["Pump", "Valve"])
    card = checkpoint.read_card(tmp_path / "own.safetensors")
    assert class_names(card, 2) == ["Pump", "Valve"]
