"""What a click would hold in the cloud of a file."""

from __future__ import annotations

from iseg3d_ros.console.protocol import Peek
from iseg3d_ros.console.updates import CloudUpdate, PeekUpdate
from iseg3d_ros.interaction.looking_ahead import LookAhead, some
from iseg3d_ros.interaction.session import InteractiveSession


class Peeks:
    """Looks ahead on one cloud with one model."""

    def __init__(self, session: InteractiveSession, cloud: CloudUpdate) -> None:
        self._session, self._cloud, self._ahead = session, cloud, LookAhead()

    def look(self, peek: Peek) -> PeekUpdate | None:
        """The points that the object would have; None where the model is too slow, or there is nothing to look at.

        Nor at a part of an object, for which that would have to be encoded alone.
        """
        session = self._session
        if session.scene is None or any(item.within for item in session.objects if item.id == peek.click.id):
            return None
        held = self._ahead.rows(session.predictor, session.scene, session.clicks, peek.click, peek.new)
        if held is None:
            return None
        return PeekUpdate(self._cloud.serial, peek.click.point, self._cloud.xyz[some(held)])
