"""A training step of `TwoWayE2I3D`: whole dialogues, encoded once, with a loss at every click.

The network answers a simulated operator's clicks, sees its own last mask, and is corrected where that mask is wrong.
Voxels and objects are drawn as they are in scenes: drawing them by importance taught an earlier decoder to
over-segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from iseg3d_ros.models.two_way_e2i3d import LAST_SHARE, TwoWayE2I3D
from iseg3d_ros.training.config import DialogueConfig
from iseg3d_ros.training.samples import TrainingSample

Mask = NDArray[np.bool_]
CANDIDATES = 256  # voxels of an error among which the deepest is looked for


class DialogueStep(nn.Module):
    """`forward` gives the losses of a batch, as `training.step.Step` does for the other networks."""

    def __init__(self, network: TwoWayE2I3D, config: DialogueConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, batch: Sequence[TrainingSample], seed: int, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Losses and figures by name; all processes of a step hold dialogues of the same length."""
        self.network.backbone.eval()  # its normalisation keeps the statistics it was trained with
        lengths = np.array(self.config.lengths)
        clicks = 1 + int(np.random.default_rng(seed).choice(len(lengths), p=lengths / lengths.sum()))
        results = [
            self._dialogues(sample, clicks, np.random.default_rng([seed, own]))
            for sample, own in zip(batch, seeds, strict=True)
        ]
        return {name: torch.stack([result[name] for result in results]).mean() for name in results[0]}

    def _dialogues(self, sample: TrainingSample, clicks: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One crop: a dialogue of so many clicks on each of a few of its objects."""
        device = sample.labels.device
        with torch.autocast(device.type, enabled=False):
            voxels = self.network.encode([sample.cloud]).clouds[0].voxels
        instance = sample.instance.cpu().numpy()
        rows = np.sort(rng.permutation(len(instance))[: self.config.voxels])
        chosen = choose_objects(instance[rows], self.config, rng)
        voxels, points = voxels.only(torch.from_numpy(rows).to(device)), sample.cloud.points.cpu().numpy()[rows]
        truth = np.stack([instance[rows] == one for one in chosen])
        target = torch.from_numpy(truth).float().to(device)
        operator = Operator(points, truth, self.config, rng)
        clicked, sign = operator.click(np.zeros_like(truth))
        shows_mask = rng.random() < self.config.shows_mask
        start = self.network.start(voxels, torch.from_numpy(clicked[:, 0]).to(device))
        losses, ious = [], []
        last: Tensor | None = None
        for _ in range(clicks):
            places, signs = (torch.from_numpy(each).to(device) for each in (clicked, sign))
            middle, final = self.network.masks(start, voxels, places, signs, last if shows_mask else None)
            if last is not None and shows_mask:
                final = torch.lerp(final, last, LAST_SHARE)  # as `TwoWayE2I3D.mask` does it
            right: Tensor | None = None if last is None else (last > 0) == (target > 0)
            loss, of_middle = (self._loss(logits, target, right) for logits in (final, middle))
            losses.append(loss + self.config.middle_weight * of_middle)
            if last is not None and shows_mask:
                worse = (dice_loss(final, target) - dice_loss(last, target)).relu()
                losses[-1] = losses[-1] + self.config.harm_weight * worse.mean()
            last = final.detach()
            mask = (last > 0).cpu().numpy()
            np.put_along_axis(mask, clicked, sign > 0, 1)
            ious.append((mask & truth).sum(1) / np.maximum(1, (mask | truth).sum(1)))
            clicked, sign = operator.click(mask)
        return {"total": torch.stack(losses).mean(), **figures(np.array(ious))}

    def _loss(self, logits: Tensor, target: Tensor, right: Tensor | None) -> Tensor:
        """Cross entropy, heavier where the last mask was right already, and the objects' Dice."""
        each = binary_cross_entropy_with_logits(logits, target, reduction="none")
        weight = 1.0 if right is None else 1.0 + self.config.right_weight * right
        return 2 * (each * weight).mean() + dice_loss(logits, target).mean()


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Of each object (B,)."""
    probability = logits.sigmoid()
    shared, total = (probability * target).sum(1), probability.sum(1) + target.sum(1)
    return 1 - (2 * shared + 1) / (total + 1)


class Operator:
    """Simulated clicks on several objects of one crop, each in a dialogue of its own; numbers of voxels (B, K)."""

    def __init__(self, points: np.ndarray, truth: Mask, config: DialogueConfig, rng: np.random.Generator) -> None:
        self._points, self._truth, self._config, self._rng = points, truth, config, rng
        self._clicked: list[list[int]] = [[] for _ in truth]
        self._sign: list[list[int]] = [[] for _ in truth]

    def click(self, masks: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All clicks so far with one more an object, and their signs (1: on the object)."""
        for object, (truth, mask) in enumerate(zip(self._truth, masks, strict=True)):
            voxel, sign = self._one(truth, mask, first=not self._clicked[object])
            self._clicked[object].append(voxel)
            self._sign[object].append(sign)
        return np.array(self._clicked), np.array(self._sign)

    def _one(self, truth: Mask, mask: Mask, first: bool) -> tuple[int, int]:
        """In the deeper of what is missing and what is too much; at times in the other, or where all is well."""
        errors = [(sign, region) for sign, region in ((1, truth & ~mask), (0, mask & ~truth)) if region.any()]
        if not errors or not first and self._rng.random() < self._config.needless:
            voxel = int(self._rng.integers(len(truth)))
            return voxel, int(truth[voxel])
        found = [(*self._inside(region), sign) for sign, region in errors]
        if self._rng.random() < self._config.other_error:
            depth, voxel, sign = found[int(self._rng.integers(len(found)))]
        else:
            depth, voxel, sign = max(found)
        return voxel, sign

    def _inside(self, region: Mask) -> tuple[float, int]:
        """How deep a region is, and a voxel in it: the deepest of some, or one that is deep more likely than not."""
        inside = np.flatnonzero(region)
        if len(inside) > CANDIDATES:
            inside = self._rng.choice(inside, CANDIDATES, replace=False)
        if region.all():
            return 1.0, int(self._rng.choice(inside))
        depth, _ = cKDTree(self._points[~region]).query(self._points[inside])
        deepest = self._rng.random() < self._config.centre_share
        chosen = int(depth.argmax()) if deepest else int(self._rng.choice(len(inside), p=depth / depth.sum()))
        return float(depth.max()), int(inside[chosen])


def choose_objects(instance: np.ndarray, config: DialogueConfig, rng: np.random.Generator) -> np.ndarray:
    """Objects of a crop, each as likely as the others; those of which next to nothing is there are left out."""
    ids, counts = np.unique(instance[instance > 0], return_counts=True)
    if len(ids) == 0:
        raise ValueError("A crop without an object cannot be trained on; raise data.min_points.")
    ids = ids[counts >= min(config.least_voxels, counts.max())]
    return rng.choice(ids, config.objects, replace=len(ids) < config.objects)


def figures(ious: np.ndarray) -> dict[str, Tensor]:
    """IoU after the first and the last click (K, B), and the share of clicks that cost more than two points."""
    harm = float((np.diff(ious, axis=0) < -0.02).mean()) if len(ious) > 1 else 0.0
    return {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in (("iou_first", ious[0].mean()), ("iou_last", ious[-1].mean()), ("harm", harm))
    }
