"""Clicks at the level of parts. An extension, after the protocol of PartNet's tables: a shape stands alone.

An object's points become a cloud of their own, with voxels as fine as its size allows; what a network then segments in
it are parts, and nothing outside the object can be taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene

LEAST_POINTS = 10


@dataclass(frozen=True)
class PartLevel:
    """An object of a cloud, encoded alone; `rows` are its points' places in the cloud of `points`."""

    predictor: Predictor
    scene: Scene
    rows: NDArray[np.int64]
    points: int

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        xyz: np.ndarray,
        rgb: np.ndarray | None,
        inside: NDArray[np.bool_],
        up: Sequence[float] | None = None,
    ) -> PartLevel:
        """The object whose points `inside` (N,) marks; give `up`, which a single object hardly shows."""
        if np.shape(inside) != (len(xyz),):
            raise ValueError(f"The object's mask has the shape {np.shape(inside)}, not ({len(xyz)},).")
        rows = np.flatnonzero(inside)
        if len(rows) < LEAST_POINTS:
            raise ValueError(f"An object of {len(rows)} points has no parts to click: segment the object first.")
        return cls(predictor, predictor.encode(xyz[rows], None if rgb is None else rgb[rows], up), rows, len(xyz))

    def segment(self, clicks: Sequence[Click], previous: Segmentation | None = None) -> Segmentation:
        """Labels of the whole cloud: of the object's points its parts, 0 everywhere else, for certain."""
        last = None if previous is None else previous.labels[self.rows]
        found = self.predictor.segment(self.scene, clicks, last)
        return dataclasses.replace(
            found, labels=self._spread(found.labels, 0), probability=self._spread(found.probability, 1),
            uncertainty=self._spread(found.uncertainty, 0),
            variance=None if found.variance is None else self._spread(found.variance, 0),
        )  # fmt: skip

    def _spread(self, values: np.ndarray, elsewhere: float) -> np.ndarray:
        whole = np.full(self.points, elsewhere, values.dtype)
        whole[self.rows] = values
        return whole
