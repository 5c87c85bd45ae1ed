"""What a click would hold, before anybody makes it: nothing of it is kept."""

from __future__ import annotations

import time

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import Peek
from iseg3d_ros.console.updates import CloudUpdate, PeekUpdate
from iseg3d_ros.interaction.session import InteractiveSession

SHOWN = 400  # points of a mask that a page draws
SLOW = 0.3  # seconds: a model that takes longer for a mask is not asked again, as a click would have to wait for it


class Peeks:
    """Looks ahead on one cloud with one model, as long as that is quick."""

    def __init__(self, session: InteractiveSession, cloud: CloudUpdate) -> None:
        self._session, self._cloud = session, cloud
        self._slow = 0  # answers that took too long, one after the other

    def look(self, peek: Peek) -> PeekUpdate | None:
        """The points that the object would have; None where the model is too slow, or there is nothing to look at.

        Nor at a part of an object, for which that would have to be encoded alone.
        """
        session, start = self._session, time.perf_counter()
        if session.scene is None or self._slow > 1:  # the first one may have had to prepare things
            return None
        if any(item.within for item in session.objects if item.id == peek.click.id):
            return None
        own = [] if peek.new else [Click(c.point, int(c.id == peek.click.id)) for c in session.clicks
                                   if c.id in (peek.click.id, "")]  # fmt: skip
        result = session.predictor.segment(session.scene, [*own, Click(peek.click.point, 1)])
        held = np.flatnonzero(result.labels == 1)
        self._slow = self._slow + 1 if time.perf_counter() - start > SLOW else 0
        some = held if len(held) <= SHOWN else np.random.default_rng(0).choice(held, SHOWN, replace=False)
        return PeekUpdate(self._cloud.serial, peek.click.point, self._cloud.xyz[some])
