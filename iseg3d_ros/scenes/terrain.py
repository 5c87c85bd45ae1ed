"""Ground that slopes and undulates, with roads sunk by a kerb; it says how high anything on it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iseg3d_ros.scenes.shapes import Shape, grid_faces

EXTENT = 110.0  # half the edge of the modelled ground, metres
_ASPHALT, _PAVING, _GRASS = (0.2, 0.2, 0.2), (0.38, 0.36, 0.34), (0.16, 0.28, 0.08)


@dataclass(frozen=True)
class Road:
    """A straight road: along x (axis 0) or y (axis 1), its middle at `offset` on the other axis."""

    axis: int
    offset: float
    half_width: float
    pavement: float

    def outside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres beyond the kerb (negative on the road)."""
        return np.abs((y if self.axis == 0 else x) - self.offset) - self.half_width


class Terrain:
    """Slope, long waves and kerbs drawn once; `height` is then a plain function of place."""

    def __init__(self, rng: np.random.Generator, roads: tuple[Road, ...]) -> None:
        self.roads = roads
        self._kerb = rng.uniform(0.06, 0.18)
        self._slope = rng.normal(0, 0.015, 2)
        self._waves = np.column_stack([rng.normal(0, 0.03, (4, 2)), rng.uniform(0, 6.3, 4), rng.normal(0, 0.25, 4)])
        self._seed = int(rng.integers(1 << 31))

    def height(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Height of the ground, metres."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        raised = self._kerb * np.clip((self.beyond(x, y) + 0.02) / 0.04, 0, 1)
        return self.smooth(x, y) + raised

    def smooth(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Height without kerbs, zero at the origin."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        z = self._slope[0] * x + self._slope[1] * y
        for kx, ky, phase, size in self._waves:
            z = z + size * (np.sin(kx * x + ky * y + phase) - np.sin(phase))
        return z

    def beyond(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Metres beyond the nearest kerb (negative on a road)."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        return np.stack([road.outside(x, y) for road in self.roads]).min(axis=0)

    def tilt(self, x: float, y: float, yaw: float) -> tuple[float, float]:
        """Pitch and roll (radians) of something with wheels that heads along `yaw`."""
        c, s = np.cos(yaw), np.sin(yaw)
        ahead = self.smooth(x + c, y + s) - self.smooth(x - c, y - s)
        left = self.smooth(x - s, y + c) - self.smooth(x + s, y - c)
        return -float(np.arctan(ahead / 2)), float(np.arctan(left / 2))

    def shape(self) -> Shape:
        """Ground as a grid whose lines are close at the kerbs; grass beyond the pavements is rough."""
        x, y = np.meshgrid(self._lines(1), self._lines(0), indexing="ij")
        beyond = self.beyond(x, y)
        pavement = max(road.pavement for road in self.roads)
        rng = np.random.default_rng(self._seed)
        z = self.height(x, y) + rng.normal(0, 1, x.shape) * np.where(beyond > pavement, 0.03, 0.004)
        faces = grid_faces(*x.shape)
        at = beyond.reshape(-1)[faces].mean(1)
        grass = np.where(at > pavement, 1, 0)[:, None]
        colour = np.where(at[:, None] < 0, _ASPHALT, np.where(grass, _GRASS, _PAVING))
        return Shape().add(np.stack([x, y, z], -1).reshape(-1, 3), faces, colour)

    def _lines(self, axis: int) -> NDArray[np.float64]:
        """Grid lines across the roads of one axis: 2 m apart, and either side of each kerb."""
        lines = [np.arange(-EXTENT, EXTENT + 1, 2.0)]
        for road in self.roads:
            if road.axis == axis:
                edge = road.offset + np.array([-1, 1]) * road.half_width
                lines += [edge - 0.021, edge + 0.021]
        return np.unique(np.concatenate(lines).round(3))
