"""A process that evaluates samples with one model."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
import zlib
from dataclasses import asdict
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import torch

from iseg3d_ros.data.open import open_data
from iseg3d_ros.data.sample import Sample, Samples
from iseg3d_ros.evaluation.config import EvaluationConfig, Part
from iseg3d_ros.evaluation.protocol import Encoded, Task, choose_objects, encode, evaluate
from iseg3d_ros.evaluation.user import RULES, Rule, slipping, tempered
from iseg3d_ros.predictor import Predictor

_model, _config = "", EvaluationConfig()


def initialise_process(model: str, config: EvaluationConfig) -> None:
    """Process-pool initializer."""
    global _model, _config
    _model, _config = model, config
    torch.set_num_threads(1)
    logging.getLogger("iseg3d_ros.data").setLevel(logging.ERROR)  # the first process has said what is left out
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a word
    threading.Thread(target=_end_with_parent, daemon=True).start()


def evaluate_part(part: Part) -> dict[str, Any]:
    """One outcome of what this process was started for."""
    return evaluated(_model, part, _config)


def evaluated(model: str, part: Part, config: EvaluationConfig) -> dict[str, Any]:
    """One outcome as JSON holds it, or {"error": a sentence}."""
    try:
        predictor, task = _predictor(model, config), task_of(part, config)
        torch.manual_seed(seed_of(part, config))  # for networks that sample
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the predictor remarks stands in the outcome's notes
            encoded = _encoded(model, part.path, part.index, part.sample, config) if part.instance is not None else None
            rule, seed = rule_of(part, config), seed_of(part, config)
            outcome = evaluate(predictor, task, config.budget, rule, seed, encoded=encoded, habits=config.habits)
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        return {"error": f"{error}" or type(error).__name__}
    outcome.peak_mb = peak_mb()
    return asdict(outcome)


@lru_cache(maxsize=1)
def _predictor(model: str, config: EvaluationConfig) -> Predictor:
    return Predictor.load(model, config.device, config.voxel_size, **config.network)


@lru_cache(maxsize=8)
def _samples(path: str, split: str | None) -> Samples:
    return open_data(path, split=split)


@lru_cache(maxsize=1)
def _sample(path: str, index: int, name: str, split: str | None) -> Sample:
    """In single-object evaluation the same sample comes several times in a row."""
    samples = _samples(path, split)
    if samples.names[index : index + 1] != (name,):  # a file before it is gone or damaged since the plan was made
        if name not in samples.names:
            raise ValueError(f"{path} holds it no longer, or its file is damaged")
        index = samples.names.index(name)
    return samples[index]


@lru_cache(maxsize=1)
def _encoded(model: str, path: str, index: int, name: str, config: EvaluationConfig) -> Encoded:
    """A cloud whose objects are evaluated one at a time is encoded once."""
    cloud = _sample(path, index, name, config.split).cloud
    return encode(_predictor(model, config), Task(name, cloud.xyz, cloud.rgb, cloud.instance, 0))


def task_of(part: Part, config: EvaluationConfig) -> Task:
    """The cloud and the objects that a part names."""
    sample = _sample(part.path, part.index, part.sample, config.split)
    objects = (part.instance,) if part.instance is not None else (sample.objects or None)
    truth, count = choose_objects(
        sample.cloud.instance, config.least_points, config.most_objects, objects, config.draw
    )
    if count == 0:
        raise ValueError(f"it has no object of at least {config.least_points} points")
    instance = sample.cloud.instance
    numbers = tuple(int(instance[np.argmax(truth == k)]) for k in range(1, count + 1))
    classes = tuple(sample.cloud.classes[number - 1] for number in numbers)
    return Task(
        part.name, sample.cloud.xyz, sample.cloud.rgb, truth, count, instance=instance, numbers=numbers, classes=classes
    )


def rule_of(part: Part, config: EvaluationConfig) -> Rule:
    """The simulated user's way to choose the next click."""
    seed = seed_of(part, config)
    rule = RULES[config.rule](seed) if config.temperature is None else tempered(config.temperature, seed)
    return slipping(rule, config.slips, seed) if config.slips else rule


def seed_of(part: Part, config: EvaluationConfig) -> int:
    """The same for a sample in whatever process and order it is evaluated."""
    return zlib.crc32(f"{config.seed} {part.name}".encode())


def peak_mb() -> float:
    """The most memory this process has held, in MB."""
    try:  # not getrusage: its figure begins with what the parent process held
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
