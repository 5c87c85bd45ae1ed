"""An encoded cloud, and how an arbitrary cloud becomes one: cleaned, turned upright, quantised within limits."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iseg3d_ros.clicks import Click
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.preprocessing.boundary_refinement import Refiner
from iseg3d_ros.preprocessing.features import Cells, network_view
from iseg3d_ros.preprocessing.up_direction import find_up, is_optical, rotation_to_z
from iseg3d_ros.preprocessing.voxels import Voxels, lowest, voxelise

VOXEL_SIZES = {"tabletop": 0.01, "room": 0.05, "street": 0.15}
MAX_FLOAT32_METRES = 1e4  # metres from the origin beyond which an origin is subtracted: float32 rounds to a millimetre
MAX_SNAP_VOXELS = 8.0  # voxel edges from a click to the nearest point, at most


@dataclass(frozen=True)
class Scene:
    """One cloud, encoded once; immutable, shared by threads.

    `kept` are the indices of the points that take part; the others (NaN, infinite, cropped) get label 0.
    `voxels.representative` indexes the cloud as it was given, `voxels.inverse` the kept points. `notes` are sentences
    on what was done to the cloud.
    """

    points: int
    kept: NDArray[np.int64] | None
    origin: NDArray[np.float64]
    rotation: NDArray[np.float64]
    kind: str
    voxels: Voxels
    cloud: VoxelCloud
    refiner: Refiner
    tree: cKDTree
    corner: NDArray[np.float32]
    encoded: Any
    notes: tuple[str, ...] = ()

    def voxel_of(self, click: Click) -> int:
        """The voxel that a click is in, or the nearest one; refused in words where nothing is near."""
        place = numbers(click)
        local = ((place - self.origin) @ self.rotation.T).astype(np.float32)
        distance, nearest = self.tree.query(local)
        if distance > MAX_SNAP_VOXELS * self.voxels.size:
            where = ", ".join(f"{value:.3f}" for value in place)
            raise ValueError(
                f"The click at ({where}) is {distance:.2f} m from the nearest point of the cloud; "
                f"click within {MAX_SNAP_VOXELS * self.voxels.size:.2f} m of one."
            )
        return self._containing(local, int(nearest))

    def _containing(self, local: NDArray[np.float32], nearest: int) -> int:
        if distance_zero(self.tree.data[nearest], local):
            return nearest
        cell = np.floor((local - self.corner) / np.float32(self.voxels.size)).astype(np.int32)
        first, end = 0, len(self.voxels.coords)  # rows that agree so far; they are sorted by x, y, z
        for axis, wanted in enumerate(cell):
            column = self.voxels.coords[first:end, axis]
            first, end = first + np.searchsorted(column, np.array([wanted, wanted + 1], np.int32))
        return int(first) if first < end else nearest


def distance_zero(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two points are the same but for rounding."""
    return bool(np.allclose(first, second, rtol=1e-6, atol=1e-6))


def numbers(click: Click) -> NDArray[np.float64]:
    """A click's coordinates, refused where they are not three finite numbers."""
    try:
        place = np.asarray(click.point, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A click's point must be three numbers, not {click.point!r}.") from error
    if place.shape != (3,) or not np.isfinite(place).all():
        raise ValueError(f"A click's point must be three finite numbers, not {click.point!r}.")
    return place


@dataclass(frozen=True)
class Preparation:
    """How clouds are prepared for a network; `sizes` names a voxel size for each kind of scene."""

    features: tuple[str, ...]
    voxel_size: float | None
    sizes: Mapping[str, float]
    max_voxels: int
    crop_radius: float | None = None

    def __call__(
        self,
        xyz: np.ndarray,
        rgb: np.ndarray | None,
        up: Sequence[float] | None,
        only: NDArray[np.bool_] | None = None,
    ) -> Scene:
        """Everything of a scene but the network's own encoding; `only` some points, at the whole cloud's voxel size."""
        xyz, rgb = checked(xyz, rgb)
        kept, notes = self._kept(xyz)
        whole = points = xyz if kept is None else xyz[kept]
        if only is not None:
            kept = np.flatnonzero(only) if kept is None else kept[only[kept]]
            points = xyz[kept]
        colour = rgb if kept is None or rgb is None else rgb[kept]
        origin = np.zeros(3)
        if np.abs(points).max() > MAX_FLOAT32_METRES:
            origin = np.median(points[:: max(1, len(points) // 10000)], axis=0).astype(np.float64)
            points = points - origin
        whole = points if only is None else whole
        kind = kind_of(whole)
        rotation = rotation_to_z(find_up(whole) if up is None else np.asarray(up, np.float64))
        upright = np.ascontiguousarray(points @ rotation.T.astype(points.dtype), np.float32)
        voxels, more = self._voxels(upright, kind)
        cells = Cells(upright, colour, voxels)
        cloud, refiner = network_view(cells, self.features), Refiner.of(cells)
        if kept is not None:
            voxels = dataclasses.replace(voxels, representative=kept[voxels.representative])
        notes += more
        for note in notes:
            warnings.warn(note, stacklevel=3)
        return Scene(
            len(xyz), kept, origin, rotation, kind, voxels, cloud, refiner, cKDTree(voxels.points),
            lowest(upright), None, tuple(notes),
        )  # fmt: skip

    def _kept(self, xyz: np.ndarray) -> tuple[NDArray[np.int64] | None, list[str]]:
        good = np.logical_and.reduce([np.isfinite(column) for column in xyz.T])
        notes = [] if good.all() else [f"{(~good).sum()} of {len(xyz)} points are NaN or infinite; they get label 0."]
        if not good.any():
            raise ValueError("None of the cloud's points has finite coordinates.")
        if self.crop_radius is not None:
            near = good & (np.square(np.where(good[:, None], xyz, 0)).sum(axis=1) <= self.crop_radius**2)
            if not near.any():
                raise ValueError(f"No point lies within the crop radius of {self.crop_radius:g} m of the origin.")
            if (good & ~near).any():
                left = (good & ~near).sum()
                notes.append(f"{left} points beyond the crop radius of {self.crop_radius:g} m get label 0.")
            good = near
        return (None, notes) if good.all() else (np.flatnonzero(good), notes)

    def _voxels(self, xyz: np.ndarray, kind: str) -> tuple[Voxels, list[str]]:
        """The voxels, enlarged where the cloud has more of them than the network may be given."""
        wanted = size = self.voxel_size or self.sizes[kind]
        voxels = voxelise(xyz, size)
        while len(voxels) > self.max_voxels:
            size *= max(1.05, 1.02 * (len(voxels) / self.max_voxels) ** 0.5)  # surfaces: they go with 1/size²
            voxels = voxelise(xyz, size)
        if size == wanted:
            return voxels, []
        note = (
            f"The cloud has more than {self.max_voxels} voxels of {wanted:g} m; voxels of {size:.3g} m are used. "
            "Crop the cloud to keep the finer ones."
        )
        return voxels, [note]


def checked(xyz: np.ndarray, rgb: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Points and colours as arrays of the right shapes and types, or a sentence."""
    xyz = np.asarray(xyz)
    if xyz.ndim != 2 or xyz.shape[1] != 3 or xyz.dtype.kind not in "fiu":
        raise ValueError(f"Points must be numbers of the shape (N, 3), but these are {xyz.dtype} of {xyz.shape}.")
    if len(xyz) == 0:
        raise ValueError("The cloud has no points.")
    if xyz.dtype not in (np.float32, np.float64):
        xyz = xyz.astype(np.float64)
    if rgb is None:
        return xyz, None
    rgb = np.asarray(rgb)
    if rgb.shape != xyz.shape:
        raise ValueError(f"Colours have the shape {rgb.shape}, but the points {xyz.shape}; both must be (N, 3).")
    if rgb.dtype != np.uint8:
        raise ValueError(f"Colours must be uint8 from 0 to 255, not {rgb.dtype}.")
    return xyz, rgb


def kind_of(xyz: np.ndarray) -> str:
    """What the cloud shows, by its size: the longest side of the box that holds 96 % of each coordinate.

    Under 2.2 m it is a table top, under 25 m a room, otherwise a street. One camera's view of something nearer than
    1.5 m in the median is a table top too, whatever stands in the background.
    """
    sample = xyz[:: max(1, len(xyz) // 50000)]
    low, high = np.percentile(sample, [2, 98], axis=0)
    side = float((high - low).max())
    if side < 2.2 or (is_optical(sample) and float(np.median(np.linalg.norm(sample, axis=1))) < 1.5):
        return "tabletop"
    return "room" if side < 25 else "street"
