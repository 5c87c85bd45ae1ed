"""The library's predictor over shown clouds: encoded once a cloud, at the first clicks; objects without clicks rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import Shown
from iseg3d_ros.interaction.tracking import Mark
from iseg3d_ros.interaction.view import Masks
from iseg3d_ros.predictor import Predictor


class Model:
    """Keeps the scene of the newest cloud, and the times that the library took."""

    def __init__(self, predictor: Predictor, tell: Callable[[str], object]) -> None:
        """`tell` hears what the library did to a cloud besides segmenting it."""
        self.predictor, self._tell = predictor, tell
        self.encode_ms = 0.0
        self.segment_ms = 0.0
        self._scene: tuple[Shown, Any] | None = None

    @property
    def name(self) -> str:
        """The predictor's."""
        return self.predictor.name

    def masks(
        self, shown: Shown, marks: Sequence[Mark], ids: Sequence[str], previous: np.ndarray | None = None
    ) -> Masks:
        """Labels 1..M in the order of `ids`; an object none of whose clicks is in this cloud gets no points."""
        number = {name: index for index, name in enumerate(ids, 1)}
        clicks = [Click(mark.point, number.get(mark.id, 0)) for mark in marks]
        present = len({click.object for click in clicks} - {0})
        if present == 0 or len(shown.points) == 0:
            return nothing(len(shown.points), len(ids))
        scene = self._encoded(shown)
        start = time.perf_counter()
        result = self.predictor.segment(scene, clicks, previous)
        self.segment_ms = 1e3 * (time.perf_counter() - start)
        suggested = result.suggested_click
        place = None if suggested is None else (suggested.point, suggested.object)
        return Masks(result.labels, result.probability, result.uncertainty, result.variance, place, present)

    def up(self, shown: Shown) -> np.ndarray | None:
        """Which way is up in a cloud: as TF said, or as the library found when it encoded it."""
        if shown.up is None and self._scene is not None and self._scene[0] is shown:
            rotation: np.ndarray = self._scene[1].rotation  # takes up to z
            return rotation[2]
        return shown.up

    def _encoded(self, shown: Shown) -> Any:
        if self._scene is None or self._scene[0] is not shown:
            start = time.perf_counter()
            self._scene = None  # the old one's memory first
            up = None if shown.up is None else shown.up.tolist()
            scene = self.predictor.encode(shown.points.xyz, shown.points.rgb, up)
            self.encode_ms = 1e3 * (time.perf_counter() - start)
            self._scene = (shown, scene)
            for note in scene.notes:
                self._tell(note)
        return self._scene[1]


def nothing(points: int, objects: int) -> Masks:
    """All background, for certain: nobody has clicked."""
    zeros = np.zeros(points, np.float32)
    return Masks(np.zeros(points, np.int32), np.ones(points, np.float32), zeros, None, None, objects)
