"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.two_way_e2i3d import TwoWayE2I3D
from iseg3d_ros.training import distributed, state
from iseg3d_ros.training.best import Best
from iseg3d_ros.training.classes import words
from iseg3d_ros.training.config import TrainConfig
from iseg3d_ros.training.dialogues import DialogueStep
from iseg3d_ros.training.log import Log
from iseg3d_ros.training.samples import Crops, TrainingSample
from iseg3d_ros.training.schedule import learning_rate, make_optimiser
from iseg3d_ros.training.sources import in_steps
from iseg3d_ros.training.start import first_network
from iseg3d_ros.training.step import Step
from iseg3d_ros.training.validate import validate

SEED_STRIDE = 1_000_003  # spreads the seeds of neighbouring runs


def train(config: TrainConfig, *, stop_after: int | None = None) -> Path:
    """Train one network, resuming where an earlier call stopped; gives the file of averaged weights."""
    world = distributed.join()
    weights = _trained(in_steps(config), world, stop_after)
    distributed.leave()
    return weights


def _trained(config: TrainConfig, world: distributed.World, stop_after: int | None) -> Path:
    """The loop itself; what holds on to the group goes with it, before the group is left (see `leave`)."""
    device = device_of(config, world)
    network = first_network(config).to(device)
    average = state.Average(network, config.optimiser.ema)
    optimiser = make_optimiser(network, config.optimiser)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    progress = state.Progress()
    if (out / "state.safetensors").exists():
        progress = state.restore(out / "state.safetensors", network, average, optimiser)
    step = _parallel(step_of(network, config), world, device)
    log = Log(out, config) if world.first else None
    best = Best(out, config.patience, average)
    if log and config.patience and not best.scores:
        best.take(0, _validated(config, network, average, device))
    started, saved = time.monotonic() - progress.seconds, time.monotonic()
    last = min(config.steps, stop_after or config.steps)
    for batch in _batches(config, network, progress.step, world):
        if progress.step >= last or _done(config, progress) >= 1 or best.over:
            break
        rate = learning_rate(_done(config, progress), config.optimiser)
        if hasattr(network, "progress"):  # NPISeg3D's KL weight grows with it
            network.progress = _done(config, progress)
        waited = time.monotonic()
        losses = _optimise(step, optimiser, batch, rate, config, progress.step, world, device)
        average.update(network, progress.step)
        progress.step, progress.seconds = progress.step + 1, _agreed(time.monotonic() - started, world, device)
        if log:
            log.step(progress, losses, rate, time.monotonic() - waited)
            if time.monotonic() - saved > config.save_seconds:
                state.save(out / "state.safetensors", network, average, optimiser, progress)
                saved = time.monotonic()
            if progress.step % config.validate_steps == 0:
                figures = _validated(config, network, average, device)
                log.validation(progress, figures)
                best.take(progress.step, figures)
    if log:
        state.save(out / "state.safetensors", network, average, optimiser, progress)
        best.put_back()
        _export(config, network, average, progress, _validated(config, network, average, device), log, best)
    return out / f"{config.network}.safetensors"


def device_of(config: TrainConfig, world: distributed.World) -> torch.device:
    """The device that the settings name."""
    name = config.device if config.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError("device is cuda, but torch sees no GPU here. Set device: cpu, or install a CUDA build.")
    return torch.device("cuda", world.local) if name == "cuda" else torch.device(name)


def step_of(network: nn.Module, config: TrainConfig) -> nn.Module:
    """The losses of a batch, as the network wants to be trained."""
    if isinstance(network, TwoWayE2I3D):
        return DialogueStep(network, config.dialogues)
    return Step(network, config.clicks)


def _parallel(step: nn.Module, world: distributed.World, device: torch.device) -> nn.Module:
    if world.size == 1:
        return step
    distributed.synced(step.network)  # type: ignore[arg-type]
    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(step, devices, find_unused_parameters=True, broadcast_buffers=False)


def _batches(
    config: TrainConfig, network: Any, first: int, world: distributed.World
) -> Iterator[list[list[TrainingSample]]]:
    """For each optimiser step its batches, one for each accumulation."""
    if config.data.workers:  # a batch is many small tensors, and a descriptor each is more than a process may hold
        torch.multiprocessing.set_sharing_strategy("file_system")
    count, names = config.optimiser.accumulate, network.settings.features
    crops = Crops(
        config.data, config.augment, names, config.seed, config.batch, config.steps * count, world.rank, world.size
    )
    loader: Any = DataLoader(
        Subset(crops, range(first * count, len(crops))), batch_size=count, num_workers=config.data.workers,
        collate_fn=list, prefetch_factor=4 if config.data.workers else None, worker_init_fn=_one_thread,
    )  # fmt: skip
    return iter(loader)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _done(config: TrainConfig, progress: state.Progress) -> float:
    """The share of the run that is done: by steps, or by the clock where that ends first."""
    by_clock = progress.seconds / config.max_seconds if config.max_seconds else 0.0
    return max(progress.step / config.steps, by_clock)


def _optimise(
    step: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: list[list[TrainingSample]],
    rate: float,
    config: TrainConfig,
    number: int,
    world: distributed.World,
    device: torch.device,
) -> dict[str, Tensor]:
    """One optimiser step over its accumulated batches; a step with a loss that is not finite changes nothing."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
    optimiser.zero_grad(set_to_none=True)
    losses: dict[str, Tensor] = {}
    for part, batch in enumerate(batches):
        seed = config.seed * SEED_STRIDE + number * len(batches) + part
        first = (seed * world.size + world.rank) * config.batch
        with torch.autocast(device.type, torch.bfloat16) if config.bf16 else nullcontext():
            losses = step([sample.to(device) for sample in batch], seed, range(first, first + config.batch))
        (losses["total"] / len(batches)).backward()
    norm = nn.utils.clip_grad_norm_(step.parameters(), config.optimiser.clip_norm, foreach=True)
    _forget_bad(step, norm)
    optimiser.step()
    return {name: value.detach() for name, value in losses.items()} | {"gradient": norm.detach()}


def _forget_bad(step: nn.Module, norm: Tensor) -> None:
    """Zero the gradients where their norm is not finite, without asking the device about it."""
    good = torch.isfinite(norm)
    for parameter in step.parameters():
        if parameter.grad is not None:
            parameter.grad = torch.where(good, parameter.grad, torch.zeros_like(parameter.grad))


def _agreed(seconds: float, world: distributed.World, device: torch.device) -> float:
    """The first process's clock, so that all agree on when a timed run ends."""
    if world.size == 1:
        return seconds
    clock = torch.tensor([seconds], device=device)
    torch.distributed.broadcast(clock, 0)
    return float(clock)


def _validated(
    config: TrainConfig, network: nn.Module, average: state.Average, device: torch.device
) -> dict[str, float]:
    """Early figures of the averaged weights on scenes made with held-out models."""
    present = {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(average.values)
    try:
        return validate(network.eval(), config, device)
    finally:
        network.load_state_dict(present)
        network.train()


def _export(
    config: TrainConfig,
    network: nn.Module,
    average: state.Average,
    progress: state.Progress,
    figures: dict[str, float],
    log: Log,
    best: Best,
) -> None:
    network.load_state_dict(average.values)
    recipe = {"config": state.describe(config), "steps": progress.step, "seconds": round(progress.seconds)}
    voxel = {kind: float(low * high) ** 0.5 for kind, (low, high) in config.data.voxel.items()}
    target = Path(config.out) / f"{config.network}.safetensors"
    names = [row[0] for row in words(config.data.vocabulary)] if config.data.vocabulary else ()
    recipe |= {"losses": log.means}
    checkpoint.save(target, network, voxel=voxel, recipe=recipe, metrics=figures | best.before(), classes=names)
    log.validation(progress, figures)
    log.plot()
