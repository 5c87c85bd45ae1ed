"""What an operator has made at one moment, and such states as JSON: each by what it changes of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click

BACKGROUND = ""
FORMAT = 2
Json = dict[str, Any]


@dataclass(frozen=True)
class SessionObject:
    """An object of the operator's: an id that never changes, and a name that may."""

    id: str
    name: str


@dataclass(frozen=True)
class State:
    """Everything that undo takes back."""

    objects: tuple[SessionObject, ...] = ()
    clicks: tuple[Click, ...] = ()
    active: str = BACKGROUND
    made: int = 0  # objects ever made here: ids are not used twice


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
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, this version reads 1 and {FORMAT}")
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
        yield {
            "objects": _change(before.objects, state.objects, lambda item: [item.id, item.name]),
            "clicks": _change(before.clicks, state.clicks, lambda item: [*item.point, item.id]),
            "active": state.active,
            "made": state.made,
        }
        before = state


def _change(before: tuple[Any, ...], now: tuple[Any, ...], plain: Any) -> list[Any]:
    """How many stay from the beginning, and what follows them."""
    kept = len(before) if now[: len(before)] == before else 0
    while kept < min(len(before), len(now)) and before[kept] == now[kept]:
        kept += 1
    return [kept, [plain(item) for item in now[kept:]]]


def _follow(steps: Sequence[Json]) -> Iterator[State]:
    state = State()
    for step in steps:
        objects = tuple(SessionObject(str(id), str(name)) for id, name in step["objects"][1])
        clicks = tuple(Click(point_of((x, y, z)), str(id)) for x, y, z, id in step["clicks"][1])
        state = _checked(
            State(
                (*state.objects[: _count(step["objects"][0])], *objects),
                (*state.clicks[: _count(step["clicks"][0])], *clicks),
                str(step["active"]),
                int(step["made"]),
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
    stray = {item.id for item in state.clicks} | {state.active} - {BACKGROUND}
    if stray - ids - {BACKGROUND} or len(ids) != len(state.objects):
        raise ValueError("its clicks and objects do not belong together")
    return state
