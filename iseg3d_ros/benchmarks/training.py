"""How fast training is: steps a second, and how its time divides between the network and the data.

`steps_per_second` and its companions are of the yardstick's kind: a bare U-Net of 2 M parameters (InterObject3D), one
object a step, up to two corrective rounds; those that end in `_e2i3d` are of E2I3D at that size with all objects of a
crop at once, as its recipes train it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.models.build import build, parameters, settings_of
from iseg3d_ros.training.config import AugmentConfig, ClickConfig, DataConfig, OptimiserConfig
from iseg3d_ros.training.samples import Crops, TrainingSample
from iseg3d_ros.training.schedule import make_optimiser
from iseg3d_ros.training.step import Step

# About 2 M parameters, the size of the yardstick: a U-Net that did 3.5 steps a second on two cores of another machine
SHAPE: dict[str, Any] = {"stem": 16, "blocks": (1, 1, 2, 3, 1, 1, 1, 1)}
PLANES = {"interobject3d": (24, 32, 56, 80, 64, 48, 32, 32), "e2i3d": (24, 32, 48, 64, 56, 48, 32, 32)}


def run(
    scenes: str = "", voxels: int = 9000, steps: int = 40, rounds: int = 2, device: str = "cpu"
) -> dict[str, float]:
    """Steps a second at about 2 M parameters on crops of 9k voxels, batch 1, and the shares of its time."""
    with tempfile.TemporaryDirectory() as made:
        data = replace(DataConfig(), scenes=(scenes or _made(Path(made)),), mixture={"tabletop": 1.0})
        data = replace(data, min_voxels=voxels, max_voxels=voxels)
        figures = measured("interobject3d", replace(data, max_objects=1), steps, rounds, device)
        ours = measured("e2i3d", data, steps, rounds, device)
    return figures | {f"{name}_e2i3d": value for name, value in ours.items()}


def measured(network: str, data: DataConfig, steps: int, rounds: int, device: str) -> dict[str, float]:
    """The figures of one network."""
    torch.manual_seed(0)
    settings = settings_of(network, "small", planes=PLANES[network], **SHAPE)
    learner = build(settings).to(device).train()
    step, optimiser = Step(learner, ClickConfig(rounds=rounds)), make_optimiser(learner, OptimiserConfig())
    crops = Crops(data, AugmentConfig(), settings.features, 0, 1, steps + 2)
    rows = list(_timed(crops, step, optimiser, device))[2:]
    waited, forward, backward, found = (statistics.median(row[k] for row in rows) for k in range(4))
    total = max(waited, forward + backward) if device == "cuda" else forward + backward
    return {
        "parameters": float(parameters(learner)),
        "voxels": found,
        "steps_per_second": 1 / total,
        "objects_per_second": statistics.fmean(row[4] for row in rows) / total,
        "data_seconds": waited,
        "forward_share": forward / (waited + forward + backward),
        "backward_share": backward / (waited + forward + backward),
        "data_share": waited / (waited + forward + backward),
    }


def _timed(crops: Crops, step: Step, optimiser: torch.optim.Optimizer, device: str) -> Iterator[tuple[float, ...]]:
    """Seconds of data, forward (with the simulated user), backward (with the optimiser); voxels and objects: a step."""
    for index in range(len(crops)):
        marks = [time.perf_counter()]
        batch: list[TrainingSample] = [sample.to(device) for sample in crops[index]]
        marks.append(_now(device))
        losses = step(batch, index, [index])
        marks.append(_now(device))
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        optimiser.step()
        marks.append(_now(device))
        sizes = float(len(batch[0].labels)), float(batch[0].objects)
        yield *(float(b - a) for a, b in zip(marks, marks[1:], strict=False)), *sizes


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def _made(folder: Path) -> str:
    """A floor of boxes, dense enough to fill the crops at table-top resolution."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-1, 1, (60000, 2)), rng.normal(0, 0.001, 60000)]
    parts, instance = [floor], [np.zeros(len(floor), np.int32)]
    for k in range(12):
        box = rng.uniform(0, 1, (6000, 3))
        face = rng.integers(0, 3, 6000)
        box[np.arange(6000), face] = np.round(box[np.arange(6000), face])
        parts.append(box * rng.uniform(0.08, 0.3, 3) + [*rng.uniform(-0.9, 0.7, 2), 0])
        instance.append(np.full(6000, k + 1, np.int32))
    xyz = np.concatenate(parts).astype(np.float32)
    rgb = rng.integers(0, 255, (len(xyz), 3)).astype(np.uint8)
    classes = tuple("box" for _ in range(12))
    cloud = LabelledCloud(
        "boxes", xyz, rgb, None, np.concatenate(instance), classes, "tabletop", np.zeros(3, np.float32)
    )
    write_scene(folder / "boxes.scene", cloud)
    return str(folder)
