"""A search for objects in a cloud file, in short steps, so that an operator's commands go between."""

from __future__ import annotations

from iseg3d_ros.console.updates import Board, BusyUpdate, CloudUpdate, Message, ProposalsUpdate, Proposed
from iseg3d_ros.interaction.class_proposals import check_class, search_class
from iseg3d_ros.interaction.proposals import search
from iseg3d_ros.interaction.session import InteractiveSession


class Search:
    """Tells on the board how far it is, and in the end what it found."""

    def __init__(self, session: InteractiveSession, cloud: CloudUpdate, board: Board, class_name: str = "") -> None:
        """`class_name`: only things of this class, which the network must know; "": everything."""
        if session.scene is None:
            raise RuntimeError("There is no model yet; choose one.")
        if class_name:
            check_class(session.predictor, class_name)
            self._steps = search_class(session.predictor, session.scene, class_name)
        else:
            self._steps = search(session.predictor, session.scene, cloud.xyz)
        self._serial, self._board, self._name = cloud.serial, board, class_name or "object"

    def step(self) -> bool:
        """Whether there is more to do."""
        try:
            tried, of = next(self._steps)
        except StopIteration as end:
            found = tuple(Proposed(one.click.point, self._name, one.score, int(one.indices[0])) for one in end.value)
            kind = "" if self._name == "object" else f" of {self._name}"
            self._board.publish(BusyUpdate(), ProposalsUpdate(self._serial, found))
            self._board.publish(Message(f"{len(found)} proposals{kind}: click on those that are right."))
            return False
        except Exception as error:  # a model that fails must not end the page
            self._board.publish(BusyUpdate())
            self._board.publish(Message(f"The search for objects failed: {error}", refused=True))
            return False
        self._board.publish(BusyUpdate(f"looking for objects: {tried} of {of}"))
        return True
