"""Fine-tuning of trained weights on one's own labelled scans: an hour at most, ended earlier where nothing improves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iseg3d_ros.models.checkpoint import read_card
from iseg3d_ros.predictor import weights_file
from iseg3d_ros.training.config import TrainConfig, configured


def finetuning(weights: str, **changes: Any) -> TrainConfig:
    """The run's settings; `changes` are as those of `training.config.load`.

    Batches are small and the rate is a tenth of a training's: the weights are to be bent, not made anew. A validation
    on the scans that are kept from training comes first, and then every 100 steps; five without a better one end it.
    """
    file = weights_file(weights)
    card = read_card(file)
    values: dict[str, Any] = {
        "network": card["network"], "preset": card["preset"], "start": str(file),
        "out": f"runs/finetuned_{Path(file).stem}", "steps": 3000, "max_seconds": 3600.0, "patience": 5,
        "validate_steps": 100, "validate_scenes": 12,
        "data": {"min_voxels": 4000, "max_voxels": 16000, "min_points": 8, "workers": 1},
        "optimiser": {"learning_rate": 2e-4, "warm_up": 0.03, "ema": 0.99, "backbone_rate": 0.5},
    }  # fmt: skip
    return configured(values, "--finetune", **changes)
