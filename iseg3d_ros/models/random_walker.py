"""Segmentation without training: a random walker on the graph of the voxels (after Grady 2006).

A walker starts at a voxel and steps to near neighbours, seldom over a concave edge or a change of colour. The
probability that it meets an object's click first, before background clicks or the surface that everything stands on, is
the voxel's probability of that object. Here the walker also dies: slowly everywhere, quickly on the supporting surface.
That is what keeps one click from flooding the cloud, and it makes the matrix A = Laplacian + diag(death) independent of
the clicks: it is factorised once a cloud, and a click costs one back-substitution (a column of A⁻¹) and a small dense
system over the clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.voxel_graph import (
    Floats,
    RandomWalkerSettings,
    VoxelGeometry,
    factorised,
    hub_edges,
    neighbour_edges,
    supporting_surface,
)

__all__ = ["RandomWalker", "RandomWalkerSettings", "Walks"]

Column = tuple[NDArray[np.int64], NDArray[np.float32]]  # the voxels of a patch, and A⁻¹ of a unit source spread over it


@dataclass(frozen=True)
class Walks:
    """One encoded cloud: its voxels, those of the supporting surface, and the solver of A x = b."""

    geometry: VoxelGeometry
    support: NDArray[np.bool_]
    tree: cKDTree
    solver: Callable[[bool], Callable[[Floats], Floats]]  # True: the support kills no walker, for it is an object
    columns: dict[tuple[int, float, bool], Column] = field(default_factory=dict)  # a memo
    patches: dict[tuple[int, float], NDArray[np.int64]] = field(default_factory=dict)  # another


class RandomWalker(Network):
    """The training-free one: nothing is learned."""

    COLUMNS_KEPT = 256

    def __init__(self, settings: RandomWalkerSettings | None = None) -> None:
        super().__init__(settings or RandomWalkerSettings())

    def encode(self, clouds: Sequence[VoxelCloud]) -> list[Walks]:
        """Build and factorise each cloud's graph."""
        return [self._encode(cloud) for cloud in clouds]

    def decode(
        self, encoded: Sequence[Walks], clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Log-probabilities of background and objects, from all clicks of each cloud."""
        return [self._decode(walks, given) for walks, given in zip(encoded, clicks, strict=True)]

    def _encode(self, cloud: VoxelCloud) -> Walks:
        geometry, settings = VoxelGeometry.of(cloud), self.settings
        support = supporting_surface(geometry.points, geometry.normals, geometry.size)
        tree, hubs = cKDTree(geometry.means), hub_edges(geometry, settings)
        edges = neighbour_edges(geometry, tree, support, settings) + hubs
        rates = np.full(max(len(support), int(hubs.second.max(initial=0)) + 1), settings.death)
        rates[: len(support)] += settings.death_on_support * support

        @lru_cache(maxsize=2)
        def solver(ground: bool) -> Callable[[Floats], Floats]:
            return factorised(edges, np.full_like(rates, settings.death) if ground else rates)

        solver(False)
        return Walks(geometry, support, tree, solver)

    def _decode(self, walks: Walks, clicks: Prompts) -> Prediction:
        """Choose sources at the clicks so that each patch has its own label's probability 1 on average."""
        latest = dict(zip(clicks.voxel.tolist(), clicks.label.tolist(), strict=True))
        label = np.array(list(latest.values()), np.int64)
        reaches = self._reaches(label)
        ground = self._ground(walks, list(latest), label, reaches)
        columns = [self._column(walks, voxel, reach, ground) for voxel, reach in zip(latest, reaches, strict=True)]
        response = np.stack([column for _, column in columns], axis=1)
        meeting = np.stack([response[patch].mean(axis=0, dtype=np.float64) for patch, _ in columns])
        wanted = (label[:, None] == np.arange(clicks.objects + 1)).astype(np.float64)
        sources = np.linalg.solve(meeting + 1e-9 * np.eye(len(label)) * np.trace(meeting), wanted)
        chance = np.clip(product(response, sources.astype(np.float32)), 0, 1)
        dead = np.clip(1 - chance.sum(axis=1), 0, 1)
        chance[:, 0] += dead * np.where(walks.support & (not ground), 1.0, self.settings.rest)
        return Prediction(torch.from_numpy(np.log(chance + 1e-6).astype(np.float32)).to(clicks.voxel.device))

    def _reaches(self, label: NDArray[np.int64]) -> list[float]:
        """How far each click's patch reaches: an object's first click far, the later ones not."""
        first = set(np.unique(label, return_index=True)[1].tolist())
        return [self.settings.patch if index in first else self.settings.correction for index in range(len(label))]

    def _ground(self, walks: Walks, voxels: list[int], label: NDArray[np.int64], reaches: list[float]) -> bool:
        """Whether an object's first click lies on the support of a cloud so large that this may be meant."""
        if walks.geometry.size < self.settings.ground:
            return False
        wide = self.settings.patch
        first = [v for v, k, reach in zip(voxels, label, reaches, strict=True) if k > 0 and reach == wide]
        return any(walks.support[self._patch(walks, voxel, wide)].mean() > 0.5 for voxel in first)

    def _column(self, walks: Walks, voxel: int, reach: float, ground: bool) -> Column:
        known = walks.columns.get((voxel, reach, ground))
        if known is not None:
            return known
        patch = self._patch(walks, voxel, reach)
        column = patch, walked_from(walks, patch, ground)
        if reach == self.settings.patch:
            column = self._rooted(walks, voxel, column, ground)
        if len(walks.columns) < self.COLUMNS_KEPT:
            walks.columns[voxel, reach, ground] = column
        return column

    def _rooted(self, walks: Walks, voxel: int, column: Column, ground: bool) -> Column:
        """The same, or where the patch is cut off from its object, from around it what the walk reaches well instead.

        Else the walk would lose its certainty at once, and the next click nearby would take the whole object away.
        """
        patch, response = column
        others = response.astype(np.float64)
        others[patch] = 0
        level = float((others**2).sum() / max(others.sum(), np.finfo(float).tiny))
        lost = float(response[patch].mean()) - level
        if lost < min(level, self.settings.cut_off):
            return column
        indoors = walks.geometry.size >= self.settings.ground  # there a click may lie on an island between holes
        for reach in (1, 3, 6) if indoors else (1,):
            radius = reach * self.settings.patch * walks.geometry.size
            near = np.array(walks.tree.query_ball_point(walks.geometry.means[voxel], radius))
            rooted = near[others[near] > 0.9 * level]
            if len(rooted) > len(patch) * (1 + indoors):
                return rooted, walked_from(walks, rooted, ground)
        return column

    def _patch(self, walks: Walks, voxel: int, reach: float) -> NDArray[np.int64]:
        known = walks.patches.get((voxel, reach))
        if known is None:
            known = self._smooth_patch(walks, voxel, reach)
            if len(walks.patches) < self.COLUMNS_KEPT:
                walks.patches[voxel, reach] = known
        return known

    def _smooth_patch(self, walks: Walks, voxel: int, reach: float) -> NDArray[np.int64]:
        near = np.array(walks.tree.query_ball_point(walks.geometry.means[voxel], reach * walks.geometry.size), np.int64)
        height = np.abs((walks.geometry.means[near] - walks.geometry.means[voxel]) @ walks.geometry.normals[voxel])
        flat = np.abs(walks.geometry.normals[near] @ walks.geometry.normals[voxel]) > 0.9
        alike = np.abs(walks.geometry.colours[near] - walks.geometry.colours[voxel]).sum(axis=1) < 0.3
        patch = np.union1d(near[flat & alike & (height < 0.7 * walks.geometry.size)], [voxel])
        if len(patch) >= self.settings.least_patch or reach < self.settings.patch:
            return patch
        means = walks.geometry.means
        nearest = walks.tree.query(means[voxel], min(self.settings.least_patch, len(means)))[1]
        return np.union1d(patch, nearest)


def product(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Matrix product on torch's threads: numpy's stay awake after one for a while, and in the network's way."""
    result: NDArray[np.float32] = (torch.from_numpy(first) @ torch.from_numpy(second)).numpy()
    return result


def walked_from(walks: Walks, patch: NDArray[np.int64], ground: bool) -> NDArray[np.float32]:
    """A⁻¹ of a unit source spread over the patch."""
    source = np.zeros(len(walks.geometry.means))
    source[patch] = 1 / len(patch)
    return walks.solver(ground)(source).astype(np.float32)
