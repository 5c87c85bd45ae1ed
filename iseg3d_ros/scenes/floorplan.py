"""Which parts of a room's floor are taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.room_shell import Shell

CELL = 0.05  # metres of the floor plan's grid
Place = tuple[float, float, float]  # x, y, yaw


class Plan:
    """Which parts of a room's floor are taken."""

    def __init__(self, room: Shell) -> None:
        self.room = room
        self.taken = np.zeros((int(room.width / CELL) + 1, int(room.depth / CELL) + 1), bool)

    def take(self, place: Place, width: float, depth: float) -> bool:
        """Claim a turned rectangle; False (and nothing claimed) where it does not fit."""
        cells = self._cells(place, width, depth)
        inside = (cells >= 0).all() and (cells < self.taken.shape).all()
        if not inside or len(cells) == 0 or self.taken[cells[:, 0], cells[:, 1]].any():
            return False
        self.taken[cells[:, 0], cells[:, 1]] = True
        return True

    def free(self, x: float, y: float) -> bool:
        """Whether nothing stands at a point."""
        i, j = int((x - self.room.corner[0]) / CELL), int((y - self.room.corner[1]) / CELL)
        return 0 <= i < self.taken.shape[0] and 0 <= j < self.taken.shape[1] and not self.taken[i, j]

    def _cells(self, place: Place, width: float, depth: float) -> NDArray[np.int64]:
        x, y, yaw = place[0] - self.room.corner[0], place[1] - self.room.corner[1], place[2]
        reach = np.arange(-np.hypot(width, depth) / 2, np.hypot(width, depth) / 2 + CELL, CELL * 0.7)
        across, along = (part.ravel() for part in np.meshgrid(reach, reach, indexing="ij"))
        c, s = np.cos(yaw), np.sin(yaw)
        inside = (np.abs(c * across + s * along) <= width / 2) & (np.abs(c * along - s * across) <= depth / 2)
        return np.floor(np.stack([x + across[inside], y + along[inside]], 1) / CELL).astype(np.int64)
