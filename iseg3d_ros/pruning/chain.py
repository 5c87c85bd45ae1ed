"""E²I3D from nothing in one command: train the backbone with AGILE3D's decoder, prune it, add HCA, fine-tune (Fig. 2).

    iseg3d train config/train/paper/e2i3d.yaml --parameters 13.0M

Every stage leaves a file in its own folder below the run's: what is there is not made again, and a stage that was
interrupted goes on where it stopped. The backbone is shared by all sizes.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import parameters
from iseg3d_ros.models.e2i3d import with_hierarchy
from iseg3d_ros.pruning.calibrate import calibration_of
from iseg3d_ros.pruning.prune import PruneConfig, count_of, dependencies_of, prune
from iseg3d_ros.training.config import TrainConfig, followed_by
from iseg3d_ros.training.loop import train
from iseg3d_ros.training.outlook import outlook
from iseg3d_ros.training.sources import in_steps
from iseg3d_ros.training.start import first_network

LADDER = ("40.5M", "36.9M", "32.8M", "28.0M", "24.2M", "20.4M", "16.4M", "13.0M", "8.6M", "5.7M")  # Tabs. 1 and 2
WHOLE = "whole"  # the size without pruning
CLOSE = 0.01  # of the wanted parameters: near enough


def run_chain(config: TrainConfig, *, stop_after: int | None = None) -> Path:
    """All stages; `stop_after` ends the first training at this step. Gives the last file of weights."""
    if config.network != "agile3d":
        raise ValueError(f"A chain begins with agile3d, to which E2I3D's attention is added, not with "
                         f"{config.network}: leave `then` out.")  # fmt: skip
    out = Path(config.out)
    first = in_steps(replace(config, out=str(out / "backbone"), then={}))
    backbone = out / "backbone" / f"{config.network}.safetensors"
    if not _finished(backbone, first):
        _say(f"stage 1: {config.network}, {first.steps} steps, in {first.out}")
        train(first, stop_after=stop_after)
        if stop_after is not None and stop_after < first.steps:
            return backbone
    size = config.prune.parameters or WHOLE
    pruned = out / f"pruned_{size}" / backbone.name
    if not pruned.is_file():
        _say(f"stage 2: pruning to {size}, in {pruned.parent}")
        _prune(backbone, pruned, config)
    second = followed_by(config)
    second = in_steps(replace(second, out=str(out / f"{second.network}_{size}"), start=str(pruned)))
    last = Path(second.out) / f"{second.network}.safetensors"
    if not _finished(last, second):
        _say(f"stage 3: {second.network}, {second.steps} steps, in {second.out}")
        train(second)
    return last


def _prune(backbone: Path, target: Path, config: TrainConfig) -> None:
    network: Any = checkpoint.load(backbone)
    layers = _coarse_layers(config)
    size = config.prune.parameters
    wanted = 2 * parameters(network) if size in ("", WHOLE) else count_of(size)
    small = pruned_to(network, wanted, layers, config)
    recipe = {**network.card.get("recipe", {}), "pruned": f"from {parameters(network):,} to {parameters(small):,}"}
    checkpoint.save(target, small, voxel=network.card.get("voxel"), recipe=recipe)


def pruned_to(network: Any, wanted: int, coarse_layers: int, config: TrainConfig) -> Any:
    """The network with so few parameters that there are about `wanted` once the coarse scale is added."""
    goal = wanted - _added(network, coarse_layers)
    if goal >= parameters(network):
        return network
    stage = config.prune
    scenes = calibration_of(network, config.data, stage.scenes, stage.voxels, config.seed)
    found = dependencies_of(network, scenes)
    small = network
    for _ in range(3):  # what is added is as wide as what pruning leaves
        small = prune(network, scenes, PruneConfig(goal, seed=config.seed), found)
        off = wanted - parameters(small) - _added(small, coarse_layers)
        if abs(off) <= CLOSE * wanted:
            break
        goal = min(goal + off, parameters(network))
    return small


def _added(network: Any, coarse_layers: int) -> int:
    """Parameters of the coarse scale's attention."""
    return parameters(with_hierarchy(copy.deepcopy(network), coarse_layers)) - parameters(network)


def _coarse_layers(config: TrainConfig) -> int:
    layers: int = config.then.get("options", {}).get("scale_layers", (1, 4))[-1]
    return layers


def chain_outlook(config: TrainConfig) -> Iterator[str]:
    """What the stages would be; the last one's hours are those of the unpruned network."""
    base: Any = first_network(replace(config, then={}))
    yield "stage 1: the backbone with AGILE3D's decoder"
    yield from outlook(replace(config, then={}), base)
    whole = parameters(with_hierarchy(copy.deepcopy(base), _coarse_layers(config)))
    size = config.prune.parameters or WHOLE
    yield f"stage 2: pruned so that {size} of {whole:,} parameters remain; the paper's sizes are {', '.join(LADDER)}"
    yield "stage 3: with hierarchical click-aware attention, all fine-tuned"
    second = followed_by(config)
    yield from outlook(second, with_hierarchy(base, _coarse_layers(config)))


def _finished(weights: Path, config: TrainConfig) -> bool:
    """Whether a run has done its last step, or its time, by what its file says."""
    if not weights.is_file():
        return False
    recipe = checkpoint.read_card(weights).get("recipe", {})
    by_clock = bool(config.max_seconds) and float(recipe.get("seconds", 0)) + 1 >= config.max_seconds
    return by_clock or int(recipe.get("steps", 0)) >= config.steps


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
