"""A journal's work, done again: the same objects, names, clicks, history, active object, cloud and masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import Stored
from iseg3d_ros.interaction.session import Action, InteractiveSession
from iseg3d_ros.interaction.stored_arrays import MASKS, Places, cloud_of, masks_of

BEGIN = "begin"  # the action that a journal's work begins with: a whole state, where it did not begin with nothing
NAMING = ("click", "rename", "select", "edit", "describe")  # actions that name an object


class Replay:
    """Fed with states and actions in order; nothing that is damaged stops it. `notes` says what could not be done."""

    def __init__(self, session: InteractiveSession, given: CurrentCloud | None = None) -> None:
        """`given`: the cloud, where it is not the journal that keeps it."""
        self.session, self.cloud, self._given = session, given, given is not None
        self.held = False  # whether the cloud stays until it is cleared
        self.notes: list[str] = []
        self._places: Places = {}
        self._earlier: set[Click] = set()  # given before that cloud came; where they are in it, `_places` says
        self._masks: Stored | None = None
        self._failed = 0

    def state(
        self, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None, places_all: bool = True
    ) -> None:
        """A whole state in place of all before it; `places_all`: a click without a place is not in the cloud."""
        try:
            self.session.take_content(content["session"])
        except (ValueError, LookupError, TypeError) as error:
            self.notes.append(f"the saved work cannot be understood, beginning anew: {error}")
            return
        self.held = content.get("held") is True
        self._take(arrays)
        if not places_all:
            self._earlier = set()

    def action(self, action: Action, arrays: Mapping[str, np.ndarray] | None) -> None:
        """What was done next."""
        if action.get("action") == BEGIN:
            self.state(action, arrays)
            return
        self._take(arrays)
        try:
            self._repeat(action)
        except (ValueError, LookupError, TypeError, AttributeError):
            self._failed += 1
            return
        verbs = {each["action"] for each in flat(action)}
        self.held = (self.held or bool(verbs & {"click", "capture"})) and "clear" not in verbs
        self.held |= bool(verbs & {"undo", "go"}) and bool(self.session.clicks)

    def finish(self) -> Places:
        """Where the clicks are in the cloud; the masks, if they are its own, are the session's from now on."""
        if self._failed:
            self.notes.append(f"{self._failed} actions could not be repeated: what they build on is damaged")
        if self._masks is not None and self.cloud is not None:
            self.session.model.store(self._masks, self.cloud)
            predictor = self.session.predictor
            if predictor is not None and self._masks.hash != predictor.hash:
                self.notes.append(
                    "the saved masks were computed by another model or other weights: they stay as they were until "
                    "the next click, or until the model is chosen anew"
                )
        return {click: click for click in self.session.every_click - self._earlier} | self._places

    def lose_cloud(self, reason: str) -> None:
        """The cloud of the next action is gone or damaged: what was clicked on it has no place any more."""
        self.notes.append(reason)
        if not self._given:
            self.cloud, self._places, self._masks = None, {}, None

    def _take(self, arrays: Mapping[str, np.ndarray] | None) -> None:
        """A cloud with the places of the clicks so far, and its masks."""
        if not arrays:
            return
        try:
            if "xyz" in arrays:
                self.cloud, self._places = cloud_of(arrays)
                self._earlier, self._masks = self.session.every_click, None
        except (ValueError, TypeError, OverflowError) as error:
            self.notes.append(f"the saved cloud cannot be used: {error}")
            return
        masks = {name.removeprefix(MASKS): values for name, values in arrays.items() if name.startswith(MASKS)}
        if masks and self.cloud is not None:
            try:
                self._masks = masks_of(masks, len(self.cloud.points))
            except (ValueError, KeyError, TypeError, OverflowError):
                self._masks = None  # they are computed

    def _repeat(self, action: Action) -> None:
        try:
            self.session.replay(action)
        except ValueError:  # an object that was made by a damaged action comes back with the next that names it
            ids = [str(each["id"]) for each in flat(action) if each["action"] in NAMING]
            unknown = [id for id in dict.fromkeys(ids) if id and id not in self.session.ids]
            if not unknown:
                raise
            with self.session.step():
                for id in unknown:
                    self.session.add(id=id)
                self.session.replay(action)


def flat(action: Action) -> Iterator[Action]:
    """An action, or those that a step is made of."""
    if action["action"] == "step":
        for each in action["actions"]:
            yield from flat(each)
    else:
        yield action
