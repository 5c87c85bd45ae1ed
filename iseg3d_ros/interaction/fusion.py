"""Clouds of several sensors that belong together in time, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io.pointcloud2_read import Points

GREY = 128  # colour of points whose sensor sees none, among others that do


@dataclass(frozen=True, eq=False)
class Bundle:
    """Messages of one moment: the number of each one's sensor, its time in nanoseconds, and the message itself."""

    parts: tuple[tuple[int, int, Any], ...]

    @property
    def header(self) -> Any:
        """That of the newest message."""
        return max(self.parts, key=lambda part: part[1])[2].header


class Bundler:
    """Gathers one message a sensor, until all are there or one of them would be a second of its sensor."""

    def __init__(self, sensors: int, window: Callable[[], float]) -> None:
        """`window`: seconds within which messages belong together."""
        self._sensors, self._window = sensors, window
        self._waiting: dict[int, tuple[int, Any]] = {}

    def add(self, sensor: int, stamp: int, message: Any) -> Bundle | None:
        """A message, and the bundle that it completes, if it does."""
        done = self._bundle() if sensor in self._waiting else None
        self._waiting[sensor] = stamp, message
        newest = max(each for each, _ in self._waiting.values())
        oldest = newest - self._window() * SECOND
        self._waiting = {number: item for number, item in self._waiting.items() if item[0] >= oldest}
        return self._bundle() if len(self._waiting) == self._sensors else done

    def _bundle(self) -> Bundle:
        parts = tuple((number, *self._waiting[number]) for number in sorted(self._waiting))
        self._waiting = {}
        return Bundle(parts)


def fused(clouds: Sequence[Points]) -> Points:
    """All points, one cloud after the other; where some have colours the others are grey."""
    rgb = None
    if any(cloud.rgb is not None for cloud in clouds):
        grey = [np.full((len(cloud), 3), GREY, np.uint8) if cloud.rgb is None else cloud.rgb for cloud in clouds]
        rgb = np.concatenate(grey)
    xyz = np.concatenate([cloud.xyz.T for cloud in clouds], axis=1).T
    return Points(xyz, rgb, None, None, (1, len(xyz)))
