"""A cloud as a page is sent it: tiles whose points stand so that each beginning of a tile is an even selection of it.

A page draws of each tile as many points, from the beginning, as it needs where it looks from. So ten million points
are as many draw calls as there are tiles, and no more points than the page can draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.console.thinning import spacing, thin
from iseg3d_ros.console.updates import CloudUpdate, Place
from iseg3d_ros.geometry.boxes import Box, oriented_box
from iseg3d_ros.preprocessing.up_direction import find_up, is_optical

FIRST = 60_000  # points that are sent before the cloud is sorted
EVEN = 300_000  # points that are spread evenly over the whole cloud, before the rest comes by chance
TILE = 60_000  # points of a tile, where that makes no more than 2 ** DEPTH tiles
DEPTH = 5
SAMPLE = 20_000  # points at which directions and extents are measured
FAR = 1e3  # metres from the origin at which float32 on a graphics card begins to show its steps
STEPS = 65_535  # of a coordinate within its tile


@dataclass(frozen=True, eq=False)
class Tiles:
    """Points of a cloud less `origin`, those that are finite, tile by tile in `order`.

    Tile t is `order[begins[t]:begins[t + 1]]` and lies within `low[t]` and `low[t] + size[t]`. `room` holds nearly all.
    """

    cloud: CloudUpdate
    origin: NDArray[np.float64]
    order: NDArray[np.int32]
    begins: NDArray[np.int64]
    low: NDArray[np.float32]
    size: NDArray[np.float32]
    up: NDArray[np.float64]
    room: Box
    spacing: float
    sensor: NDArray[np.float64] | None  # where the one camera stood that saw it all, less `origin`
    first: bool = False  # some of the points, shown until all are sorted

    @classmethod
    def beginning(cls, cloud: CloudUpdate) -> Tiles:
        """Some of the points at once, in one tile."""
        chosen = np.arange(0, len(cloud.xyz), max(1, -(-len(cloud.xyz) // FIRST)))
        origin = _origin(cloud.xyz)
        local = (cloud.xyz[chosen] - origin).astype(np.float32)
        keep = np.isfinite(local).all(axis=1)
        chosen, local = chosen[keep], local[keep]
        order = np.random.default_rng(0).permutation(len(chosen))
        return cls._of(cloud, origin, chosen[order].astype(np.int32), np.array([0, len(chosen)]), local, True)

    @classmethod
    def of(cls, cloud: CloudUpdate) -> Tiles:
        """All of them, sorted."""
        origin = _origin(cloud.xyz)
        local = np.ascontiguousarray(cloud.xyz - origin if origin.any() else cloud.xyz, np.float32)
        finite = np.flatnonzero(np.isfinite(local).all(axis=1)).astype(np.int32)
        local = local if len(finite) == len(local) else local[finite]
        depth = int(np.clip(np.ceil(np.log2(max(len(local), 1) / TILE)), 0, DEPTH))
        key = 2 * tiles_of(local, depth) + 1
        even = thin(local, EVEN)
        key[even] -= 1
        mixed = np.random.default_rng(0).permutation(np.arange(len(local), dtype=np.int32))
        mixed = mixed[np.argsort(key[mixed], kind="stable")]
        begins = np.searchsorted(key[mixed], 2 * np.arange((1 << depth) + 1))
        return cls._of(cloud, origin, finite[mixed], begins, local[even])

    @classmethod
    def _of(
        cls, cloud: CloudUpdate, origin: NDArray[np.float64], order: NDArray[np.int32], begins: NDArray[np.int64],
        even: NDArray[np.float32], first: bool = False,
    ) -> Tiles:  # fmt: skip
        begins = np.unique(begins)  # without empty tiles
        pieces = [cloud.xyz[order[a:b]] - origin for a, b in zip(begins[:-1], begins[1:], strict=True)]
        low = np.array([piece.min(axis=0) for piece in pieces], np.float32).reshape(-1, 3)
        high = np.array([piece.max(axis=0) for piece in pieces], np.float32).reshape(-1, 3)
        some = even[:: max(1, len(even) // SAMPLE)]
        up = find_up(some) if len(some) > 10 else np.array([0.0, 0.0, 1.0])
        some_taken = (cloud.xyz[order[:: max(1, len(order) // SAMPLE)]] - origin).astype(np.float64)
        sensor = -origin if len(some) > 10 and is_optical(some_taken + origin) else None
        room = room_of(some_taken, up)
        return cls(cloud, origin, order, begins, low, high - low, up, room, spacing(even), sensor, first)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.low)

    def indices(self, tile: int, first: int, last: int) -> NDArray[np.int32]:
        """Which points of the cloud the tile's points `first` to `last` are."""
        begin = int(self.begins[tile])
        return self.order[begin + first : min(begin + last, int(self.begins[tile + 1]))]

    def place(self, tile: int, index: int) -> Place:
        """A point of a tile, in the cloud's own frame."""
        if not 0 <= tile < self.count or not 0 <= index < self.begins[tile + 1] - self.begins[tile]:
            raise ValueError("There is no such point in the cloud that is shown: click again.")
        x, y, z = (float(value) for value in self.cloud.xyz[self.order[self.begins[tile] + index]])
        return x, y, z

    def positions(self, tile: int, chosen: NDArray[np.int32]) -> NDArray[np.uint16]:
        """In steps of the tile's box (M, 4); the fourth is not used, it keeps them on a graphics card's grid."""
        steps = np.zeros((len(chosen), 4), np.uint16)
        local = self.cloud.xyz[chosen] - (self.origin + self.low[tile])
        steps[:, :3] = np.rint(np.clip(local / np.maximum(self.size[tile], 1e-9), 0, 1) * STEPS)
        return steps

    def colours(self, chosen: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Red, green, blue and intensity (M, 4)."""
        values = np.zeros((len(chosen), 4), np.uint8)
        if self.cloud.rgb is not None:
            values[:, :3] = self.cloud.rgb[chosen]
        if self.cloud.intensity is not None:
            values[:, 3] = np.clip(255 * self.cloud.intensity[chosen] / self._brightest, 0, 255)
        return values

    @property
    def _brightest(self) -> float:
        assert self.cloud.intensity is not None
        some = self.cloud.intensity[:: max(1, len(self.cloud.intensity) // SAMPLE)]
        return max(float(np.nanpercentile(some, 98)), 1e-6)

    def described(self) -> dict[str, Any]:
        """What a page is told before the points."""
        return {
            "kind": "cloud", "serial": self.cloud.serial, "first": self.first, "points": len(self.cloud.xyz),
            "counts": np.diff(self.begins).tolist(), "low": self.low.tolist(), "size": self.size.tolist(),
            "up": self.up.tolist(), "spacing": self.spacing, "origin": self.origin.tolist(), "frame": self.cloud.frame,
            "sensor": None if self.sensor is None else self.sensor.tolist(),
            "rgb": self.cloud.rgb is not None, "intensity": self.cloud.intensity is not None,
            "room": {"centre": self.room.centre.tolist(), "axes": self.room.rotation.T.tolist(),
                     "size": self.room.size.tolist()},
        }  # fmt: skip


def tiles_of(points: NDArray[np.float32], depth: int) -> NDArray[np.uint8]:
    """The tile (N,) of every point: halves along the longest side, again and again; found on a sample."""
    tile = np.zeros(len(points), np.uint8)
    some = points[:: max(1, len(points) // (10 * SAMPLE))]
    mine = np.zeros(len(some), np.uint8)
    rows = 3 * np.arange(len(points))
    for level in range(depth):
        axis, middle = np.zeros(1 << level, np.intp), np.zeros(1 << level, np.float32)
        for number in range(1 << level):
            inside = some[mine == number]
            if len(inside):
                axis[number] = np.ptp(np.percentile(inside, [2, 98], axis=0), axis=0).argmax()
                middle[number] = np.median(inside[:, axis[number]])
        mine = 2 * mine + (some[np.arange(len(some)), axis[mine]] > middle[mine])
        tile = 2 * tile + (points.ravel()[rows + axis[tile]] > middle[tile])
    return tile


def room_of(points: NDArray[np.float64], up: NDArray[np.float64]) -> Box:
    """The upright box that holds nearly all points: what a camera is pointed at."""
    if len(points) < 4:
        return Box(points.mean(axis=0) if len(points) else np.zeros(3), np.eye(3), np.ones(3))
    axes = oriented_box(points, up).rotation
    low, high = np.percentile(points @ axes, [1, 99], axis=0)
    return Box(axes @ ((low + high) / 2), axes, np.maximum(high - low, 0.01))


def _origin(xyz: np.ndarray) -> NDArray[np.float64]:
    """Whole metres near the middle of a cloud that is far away, otherwise zero."""
    some = xyz[:: max(1, len(xyz) // 10000)].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    middle = np.median(some, axis=0) if len(some) else np.zeros(3)
    return np.round(middle) if np.abs(middle).max() > FAR else np.zeros(3)
