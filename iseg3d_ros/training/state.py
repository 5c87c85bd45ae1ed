"""The state of a run on disk: weights, averaged weights, optimiser; written atomically, resumed exactly."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass
class Progress:
    """How far a run is: optimiser steps done and seconds spent."""

    step: int = 0
    seconds: float = 0.0


class Average:
    """Exponential moving average of a network's floating-point state."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the present weights; faster in the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        state = network.state_dict()
        floating = [k for k, v in self.values.items() if v.is_floating_point()]
        torch._foreach_lerp_([self.values[k] for k in floating], [state[k] for k in floating], 1 - decay)
        for name in self.values.keys() - set(floating):
            self.values[name].copy_(state[name])


def save(path: Path, network: nn.Module, average: Average, optimiser: Optimizer, progress: Progress) -> None:
    """Write the whole state beside `path`, then put it in place: a killed run leaves the last whole file."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.values.items()}
    tensors |= _optimiser_tensors(optimiser)
    header = {"step": str(progress.step), "seconds": str(progress.seconds), "torch": torch.__version__}
    part = path.with_suffix(".part")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part, header)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


def restore(path: Path, network: nn.Module, average: Average, optimiser: Optimizer) -> Progress:
    """Read a state written by `save` into its three owners."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no whole training state ({error}). Remove it to start this run anew.") from error
    network.load_state_dict(_part(tensors, "network."))
    for name, value in _part(tensors, "average.").items():
        average.values[name].copy_(value)
    _restore_optimiser(optimiser, _part(tensors, "optimiser."))
    return Progress(int(header["step"]), float(header["seconds"]))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def _restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**whole, "state": state})


def describe(config: Any) -> str:
    """A configuration as JSON, for checkpoints and cards."""
    import dataclasses

    return json.dumps(dataclasses.asdict(config), sort_keys=True)
