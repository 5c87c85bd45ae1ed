"""What a run would train, before it does: parameters, extensions, data, steps, and hours on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.models.build import parameters
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.config import DataConfig, TrainConfig
from iseg3d_ros.training.dialogues import DialogueStep
from iseg3d_ros.training.distributed import World
from iseg3d_ros.training.loop import device_of, step_of
from iseg3d_ros.training.samples import NO_AUGMENTATION, TrainingSample, make_sample
from iseg3d_ros.training.simulate import SimulatedUser
from iseg3d_ros.training.sources import in_steps, sources_of
from iseg3d_ros.training.start import first_network

VOXELS = 3000  # of the crop that is timed; the time of a step is nearly proportional to them
SCANNET_TRAIN = 1201  # scenes that a recipe in epochs is reckoned with where there are no data yet
# What no paper has, by the setting that switches it on
EXTENSIONS = ("relation", "fades")


def outlook(config: TrainConfig, network: Any = None) -> Iterator[str]:
    """Lines to print; the network is built, or given where it is not known yet how it begins."""
    network = network or first_network(config)
    yield f"network     {config.network}, {config.preset}: {parameters(network):,} parameters"
    on = [name for name in EXTENSIONS if getattr(network.settings, name, False)]
    yield f"extensions  {', '.join(on) or 'none: as in the paper'}"
    config, data = _reckoned(config)
    yield f"data        {data}"
    low, high = sorted((config.data.min_voxels, config.data.max_voxels))
    batch = config.batch * config.optimiser.accumulate
    most = f"{low:,} to {high:,} voxels" if low < high else f"{high:,} voxels at most"
    crops = f"{config.steps * batch:,} of {most}, up to {config.data.max_objects} objects"
    yield f"crops       {crops}"
    optimiser = config.optimiser
    rate = f"{optimiser.name}, {optimiser.schedule}, learning rate {optimiser.learning_rate:g}"
    yield f"steps       {config.steps:,} of {batch} crops, {rate}"
    seconds = seconds_a_crop(config, network) * _mean_voxels(low, high) / VOXELS * batch
    limit = f", ended after {config.max_seconds / 3600:.1f} by the clock" if config.max_seconds else ""
    yield f"hours       about {seconds * config.steps / 3600:,.1f} on this machine ({seconds:.2g} s a step){limit}"


def _reckoned(config: TrainConfig) -> tuple[TrainConfig, str]:
    """The run in steps, and its data in words; where they are not there yet, as many scenes as ScanNet has."""
    try:
        found = sources_of(config.data, "train")
        scenes = ", ".join(f"{len(source.scenes)} {name} ({source.weight:g})" for name, source in found.items())
        return in_steps(config), f"{scenes}; drawn with the weights in brackets"
    except (ValueError, OSError) as error:
        if not config.epochs:
            return config, f"not there yet: {error}"
        batch = config.batch * config.optimiser.accumulate
        steps = math.ceil(config.epochs * SCANNET_TRAIN / batch)
        words = f"not there yet, reckoned with {SCANNET_TRAIN} scenes: {error}"
        return replace(config, epochs=0.0, steps=steps), words


def _mean_voxels(low: int, high: int) -> float:
    """The mean of a log-uniform draw."""
    return (high - low) / math.log(high / low) if high > low else float(high)


def seconds_a_crop(config: TrainConfig, network: Any) -> float:
    """A crop of VOXELS voxels, forward and backward, with the mean number of corrective rounds."""
    device = device_of(config, World())
    sample = _crop(config, network).to(device)
    network = network.to(device).train()
    dialogues = isinstance(step_of(network, config), DialogueStep)
    plain = replace(config, clicks=replace(config.clicks, rounds=0))
    once = _seconds(step_of(network, plain), sample, device)
    if dialogues or config.clicks.rounds == 0:
        return once
    encoded, step = network.encode([sample.cloud]), step_of(network, plain)
    user = SimulatedUser(sparse_batch([sample.cloud.coords]), sample.labels, [sample.objects], [0])
    begin = time.perf_counter()
    step.correct(network, encoded, user, user.first(1.0), [None])  # type: ignore[operator]
    return once + config.clicks.rounds / 2 * (time.perf_counter() - begin)


def _seconds(step: Any, sample: TrainingSample, device: torch.device) -> float:
    """The second of two steps: the first sets up what is set up once."""
    taken = 0.0
    for seed in range(2):
        begin = time.perf_counter()
        step([sample], seed, [seed])["total"].backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken = time.perf_counter() - begin
    step.zero_grad(set_to_none=True)
    return taken


def _crop(config: TrainConfig, network: Any) -> TrainingSample:
    """Boxes on a floor, of about VOXELS voxels of 5 cm."""
    rng = np.random.default_rng(0)
    side = 0.05 * math.sqrt(VOXELS)
    floor = np.c_[rng.uniform(0, side, (VOXELS * 4, 2)), np.zeros(VOXELS * 4)]
    boxes = [rng.uniform(0, 0.4, (600, 3)) + [*rng.uniform(0, side - 0.4, 2), 0.05] for _ in range(4)]
    xyz = np.concatenate([floor, *boxes]).astype(np.float32)
    instance = np.repeat(np.arange(5), [len(floor), *[600] * 4]).astype(np.int32)
    rgb = rng.integers(0, 255, xyz.shape).astype(np.uint8)
    scene = LabelledCloud("boxes", xyz, rgb, None, instance, ("box",) * 4, "room", np.zeros(3, np.float32))
    data = DataConfig(voxel={"room": (0.05, 0.05)}, min_voxels=VOXELS, max_voxels=VOXELS, min_points=4)
    data = replace(data, max_objects=min(4, config.data.max_objects))
    sample = make_sample(scene, data, NO_AUGMENTATION, network.settings.features, rng)
    assert sample is not None
    return sample
