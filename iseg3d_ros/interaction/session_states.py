"""What an operator has made at one moment, and such states as JSON: each by what it changes of the one before."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.boxes import box_of
from iseg3d_ros.interaction.point_edits import Edit

BACKGROUND = ""
FORMAT = 5  # 2 knew no edits, and of objects the names alone; 3 no boxes by hand; 4 no parts
READABLE = (1, 2, 3, 4, FORMAT)
Json = dict[str, Any]
next_revision = itertools.count(secrets.randbits(40)).__next__  # tells lists apart, also from those before a restart


@dataclass(frozen=True)
class SessionObject:
    """An object of the operator's: an id that never changes, a name that may, and what else is said of it.

    `locked`: its points stay as they are. `attributes`: names and values in the order in which they were given.
    `box`: the numbers of one that was given by hand (`geometry.boxes.Box.numbers`); () for the one around its points.
    `within`: the id of the object that it is a part of; "" where it is a part of none.
    """

    id: str
    name: str
    category: str = ""
    locked: bool = False
    attributes: tuple[tuple[str, str], ...] = ()
    box: tuple[float, ...] = ()
    within: str = BACKGROUND

    def details(self) -> Json:
        """What is said beside the name, as JSON; nothing where nothing is."""
        said = {"category": self.category, "locked": self.locked, "attributes": dict(self.attributes),
                "box": list(self.box), "within": self.within}  # fmt: skip
        return {name: value for name, value in said.items() if value}


def detailed(item: SessionObject, details: Json) -> SessionObject:
    """The object with some details changed; ValueError for others than there are."""
    changes: Json = {}
    for name, value in details.items():
        match name, value:
            case "category", str():
                changes[name] = limits.checked_name(value, "class")
            case "locked", bool():
                changes[name] = value
            case "attributes", dict() if len(value) <= limits.ATTRIBUTES:
                pairs = ((str(each), str(said)) for each, said in value.items())
                changes[name] = tuple((limits.checked_name(each), limits.checked_name(said)) for each, said in pairs)
            case "box", list() | tuple():
                changes[name] = box_of(value).numbers() if value else ()
            case "within", str():
                changes[name] = value
            case _:
                raise ValueError(f"Of an object nothing like {name}: {value!r} can be said.")
    return replace(item, **changes)


@dataclass(frozen=True)
class State:
    """Everything that undo takes back."""

    objects: tuple[SessionObject, ...] = ()
    clicks: tuple[Click, ...] = ()
    active: str = BACKGROUND
    made: int = 0  # objects ever made here: ids are not used twice
    edits: tuple[Edit, ...] = ()  # points by hand

    def without(self, id: str) -> State:
        """The state without an object and its parts, their clicks and their edits."""
        within = {item.id: item.within for item in self.objects}
        ids = {each for each in within if id in (each, *ancestors(each, within))}
        gone = [place for place, click in enumerate(self.clicks) if click.id in ids]
        edits = (
            replace(edit, after=edit.after - sum(place < edit.after for place in gone))
            for edit in self.edits if edit.id not in ids
        )  # fmt: skip
        return replace(
            self,
            objects=tuple(item for item in self.objects if item.id not in ids),
            clicks=tuple(click for click in self.clicks if click.id not in ids),
            edits=tuple(edits),
            active=BACKGROUND if self.active in ids else self.active,
        )


def ancestors(id: str, within: Mapping[str, str]) -> list[str]:
    """What an object is a part of, what that is a part of, and so on; `within`: of each object what it is a part of."""
    found: list[str] = []
    while id := within.get(id, BACKGROUND):
        found.append(id)
    return found


@dataclass(frozen=True)
class StateHistory:
    """States in their order, of which `present` holds; those behind it were undone.

    `revision` is another one whenever the list is: what was chosen in an older list is not meant for this one.
    """

    states: tuple[State, ...] = (State(),)
    present: int = 0
    revision: int = field(default_factory=next_revision, compare=False)

    @classmethod
    def bounded(cls, states: Sequence[State], present: int) -> StateHistory:
        """The states around the one that holds, as far as limits.HISTORY steps lead from the first."""
        first = max(present - limits.HISTORY, 0)
        return cls(tuple(states[first : first + 1 + limits.HISTORY]), present - first)

    @property
    def state(self) -> State:
        """The one that holds."""
        return self.states[self.present]

    @property
    def undone(self) -> int:
        """How many steps can be done again."""
        return len(self.states) - 1 - self.present

    def then(self, state: State) -> StateHistory:
        """With one step more; what was undone is forgotten, and the oldest steps beyond limits.HISTORY."""
        states = (*self.states[: self.present + 1], state)[-1 - limits.HISTORY :]
        return StateHistory(states, len(states) - 1)

    def moved(self, by: int) -> StateHistory:
        """So many steps back (negative) or forward in the same list; ValueError where it has not as many."""
        if not 0 <= self.present + by < len(self.states):
            raise ValueError(f"There is nothing to {'redo' if by > 0 else 'undo'}.")
        return replace(self, present=self.present + by)

    def way(self, revision: int, to: int) -> int:
        """How many steps it is to a state of the list with that revision; ValueError where that is another list."""
        if revision != self.revision or not 0 <= to < len(self.states):
            raise ValueError("Something else was done meanwhile, so the list is another one: choose again.")
        return to - self.present


def point_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Three finite numbers; ValueError in words where they are not."""
    try:
        x, y, z = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"A click's point must be three numbers, not {values!r}.") from error
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f"A click's point must be three finite numbers, not {values!r}.")
    return x, y, z


def to_json(states: Sequence[State], present: int) -> Json:
    """States in their order, of which `present` is the one that holds: a hundred steps cost little more than one."""
    return {"format": FORMAT, "states": list(_steps(states)), "present": present}


def from_json(content: Any) -> tuple[list[State], int]:
    """What `to_json` or version 0.1 wrote; ValueError says why it is neither."""
    try:
        if content["format"] == 1:
            states = [_old_state(item) for item in content["past"]]
            states += [_old_state(item) for item in (content["state"], *reversed(content["future"]))]
            return states, len(content["past"])
        if content["format"] not in READABLE:
            raise ValueError(f"its format is {content['format']}, this version reads {', '.join(map(str, READABLE))}")
        states = list(_follow(content["states"]))
        present = content["present"]
        if type(present) is not int or not 0 <= present < len(states):
            raise ValueError(f"it has {len(states)} states, and {present!r} is none of them")
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"something in it is missing or of another kind: {error!r}") from error
    return states, present


def _steps(states: Sequence[State]) -> Iterator[Json]:
    before = State()
    for state in states:
        step = {
            "objects": _change(before.objects, state.objects, _object_row),
            "clicks": _change(before.clicks, state.clicks, lambda item: [*item.point, item.id]),
            "active": state.active,
            "made": state.made,
        }
        if state.edits:
            step["edits"] = _change(before.edits, state.edits, lambda edit: [edit.id, edit.after, edit.points])
        yield step
        before = state


def _object_row(item: SessionObject) -> list[Any]:
    details = item.details()
    return [item.id, item.name, details] if details else [item.id, item.name]


def _change(before: tuple[Any, ...], now: tuple[Any, ...], plain: Any) -> list[Any]:
    """How many stay from the beginning, and what follows them."""
    kept = len(before) if now[: len(before)] == before else 0
    while kept < min(len(before), len(now)) and before[kept] == now[kept]:
        kept += 1
    return [kept, [plain(item) for item in now[kept:]]]


def _follow(steps: Sequence[Json]) -> Iterator[State]:
    state = State()
    for step in steps:
        objects = tuple(
            detailed(SessionObject(str(id), str(name)), dict(*more)) for id, name, *more in step["objects"][1]
        )
        kept, rows = step.get("edits", [0, []])
        edits = tuple(Edit(str(id), str(points), _count(after)) for id, after, points in rows)
        clicks = tuple(Click(point_of((x, y, z)), str(id)) for x, y, z, id in step["clicks"][1])
        state = _checked(
            State(
                (*state.objects[: _count(step["objects"][0])], *objects),
                (*state.clicks[: _count(step["clicks"][0])], *clicks),
                str(step["active"]),
                int(step["made"]),
                (*state.edits[: _count(kept)], *edits),
            )
        )
        yield state


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of things that stay")
    return value


def _old_state(values: Json) -> State:
    objects = tuple(SessionObject(str(item["id"]), str(item["name"])) for item in values["objects"])
    clicks = tuple(Click(point_of(item["point"]), str(item["id"])) for item in values["clicks"])
    return _checked(State(objects, clicks, str(values["active"]), int(values["made"])))


def _checked(state: State) -> State:
    """Refused where it does not hold together."""
    ids = {item.id for item in state.objects}
    stray = {click.id for click in state.clicks} | {edit.id for edit in state.edits} | {state.active}
    if stray - ids - {BACKGROUND} or len(ids) != len(state.objects):
        raise ValueError("its clicks and objects do not belong together")
    before = {BACKGROUND}
    for item in state.objects:
        if item.within not in before:
            raise ValueError(f"{item.id!r} is a part of {item.within!r}, which is no object before it")
        before.add(item.id)
    return state
