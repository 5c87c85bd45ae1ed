"""Early figures in training: IoU after 1, 2, 3 and 5 clicks an object on scenes made with held-out models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.config import TrainConfig
from iseg3d_ros.training.samples import NO_AUGMENTATION, TrainingSample, make_sample
from iseg3d_ros.training.simulate import SimulatedUser, overwrite
from iseg3d_ros.training.sources import sources_of

CLICKS = (1, 2, 3, 5)


def validate(network: nn.Module, config: TrainConfig, device: torch.device) -> dict[str, float]:
    """`{source: IoU@k}` as flat figures such as `tabletop IoU@1`; the user answers M errors a round."""
    figures: dict[str, float] = {}
    for name, source in sorted(sources_of(config.data, "val").items()):
        rows = [iou_by_clicks(network, sample.to(device)) for sample in held_out(network, config, source.scenes)]
        for k, value in zip(CLICKS, np.mean(rows, axis=0) if rows else (), strict=False):
            figures[f"{name} IoU@{k}"] = round(float(value), 4)
    return figures


def held_out(network: Any, config: TrainConfig, scenes: Sequence[LabelledCloud]) -> list[TrainingSample]:
    """The same crop of each held-out scene, at every call."""
    found = []
    for index in range(min(config.validate_scenes, len(scenes))):
        rng = np.random.default_rng([7, index])
        sample = make_sample(scenes[index], config.data, NO_AUGMENTATION, network.settings.features, rng)
        found += [] if sample is None else [sample]
    return found


@torch.no_grad()
def iou_by_clicks(network: Any, sample: TrainingSample) -> list[float]:
    """The mean IoU of one sample's objects after each number of clicks in CLICKS."""
    user = SimulatedUser(sparse_batch([sample.cloud.coords]), sample.labels, [sample.objects], [0])
    encoded, clicks, previous, row = network.encode([sample.cloud]), user.first(1.0), [None], []
    for number in range(1, max(CLICKS) + 1):
        labels = network.decode(encoded, clicks, previous)[0].logits.argmax(1)
        shown = overwrite(labels, clicks[0])
        if number in CLICKS:
            row.append(float(mean_iou(shown, sample.labels, sample.objects)))
        clicks, previous = user.correct(shown, clicks, sample.objects), [labels]
    return row


def mean_iou(labels: Tensor, truth: Tensor, objects: int) -> Tensor:
    """Intersection over union at voxels, mean over the objects 1..objects."""
    both = torch.bincount(truth[labels == truth], minlength=objects + 1)
    either = torch.bincount(truth, minlength=objects + 1) + torch.bincount(labels, minlength=objects + 1) - both
    return (both[1:] / either[1:].clamp(min=1)).mean()
