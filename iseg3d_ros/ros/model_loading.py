"""From parameters to a model that is ready: loaded by name or path, seeded, warmed up."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.sparse.threads import settle


def load_model(
    settings: SegmenterSettings, say: Callable[[str], object], warn: Callable[[str], object]
) -> InteractiveSession:
    """An empty session with the model that the parameters name."""
    if settings.threads > 0:
        torch.set_num_threads(settings.threads)
    elif settings.device in ("cpu", "auto"):
        settle()
    if settings.niceness > 0:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), settings.niceness)  # of this thread and its own
    torch.manual_seed(settings.seed)
    if settings.weights and not Path(settings.weights).expanduser().is_file():
        raise FileNotFoundError(f"the parameter weights names {settings.weights}, where there is no file")
    start = time.perf_counter()
    wanted = str(Path(settings.weights).expanduser()) if settings.weights else settings.model or None
    predictor = Predictor.load(
        wanted, settings.device, settings.voxel_size or None, None, settings.max_voxels or None,
        settings.precision, settings.memory_share, settings.adapt, settings.adapt_bound, settings.samples or None,
        settings.seed if settings.samples else None, _numbers(settings.cubes),
        settings.vocabulary or None, settings.tile or None,
    )  # fmt: skip
    predictor.say = warn
    _warm_up(predictor)
    threads = torch.get_num_threads()
    seconds, among = time.perf_counter() - start, "one thread" if threads == 1 else f"{threads} threads"
    say(f"model {predictor.name} is ready after {seconds:.1f} s, on {among}")
    session = InteractiveSession(predictor)
    session.model = SceneModel(predictor, warn)
    return session


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise ValueError(f"the parameter cubes is {text!r}: give numbers separated by commas (1.0,4.0)") from error


def _warm_up(predictor: Predictor) -> None:
    """One small segmentation, so that the first click does not pay for what is set up once."""
    side = np.linspace(-0.5, 0.5, 40, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    xyz = np.stack([x, y, np.where(np.hypot(x, y) < 0.2, 0.1, 0.0)], -1).reshape(-1, 3).astype(np.float32)
    scene = predictor.encode(xyz, np.full((len(xyz), 3), 128, np.uint8))
    predictor.segment(scene, [Click((0.0, 0.0, 0.1), 1)])
