"""One operator's work: named objects with ids that stay, clicks in order, undo and redo, saved and restored exactly."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.part_results import PartResults
from iseg3d_ros.interaction.point_edits import Edit, pack
from iseg3d_ros.interaction.scene_model import SceneModel, number_clicks
from iseg3d_ros.interaction.session_files import read_session, write_session
from iseg3d_ros.interaction.session_states import (
    BACKGROUND,
    Json,
    SessionObject,
    State,
    StateHistory,
    detailed,
    from_json,
    point_of,
    to_json,
)
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene

Action = dict[str, Any]  # JSON: "action" (click, add, rename, remove, select, undo, redo, clear, …) and its values
MENTIONED = 20  # ids in a sentence
NUMBERED = re.compile(r"object_(\d{1,9})$")


class InteractiveSession:
    """Objects and clicks on one cloud. Every verb is one step to undo; `step()` makes several verbs one step.

    `on_change` is called with every action before it counts: where it raises, nothing has happened. `replay` carries
    out such an action again. Results follow from cloud, model and clicks alone: names, selection and history cost none.
    """

    def __init__(self, predictor: Predictor, on_change: Callable[[Action], object] | None = None) -> None:
        self.predictor, self.on_change = predictor, on_change
        self.model = SceneModel(predictor)
        self._results = PartResults()
        self._state = State()
        self._ids: dict[str, None] = {}  # of the state's objects, in their order
        self._history = StateHistory()  # of whole steps: inside of one, `_state` is ahead of it
        self._refuses_far = False  # clicks that hit nothing: where the cloud was given here
        self._step: list[Action] | None = None  # the actions of the step under way

    @property
    def scene(self) -> Scene | None:
        """The encoded cloud."""
        return self.model.scene

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """The objects; label k of a result is the k-th of them."""
        return self._state.objects

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks in the order they were given."""
        return self._state.clicks

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The points that were given by hand, in order."""
        return self._state.edits

    @property
    def ids(self) -> list[str]:
        """The objects' ids in the order of their labels."""
        return [*self._ids]

    @property
    def active(self) -> str:
        """The id of the object that clicks go to, "" where there is none."""
        return self._state.active

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.present > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.undone > 0

    @property
    def history(self) -> StateHistory:
        """The states that undo and redo lead to; `interaction.steps` tells what was done between them."""
        return self._history

    def set_cloud(self, xyz: np.ndarray, rgb: np.ndarray | None = None, up: Sequence[float] | None = None) -> Scene:
        """Work on another cloud: it is encoded, and objects and clicks start anew."""
        scene = self.model.encode(xyz, rgb, up)
        self._refuses_far = True
        self._go_on(StateHistory())
        return scene

    def prepare(self, cloud: CurrentCloud) -> None:
        """Encode a cloud now; objects and clicks stay."""
        self.model.prepare(cloud)
        self._refuses_far = True

    def add(self, name: str = "", id: str = "", **details: Any) -> str:
        """Make an object, the active one from now on; its id, which is made up where none is given.

        `details`: as of `describe`, and `within`, the object that it is a part of: clicks on it are answered within
        that one's points. A click on that one says from then on what is not the part.
        """
        if len(self.objects) >= limits.OBJECTS:
            raise ValueError(f"There are {limits.OBJECTS} objects, as many as a scene can hold: remove some first.")
        made = self._state.made + 1
        while not id and f"object_{made}" in self._ids:
            made += 1
        id = limits.checked_name(id or f"object_{made}", "id")
        if id in self._ids:
            raise ValueError(f"There is an object {id!r} already; choose another id or click on that one.")
        number = NUMBERED.match(id)
        new = SessionObject(id, limits.checked_name(name or id))
        if details:
            new = detailed(new, details)
        if new.within:
            self._known(new.within)
        changes = {"objects": (*self.objects, new), "active": id, "made": max(made, int(number[1]) if number else 0)}
        said = {"details": details} if details else {}
        self._do({"action": "add", "id": id, "name": new.name, **said}, **changes)
        return id

    def rename(self, id: str, name: str) -> None:
        """Give an object another name; its id stays."""
        self._known(id)
        limits.checked_name(name)
        objects = tuple(replace(item, name=name) if item.id == id else item for item in self.objects)
        self._do({"action": "rename", "id": id, "name": name}, objects=objects)

    def describe(self, id: str, **details: Any) -> None:
        """Say more of an object: its `category`, its `attributes` (a dict), whether it is `locked`, its `box`."""
        self._known(id)
        if "within" in details:
            raise ValueError("What an object is a part of is said at its beginning: begin another one.")
        objects = tuple(detailed(item, details) if item.id == id else item for item in self.objects)
        if objects != self.objects:
            self._do({"action": "describe", "id": id, "details": details}, objects=objects)

    def edit(self, id: str, points: np.ndarray | str) -> None:
        """Give points of the cloud (indices, or packed ones) to an object; to the background with ""."""
        if id != BACKGROUND:
            self._known(id)
        if len(self.edits) >= limits.EDITS:
            raise ValueError(f"There are {limits.EDITS} edits, as many as are kept: save, and import that.")
        edit = Edit(id, points if isinstance(points, str) else pack(points), len(self.clicks))
        if not len(edit.indices):
            raise ValueError("There is no point to change here.")
        self._do({"action": "edit", "id": id, "points": edit.points}, edits=(*self.edits, edit))

    def remove(self, id: str) -> None:
        """Remove an object with its clicks, and its parts."""
        self._known(id)
        left = self._state.without(id)
        changes = {"objects": left.objects, "clicks": left.clicks, "edits": left.edits, "active": left.active}
        self._do({"action": "remove", "id": id}, **changes)

    def select(self, id: str) -> None:
        """Make an object the active one; "" for none."""
        if id != BACKGROUND:
            self._known(id)
        if id != self.active:
            self._do({"action": "select", "id": id}, active=id)

    def click(self, point: Sequence[float], id: str | None = None) -> None:
        """Click on an object by its id, on the background with "", or on the active object."""
        if id is None:
            if not self.active:
                raise ValueError("No object is active; add or select one, or say which object the click is on.")
            id = self.active
        if id != BACKGROUND:
            self._known(id)
        if len(self.clicks) >= limits.CLICKS:
            raise ValueError(f"There are {limits.CLICKS} clicks, as many as are kept: remove an object, or clear.")
        place = point_of(point)
        if self._refuses_far and self.scene is not None:
            self.scene.voxel_of(Click(place))  # refuses what hits nothing
        self._do({"action": "click", "point": list(place), "id": id}, clicks=(*self.clicks, Click(place, id)))

    def undo(self) -> None:
        """Take the last step back."""
        self.go(-1)

    def redo(self) -> None:
        """Do the last undone step again."""
        self.go(1)

    def go(self, by: int) -> None:
        """Take so many steps back (negative), or do as many undone ones again: all at once, and exactly."""
        there = self._history.moved(by)
        if by:
            self.record({"action": {-1: "undo", 1: "redo"}[by]} if abs(by) == 1 else {"action": "go", "by": by})
            self._go_on(there)

    def clear(self) -> None:
        """Forget objects and clicks; this can be undone."""
        self._do({"action": "clear"}, objects=(), clicks=(), edits=(), active=BACKGROUND)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """All that happens inside is one step; after an error nothing of it has happened."""
        if self._step is not None:
            yield  # a step in a step is part of it
            return
        before = self._history
        actions: list[Action] = []
        self._step = actions
        try:
            yield
            self._step = None
            if actions:
                self.record(actions[0] if len(actions) == 1 else {"action": "step", "actions": actions})
        except BaseException:
            self._go_on(before)
            raise
        finally:
            self._step = None
        if self._state != before.state:
            self._history = before.then(self._state)

    def record(self, action: Action) -> None:
        """Hand an action to `on_change`; inside a step it waits for the step's end."""
        if self._step is not None:
            self._step.append(action)
        elif self.on_change is not None:
            self.on_change(action)

    def replay(self, action: Action) -> None:
        """Carry out an action that `on_change` was given; others than this session's own are left to the caller."""
        match action:
            case {"action": "step", "actions": actions}:
                with self.step():
                    for each in actions:
                        self.replay(each)
            case {"action": "add", "id": id, "name": name, **more}:
                self.add(name, id, **more.get("details", {}))
            case {"action": "click", "point": point, "id": id}:
                self.click(point, id)
            case {"action": "rename", "id": id, "name": name}:
                self.rename(id, name)
            case {"action": "describe", "id": id, "details": details}:
                self.describe(id, **details)
            case {"action": "edit", "id": id, "points": str(points)}:
                self.edit(id, points)
            case {"action": "remove" | "select" as verb, "id": id}:
                getattr(self, verb)(id)
            case {"action": "undo" | "redo" | "clear" as verb}:
                getattr(self, verb)()
            case {"action": "go", "by": int(by)}:
                self.go(by)

    def library_clicks(self) -> list[Click]:
        """The clicks as `Predictor.segment` takes them: object k is the k-th of `objects`, 0 the background."""
        return number_clicks(self.clicks, self.ids)

    def segment(self) -> Segmentation:
        """The labels for the clicks and edits so far; computed once for the same, whatever came in between."""
        return self._results.result(self.model, self.objects, self.clicks, self.edits)

    def recompute(self) -> None:
        """Nothing that was computed or stored counts any more."""
        self.model.recompute()

    def content(self) -> Json:
        """Objects, clicks and history as JSON."""
        return {**to_json(self._history.states, self._history.present), "model": self._model()}

    def take_content(self, content: Json) -> None:
        """Go on with what `content` gave, of this version or 0.1; the cloud is the caller's matter."""
        states, present = from_json(content)
        self._go_on(StateHistory.bounded(states, present))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write objects, clicks and history as JSON with a checksum; the file is replaced as a whole."""
        write_session(Path(path), self.content())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Take up saved work, history included; the cloud is the caller's matter."""
        try:
            self.take_content(read_session(Path(path)))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved session, or is damaged ({error}).") from error

    def take_up(self, other: InteractiveSession) -> None:
        """Go on with another session's work as it stands now, history included; the cloud is the caller's matter."""
        self._go_on(other._history)

    @property
    def every_click(self) -> set[Click]:
        """The clicks of the present state and of those that undo and redo lead to."""
        return {click for state in (*self._history.states, self._state) for click in state.clicks}

    def _model(self) -> Action:
        return {} if self.predictor is None else {"name": self.predictor.name, "hash": self.predictor.hash}

    def _do(self, action: Action, **changes: Any) -> None:
        self.record(action)
        before, self._state = self._state, replace(self._state, **changes)
        if self._step is None:
            self._history = self._history.then(self._state)
        if action["action"] == "add":
            self._ids[action["id"]] = None
        elif self._state.objects is not before.objects:
            self._ids = dict.fromkeys(item.id for item in self._state.objects)

    def _go_on(self, history: StateHistory) -> None:
        self._history, self._state = history, history.state
        self._ids = dict.fromkeys(item.id for item in self._state.objects)

    def _known(self, id: str) -> None:
        if id not in self._ids:
            known = named(self._ids)
            raise ValueError(f"There is no object {id!r}; the objects are {known}.")


Session = InteractiveSession  # the name in the public API


def named(ids: Iterable[str]) -> str:
    """Ids in a sentence: the first of them, where they are many."""
    first = [*itertools.islice(ids, MENTIONED + 1)]
    return f"{', '.join(first[:MENTIONED])}{' …' if len(first) > MENTIONED else ''}" or "none yet"
