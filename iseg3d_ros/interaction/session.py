"""One operator's work: named objects with ids that stay, clicks in order, undo and redo, saved and restored exactly."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene

FORMAT = 1
BACKGROUND = ""
HISTORY = 100  # steps that can be undone


@dataclass(frozen=True)
class SessionObject:
    """An object of the operator's: an id that never changes, and a name that may."""

    id: str
    name: str


@dataclass(frozen=True)
class SessionClick:
    """A click and the id of its object; "" is the background."""

    point: tuple[float, float, float]
    id: str


@dataclass(frozen=True)
class State:
    """Everything that undo takes back."""

    objects: tuple[SessionObject, ...] = ()
    clicks: tuple[SessionClick, ...] = ()
    active: str = BACKGROUND
    made: int = 0  # objects ever made here: ids are not used twice


class Session:
    """Objects and clicks on one cloud. Every verb is one step to undo; `step()` makes several verbs one step."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.scene: Scene | None = None
        self._state = State()
        self._past: list[State] = []
        self._future: list[State] = []
        self._depth = 0
        self._result: tuple[State, Segmentation] | None = None

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """The objects; label k of a result is the k-th of them."""
        return self._state.objects

    @property
    def clicks(self) -> tuple[SessionClick, ...]:
        """The clicks in the order they were given."""
        return self._state.clicks

    @property
    def active(self) -> str:
        """The id of the object that clicks go to, "" where there is none."""
        return self._state.active

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._future)

    def set_cloud(self, xyz: np.ndarray, rgb: np.ndarray | None = None, up: Sequence[float] | None = None) -> Scene:
        """Work on another cloud: it is encoded, and objects and clicks start anew."""
        self.scene = self.predictor.encode(xyz, rgb, up)
        self._state, self._past, self._future, self._result = State(), [], [], None
        return self.scene

    def add(self, name: str = "", id: str = "") -> str:
        """Make an object, the active one from now on; its id, which is made up where none is given."""
        made = self._state.made + 1
        while not id and f"object_{made}" in self._ids():
            made += 1
        id = id or f"object_{made}"
        if id in self._ids():
            raise ValueError(f"There is an object {id!r} already; choose another id or click on that one.")
        new = SessionObject(id, name or id)
        self._do(objects=(*self.objects, new), active=id, made=made)
        return id

    def rename(self, id: str, name: str) -> None:
        """Give an object another name; its id stays."""
        self._known(id)
        self._do(objects=tuple(replace(item, name=name) if item.id == id else item for item in self.objects))

    def remove(self, id: str) -> None:
        """Remove an object with its clicks."""
        self._known(id)
        objects = tuple(item for item in self.objects if item.id != id)
        clicks = tuple(item for item in self.clicks if item.id != id)
        self._do(objects=objects, clicks=clicks, active=BACKGROUND if self.active == id else self.active)

    def select(self, id: str) -> None:
        """Make an object the active one; "" for none."""
        if id != BACKGROUND:
            self._known(id)
        if id != self.active:
            self._do(active=id)

    def click(self, point: Sequence[float], id: str | None = None) -> None:
        """Click on an object by its id, on the background with "", or on the active object."""
        if id is None:
            if not self.active:
                raise ValueError("No object is active; add or select one, or say which object the click is on.")
            id = self.active
        if id != BACKGROUND:
            self._known(id)
        place = _point(point)
        if self.scene is not None:
            self.scene.voxel_of(Click(place))  # refuses what hits nothing
        self._do(clicks=(*self.clicks, SessionClick(place, id)))

    def undo(self) -> None:
        """Take the last step back."""
        if not self._past:
            raise ValueError("There is nothing to undo.")
        self._future.append(self._state)
        self._state = self._past.pop()

    def redo(self) -> None:
        """Do the last undone step again."""
        if not self._future:
            raise ValueError("There is nothing to redo.")
        self._past.append(self._state)
        self._state = self._future.pop()

    def clear(self) -> None:
        """Forget objects and clicks; this can be undone."""
        self._do(objects=(), clicks=(), active=BACKGROUND)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """All that happens inside is one step; after an error nothing of it has happened."""
        before, past, future = self._state, list(self._past), list(self._future)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._state, self._past, self._future = before, past, future
            raise
        finally:
            self._depth -= 1
        if self._depth == 0 and self._state != before:
            self._past, self._future = [*past, before][-HISTORY:], []

    def library_clicks(self) -> list[Click]:
        """The clicks as `Predictor.segment` takes them: object k is the k-th of `objects`, 0 the background."""
        number = {item.id: index for index, item in enumerate(self.objects, 1)}
        return [Click(item.point, number.get(item.id, 0)) for item in self.clicks]

    def segment(self) -> Segmentation:
        """The labels for the clicks so far; computed once for each state."""
        if self.scene is None:
            raise RuntimeError("There is no cloud to segment yet; call set_cloud first.")
        if self._result is None or self._result[0] != self._state:
            previous = self._result[1].labels if self._result and self._result[0].objects == self.objects else None
            result = self.predictor.segment(self.scene, self.library_clicks(), previous)
            self._result = (self._state, result)
        return self._result[1]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write objects, clicks and history as JSON; the file is replaced as a whole."""
        content = {
            "format": FORMAT,
            "state": asdict(self._state),
            "past": [asdict(state) for state in self._past],
            "future": [asdict(state) for state in self._future],
        }
        with replacing(path) as stream:
            stream.write(json.dumps(content, indent=1).encode())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Take up saved work, history included; the cloud is the caller's matter."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}, this version reads {FORMAT}")
            state, past, future = (
                _state(content["state"]),
                [_state(item) for item in content["past"]],
                [_state(item) for item in content["future"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a saved session, or is damaged ({error}).") from error
        self._state, self._past, self._future, self._result = state, past, future, None

    def take_up(self, other: Session) -> None:
        """Go on with another session's work as it stands now, history included; the cloud is the caller's matter."""
        self._state, self._past, self._future = other._state, list(other._past), list(other._future)
        self._result = None

    def _do(self, **changes: Any) -> None:
        if self._depth == 0:
            self._past = [*self._past, self._state][-HISTORY:]
            self._future = []
        self._state = replace(self._state, **changes)

    def _ids(self) -> list[str]:
        return [item.id for item in self.objects]

    def _known(self, id: str) -> None:
        if id not in self._ids():
            known = ", ".join(self._ids()) or "none yet"
            raise ValueError(f"There is no object {id!r}; the objects are {known}.")


def _point(values: Sequence[float]) -> tuple[float, float, float]:
    try:
        x, y, z = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A click's point must be three numbers, not {values!r}.") from error
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f"A click's point must be three finite numbers, not {values!r}.")
    return x, y, z


def _state(values: dict[str, Any]) -> State:
    """A state out of JSON, refused where it does not hold together."""
    objects = tuple(SessionObject(str(item["id"]), str(item["name"])) for item in values["objects"])
    clicks = tuple(SessionClick(_point(item["point"]), str(item["id"])) for item in values["clicks"])
    ids = {item.id for item in objects}
    stray = {item.id for item in clicks} - ids - {BACKGROUND} or {str(values["active"])} - ids - {BACKGROUND}
    if stray or len(ids) != len(objects):
        raise ValueError("its clicks and objects do not belong together")
    return State(objects, clicks, str(values["active"]), int(values["made"]))
