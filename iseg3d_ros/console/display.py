"""What of a cloud is drawn: a copy thinned to what a browser can draw, and the colour of each of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, StateUpdate
from iseg3d_ros.io.picture import TINT
from iseg3d_ros.preprocessing.up_direction import find_up
from iseg3d_ros.preprocessing.voxels import voxelise

MOST = 300_000  # points that are drawn; a tablet draws as many
FAR = 1e3  # metres from the origin at which float32 on a graphics card begins to show its steps
# Certain to doubtful: Inferno's ends are dark and light, so that doubt shines.
DOUBT = np.array([[12, 8, 38], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)


@dataclass(frozen=True, eq=False)
class Display:
    """A cloud ready to be drawn and picked in.

    `local` float32 (N, 3): all points less `origin`; `chosen` (M,): those that are drawn; `base` float32 (M, 3): their
    own colours; `height` (N,) metres along `up`; `spacing`: metres between drawn points.
    """

    serial: int
    origin: NDArray[np.float64]
    local: NDArray[np.float32]
    chosen: NDArray[np.int64]
    base: NDArray[np.float32]
    up: NDArray[np.float64]
    height: NDArray[np.float32]
    spacing: float

    @classmethod
    def of(cls, cloud: CloudUpdate, most: int = MOST) -> Display:
        """Prepare a cloud; points that are not finite are neither drawn nor picked."""
        origin = _origin(cloud.xyz)
        local = np.ascontiguousarray(cloud.xyz - origin if origin.any() else cloud.xyz, np.float32)
        finite = np.flatnonzero(np.isfinite(local).all(axis=1))
        chosen = finite[thin(local[finite], most)]
        points = local[chosen]
        up = find_up(points) if len(points) > 10 else np.array([0.0, 0.0, 1.0])
        height = local @ up.astype(np.float32)
        base = _base(height[chosen], None if cloud.rgb is None else cloud.rgb[chosen])
        return cls(cloud.serial, origin, local, chosen, base, up, height, spacing(points))

    def place(self, index: int) -> tuple[float, float, float]:
        """A point in the cloud's own frame."""
        x, y, z = (float(value) for value in self.local[index].astype(np.float64) + self.origin)
        return x, y, z

    def shown(self, labels: LabelsUpdate | None, hidden: NDArray[np.bool_], below: float) -> NDArray[np.bool_]:
        """Which points (N,) are neither hidden with their object nor above the cut."""
        seen = self.height <= below
        if labels is not None and hidden.any():
            seen &= ~hidden[np.minimum(labels.labels, len(hidden) - 1)]
        return seen

    def colours(self, labels: LabelsUpdate | None, palette: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Objects tinted with their colours; `palette` (objects + 1, 3) by label."""
        if labels is None:
            return self.base.astype(np.uint8)
        label = np.minimum(labels.labels[self.chosen], len(palette) - 1)
        grey = self.base.mean(axis=1, keepdims=True)
        tint = TINT * palette[label] * (0.55 + 0.45 * np.minimum(grey / 160, 1)) + (1 - TINT) * self.base
        return np.where((label > 0)[:, None], tint, self.base).clip(0, 255).astype(np.uint8)

    def doubts(self, labels: LabelsUpdate, objects: int) -> NDArray[np.uint8]:
        """Coloured by entropy from 0 to its largest value, log(objects + 1)."""
        share = labels.uncertainty[self.chosen] / np.log(max(objects, 1) + 1)
        steps = np.linspace(0, 1, len(DOUBT))
        channels = [np.interp(np.nan_to_num(share), steps, DOUBT[:, channel]) for channel in range(3)]
        return np.stack(channels, axis=1).astype(np.uint8)


def palette(state: StateUpdate) -> NDArray[np.float32]:
    """Colours by label; row 0 is not used."""
    table = np.full((max((item.index for item in state.objects), default=0) + 1, 3), 128, np.float32)
    for item in state.objects:
        table[item.index] = item.colour
    return table


def thin(points: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Indices of at most `most` points, spread evenly: the first point of each voxel, of a size found by trial."""
    if len(points) <= most:
        return np.arange(len(points))
    coarse = np.arange(0, len(points), max(1, len(points) // (6 * most)))  # a few points a voxel are enough
    candidates = points[coarse]
    low, high = np.percentile(candidates[:: max(1, len(candidates) // 20000)], [1, 99], axis=0)
    size = max(float(np.linalg.norm(high - low)) / np.sqrt(most), 1e-4)
    for _ in range(8):
        kept = voxelise(candidates, size).representative
        if 0.6 * most <= len(kept) <= most:
            break
        size *= float(np.clip(np.sqrt(len(kept) / (0.8 * most)), 0.3, 3))  # surfaces: voxels go with 1/size²
    return coarse[kept] if len(kept) <= most else coarse[kept[:: -(-len(kept) // most)]]


def spacing(points: NDArray[np.float32], sample: int = 20_000) -> float:
    """Metres between neighbours on a surface, from a sample: distances there go with 1/sqrt(share)."""
    if len(points) < 2:
        return 0.01
    step = max(1, len(points) // sample)
    some = points[::step]
    nearest = cKDTree(some).query(some[:: max(1, len(some) // 2000)], k=2)[0][:, 1]
    return max(float(np.median(nearest)) / np.sqrt(step), 1e-4)


def _origin(xyz: np.ndarray) -> NDArray[np.float64]:
    """Whole metres near the middle of a cloud that is far away, otherwise zero."""
    some = xyz[:: max(1, len(xyz) // 10000)].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    middle = np.median(some, axis=0) if len(some) else np.zeros(3)
    return np.round(middle) if np.abs(middle).max() > FAR else np.zeros(3)


def _base(height: NDArray[np.float32], rgb: np.ndarray | None) -> NDArray[np.float32]:
    """The cloud's own colours, or greys by height."""
    if rgb is not None:
        return rgb.astype(np.float32)
    low, high = np.percentile(height, [2, 98]) if len(height) else (0.0, 1.0)
    grey = 70 + 130 * np.clip((height - low) / max(float(high - low), 1e-6), 0, 1)
    return np.repeat(grey[:, None], 3, axis=1).astype(np.float32)
