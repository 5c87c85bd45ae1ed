#!/usr/bin/env python3
"""How far made scenes are from real ones: colours, contacts and surfaces of both, and how well a classifier parts them.

    tools/scene_gap.py REAL... --made FOLDER [--recipe config/train/X.yaml] [--voxel-size 0.05]

A line for each real scene, the real median, the made one, and that of training crops with all that the recipe's
augmentation does to some. Places are those that `iseg3d evaluate` takes. The classifier (logistic regression with
products of features, on patches of twenty voxels, on scenes that it did not see) has an AUC of 0.5 where nothing parts
them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.data.open import open_data
from iseg3d_ros.preprocessing.features import mean_per_voxel, normals
from iseg3d_ros.preprocessing.voxels import Voxels, voxelise
from iseg3d_ros.training.config import AugmentConfig, load
from iseg3d_ros.training.samples import NO_AUGMENTATION, changed_crop

Array = NDArray[Any]
SEEN = 20_000  # voxels of a scene that are looked at


class Seen:
    """What the statistics ask of a scene, voxel by voxel."""

    def __init__(self, xyz: Array, rgb: Array | None, instance: Array, size: float) -> None:
        voxels: Voxels = voxelise(xyz.astype(np.float32), size)
        self.size, self.points, self.label = size, voxels.points, instance[voxels.representative]
        self.colour = None if rgb is None else mean_per_voxel(rgb, voxels) / 255
        local = (xyz - xyz.min(0)) / size
        self.normal, self.variation = normals(voxels.coords, mean_per_voxel(local.astype(np.float32), voxels))
        self.xyz, self.instance = xyz, instance
        ids, counts = np.unique(self.label[self.label > 0], return_counts=True)
        large = [k for k, count in zip(ids, counts) if count >= 300 and self._thickness(k) < 2.5 * size]
        self.flat = set(large)  # walls and floors, by their shape
        self.things = [k for k, count in zip(ids, counts) if count >= 30 and k not in self.flat]
        pairs = cKDTree(self.points).query_pairs(1.8 * size, output_type="ndarray")
        self.pairs = pairs[(self.label[pairs] > 0).all(1)]
        self.apart = self.label[self.pairs[:, 0]] != self.label[self.pairs[:, 1]]

    def _thickness(self, k: int) -> float:
        return float(np.sqrt(max(np.linalg.eigvalsh(np.cov(self.points[self.label == k].T))[0], 0.0)))

    def statistics(self) -> dict[str, float]:
        """The numbers of one line."""
        found: dict[str, float] = {"slanted": self._slanted(), "bent": float(np.mean(self.variation > 0.03)),
                                   "near 8 cm": self._near(1.6 * self.size),
                                   "at borders": len(np.unique(self.pairs[self.apart])) / len(self.points)}  # fmt: skip
        if self.colour is not None:
            found |= self._colours(self.colour)
        return found

    def _slanted(self) -> float:
        steep = np.abs(self.normal[:, 2])
        return float(np.mean((steep > 0.2) & (steep < 0.95)))

    def _near(self, reach: float) -> float:
        held = self.instance > 0
        points, label = self.xyz[held], self.instance[held]
        asked = np.random.default_rng(0).permutation(len(points))[:SEEN]
        _, near = cKDTree(points).query(points[asked], k=40, distance_upper_bound=reach)
        there = near < len(points)
        other = there & (label[np.where(there, near, 0)] != label[asked][:, None])
        return float(other.any(1).mean())

    def _colours(self, colour: Array) -> dict[str, float]:
        bright = colour.mean(1)
        difference = np.linalg.norm(colour[self.pairs[:, 0]] - colour[self.pairs[:, 1]], axis=1)
        return {
            "SD in planes": _middle(np.sqrt(colour[self.label == k].var(0).sum()) for k in self.flat),
            "of patches": _middle(self._patches(bright, k) for k in self.flat),
            "SD in things": _middle(np.sqrt(colour[self.label == k].var(0).sum()) for k in self.things),
            "dark": float((bright < 0.2).mean()), "light": float((bright > 0.95).mean()),
            "red/blue": float(colour[:, 0].mean() / max(colour[:, 2].mean(), 1e-3)),
            "border AUC": auc(difference[self.apart], difference[~self.apart]),
            "like neighbour": self._like_neighbours(colour),
        }  # fmt: skip

    def _patches(self, bright: Array, k: int) -> float:
        rows = np.flatnonzero(self.label == k)
        places = np.floor(self.points[rows] / (8 * self.size)).astype(int)
        _, patch, count = np.unique(places, axis=0, return_inverse=True, return_counts=True)
        means = np.bincount(patch.ravel(), bright[rows]) / count
        return float(means[count > 8].std()) if (count > 8).sum() > 4 else np.nan

    def _like_neighbours(self, colour: Array) -> float:
        """Share of the objects whose mean colour is within 0.12 of one that they touch."""
        touching, counts = np.unique(np.sort(self.label[self.pairs[self.apart]], axis=1), axis=0, return_counts=True)
        least: dict[int, float] = {}
        for a, b in touching[counts >= 5]:
            gap = float(np.linalg.norm(colour[self.label == a].mean(0) - colour[self.label == b].mean(0)))
            least[a], least[b] = min(gap, least.get(a, 9.0)), min(gap, least.get(b, 9.0))
        return float(np.mean([gap < 0.12 for gap in least.values()])) if least else np.nan

    def patches(self) -> tuple[Array, Array]:
        """Features of patches of twenty voxels: (P, 6) of colours, (P, 5) of surfaces."""
        places = np.floor(self.points / (20 * self.size)).astype(int)
        _, patch, count = np.unique(places, axis=0, return_inverse=True, return_counts=True)
        patch, good = patch.ravel(), count >= 60
        colour = np.zeros((len(self.points), 3)) if self.colour is None else self.colour
        bright, warm = colour.mean(1), colour[:, 0] - colour[:, 2]
        steep = np.abs(self.normal[:, 2])
        slanted = (steep > 0.2) & (steep < 0.95)
        columns = [_of(patch, bright), _of(patch, bright, True), _of(patch, warm), _of(patch, warm, True),
                   _of(patch, bright < 0.1), _of(patch, np.ptp(colour, axis=1)),
                   _of(patch, self.variation), _of(patch, self.variation, True), _of(patch, slanted),
                   np.log(count), _of(patch, steep > 0.95)]  # fmt: skip
        rows = np.stack(columns, 1)[good]
        return rows[:, :6], rows[:, 6:]


def _of(patch: Array, values: Array, spread: bool = False) -> Array:
    """Means of patches, or standard deviations."""
    count = np.bincount(patch)
    mean = np.bincount(patch, values) / count
    return np.sqrt(np.maximum(np.bincount(patch, values**2.0) / count - mean**2, 0)) if spread else mean


def _middle(values: Iterator[Any]) -> float:
    found = [float(v) for v in values if np.isfinite(v)]
    return float(np.median(found)) if found else np.nan


def auc(positive: Array, negative: Array) -> float:
    """Share of the pairs that are in order."""
    if len(positive) < 10 or len(negative) < 10:
        return np.nan
    rank = np.concatenate([positive, negative]).argsort().argsort() + 1
    whole = float(rank[: len(positive)].sum())
    return (whole - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative))


def parted(real: Sequence[Array], made: Sequence[Array], folds: int = 4) -> float:
    """The classifier's AUC on scenes that it did not see."""
    scores: list[list[float]] = [[], []]
    for fold in range(folds):
        seen = [[x for k, x in enumerate(side) if k % folds != fold] for side in (real, made)]
        kept = [[x for k, x in enumerate(side) if k % folds == fold] for side in (real, made)]
        if not all(map(len, (*seen, *kept))):
            continue
        values = np.concatenate([*seen[0], *seen[1]])
        mean, spread = values.mean(0), values.std(0) + 1e-6
        weight = _fitted(*(_products((np.concatenate(side) - mean) / spread) for side in seen))
        for side in (0, 1):
            scores[side] += (_products((np.concatenate(kept[side]) - mean) / spread) @ weight).tolist()
    return auc(np.array(scores[0]), np.array(scores[1]))


def _products(rows: Array) -> Array:
    first, second = np.triu_indices(rows.shape[1])
    clipped = np.clip(rows, -4, 4)
    return np.concatenate([np.ones((len(rows), 1)), clipped, clipped[:, first] * clipped[:, second]], 1)


def _fitted(real: Array, made: Array) -> Array:
    rows = torch.from_numpy(np.concatenate([real, made]))
    truth = torch.cat([torch.ones(len(real)), torch.zeros(len(made))]).double()
    each = torch.where(truth > 0, 1 / len(real), 1 / len(made))
    weight = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
    best = torch.optim.LBFGS([weight], max_iter=100)

    def loss() -> Any:
        best.zero_grad()
        wrong = torch.nn.functional.binary_cross_entropy_with_logits(rows @ weight, truth, each, reduction="sum")
        total = wrong + 2e-3 * (weight**2).sum()
        total.backward()
        return total

    best.step(loss)
    return weight.detach().numpy()


def seen_as(scenes: Sequence[LabelledCloud], size: float, change: AugmentConfig) -> list[Seen]:
    """A crop of each scene, changed so."""
    changed = (
        changed_crop(scene, size, SEEN, change, np.random.default_rng(number)) for number, scene in enumerate(scenes)
    )
    return [Seen(xyz, rgb, instance, size) for xyz, rgb, instance in changed]


def in_full(change: AugmentConfig) -> AugmentConfig:
    """Every change that a recipe makes to a share of the crops, made to all; and all keep their colours."""
    asked = ("relight", "bridge", "melt", "elastic", "drop_ceiling")
    shares = {name: float(getattr(change, name) > 0) for name in asked}
    return replace(change, **shares, any_up=0.0, colour_dropout=0.0)


def line(name: str, rows: Sequence[dict[str, float]]) -> str:
    """One line of the table: medians."""
    middles = [np.nanmedian([row.get(key, np.nan) for row in rows]) for key in rows[0]]
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in middles) + " |"


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", nargs="+")
    parser.add_argument("--made", required=True)
    parser.add_argument("--recipe")
    parser.add_argument("--voxel-size", type=float, default=0.05)
    parser.add_argument("--most", type=int, default=30)
    parser.add_argument("--kind", default="room")
    options = parser.parse_args()
    clouds = [sample.cloud for place in options.real for sample in open_data(place)]
    pool = open_data(options.made, split="train")
    order = np.random.default_rng(0).permutation(len(pool))
    pooled = (pool[int(k)].cloud for k in order[: 4 * options.most])
    scenes = [cloud for cloud in pooled if cloud.kind == options.kind and cloud.rgb is not None]
    made = scenes[: options.most]
    sides = {name: seen_as(side, options.voxel_size, NO_AUGMENTATION)
             for name, side in (("real", clouds), ("made", made))}  # fmt: skip
    if options.recipe:
        sides["in training"] = seen_as(made, options.voxel_size, in_full(load(options.recipe).augment))
    rows = {name: [scene.statistics() for scene in side] for name, side in sides.items()}
    print("| | " + " | ".join(rows["real"][0]) + " |\n" + "|---" * (len(rows["real"][0]) + 1) + "|")
    for number, row in enumerate(rows["real"]):
        print(line(f"real {number + 1}", [row]))
    for name, side in rows.items():
        print(line(f"**{name}**", side))
    patches = {name: [scene.patches() for scene in side] for name, side in sides.items()}
    for name in list(sides)[1:]:
        by = [parted([p[k] for p in patches["real"]], [p[k] for p in patches[name]]) for k in (0, 1)]
        both = parted(*([np.hstack(p) for p in patches[side]] for side in ("real", name)))
        print(f"\n{name}: a classifier parts them from real ones with AUC {by[0]:.2f} by colours, {by[1]:.2f} by "
              f"surfaces, {both:.2f} by both.")  # fmt: skip


if __name__ == "__main__":
    main()
