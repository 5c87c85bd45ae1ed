"""What a click would hold, before anybody makes it: nothing of it is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.preprocessing.scene import Scene

SHOWN = 400  # points of a mask that a page draws
SLOW = 0.3  # seconds: a model that takes longer for a mask is not asked again, as a click would have to wait for it


class LookAhead:
    """Masks for clicks that nobody has made, as long as the model is quick."""

    def __init__(self) -> None:
        self._slow = 0  # answers that took too long, one after the other

    def rows(
        self, predictor: Predictor, scene: Scene, clicks: Sequence[Click], click: Click, new: bool
    ) -> NDArray[np.int64] | None:
        """The points that the click's object would have; None where the model is too slow, or learns from clicks.

        `clicks`: those that there are, with ids; `new`: the click begins an object.
        """
        learns = hasattr(predictor.network, "reset")  # from corrections, and so from those that nobody has made
        if learns or self._slow > 1:  # the first answer may have had to prepare things
            return None
        start = time.perf_counter()
        own = [] if new else [Click(c.point, int(c.id == click.id)) for c in clicks if c.id in (click.id, "")]
        result = predictor.segment(scene, [*own, Click(click.point, 1)])
        self._slow = self._slow + 1 if time.perf_counter() - start > SLOW else 0
        return np.flatnonzero(result.labels == 1)


def some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """As many of them as are shown."""
    return rows if len(rows) <= SHOWN else np.random.default_rng(0).choice(rows, SHOWN, replace=False)
