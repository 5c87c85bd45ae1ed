"""What a page asks for, as commands: everything that comes is checked, for anybody may send anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import (
    AddClick,
    Capture,
    Carry,
    Classify,
    Clear,
    Command,
    Describe,
    GoTo,
    Introduce,
    Lock,
    Merge,
    Open,
    OpenScan,
    Paint,
    Peek,
    Propose,
    Redo,
    Remove,
    Rename,
    Review,
    Save,
    Select,
    SetBox,
    Setup,
    Split,
    TakeOver,
    Undo,
)
from iseg3d_ros.console.regions import region_of
from iseg3d_ros.console.updates import Place, StateUpdate
from iseg3d_ros.geometry.boxes import Box, box_of

SIMPLE: dict[str, Command] = {
    "undo": Undo(), "redo": Redo(), "clear": Clear(), "capture": Capture(),
}  # fmt: skip


def command_of(
    request: dict[str, Any], state: StateUpdate, place: Callable[[dict[str, Any]], Place], origin: np.ndarray
) -> Command | None:
    """The command that a request means, None where it means none.

    `place` finds the point that was clicked on, `origin` is what the page's coordinates are less than the cloud's.
    """
    match request:
        case {"do": "click", "id": str(id), "new": bool(new)}:
            return AddClick(Click(place(request), id), new, _text(request, "name"), _text(request, "within"))
        case {"do": "peek", "id": str(id), "new": bool(new)}:
            return Peek(Click(place(request), id), new)
        case {"do": "accept"} if state.suggestion is not None:
            return AddClick(Click(state.suggestion.point, state.suggestion.id))
        case {"do": "propose"}:
            return Propose(_text(request, "class"))
        case {"do": "select", "id": str(id)}:
            return Select(id)
        case {"do": "remove", "id": str(id)}:
            return Remove(id)
        case {"do": "rename", "id": str(id), "name": str(name)} if name.strip():
            return Rename(id, name.strip()[: limits.NAME])
        case {"do": "classify", "id": str(id), "category": str(category)}:
            return Classify(id, category[: limits.NAME])
        case {"do": "merge", "into": str(into), "id": str(id)}:
            return Merge(into, id)
        case {"do": "describe", "id": str(id), "attribute": str(attribute), "value": str(value)}:
            return Describe(id, attribute[: limits.NAME], value[: limits.NAME])
        case {"do": "lock", "id": str(id), "on": bool(on)}:
            return Lock(id, on)
        case {"do": "split", "id": str(id)}:
            return Split(id)
        case {"do": "paint", "id": str(id), "takes": bool(takes), "region": region, "hidden": list(hidden)}:
            return Paint(region_of(region, origin), id, takes, tuple(each for each in hidden if type(each) is int))
        case {"do": "box", "id": str(id), "box": list(numbers)}:
            return SetBox(id, _moved(numbers, origin))
        case {"do": "box", "id": str(id), "box": ("aligned" | "") as fit}:
            return SetBox(id, fit)
        case {"do": "history", "revision": int(revision), "to": int(to)} if min(revision, to) >= 0:
            return GoTo(revision % (1 << 63), min(to, limits.HISTORY + 1))
        case {"do": "carry", "on": bool(on)}:
            return Carry(on)
        case {"do": "setup", "model": str(model), "voxel": int() | float() as voxel, "mode": str(mode)}:
            return Setup(model, float(voxel), mode)
        case {"do": "save", "name": str(name), "format": str(kind)}:
            return Save(name[: limits.NAME], kind)
        case {"do": "open", "name": str(name)}:
            return Open(name[: limits.NAME])
        case {"do": "scan", "number": int(number)}:
            return OpenScan(number)
        case {"do": "take over", "word": str(word)}:
            return TakeOver(limits.one_line(word, limits.NAME))
        case {"do": "introduce", "name": str(name)}:
            return Introduce(name.strip()[: limits.NAME])
        case {"do": "review", "state": str(progress)}:
            return Review(progress)
        case {"do": str(verb)}:
            return SIMPLE.get(verb)
    return None


def _text(request: dict[str, Any], name: str) -> str:
    """What may be said with a request; "" where nothing is."""
    value = request.get(name)
    return value.strip()[: limits.NAME] if isinstance(value, str) else ""


def _moved(numbers: list[Any], origin: np.ndarray) -> tuple[float, ...]:
    """A box of the page in the cloud's frame; ValueError where it is none."""
    if not all(isinstance(value, int | float) for value in numbers):
        raise ValueError("A box is made of numbers.")
    box = box_of(numbers)
    return Box(box.centre + origin, box.rotation, box.size).numbers()


def wanted_of(request: dict[str, Any]) -> dict[int, int]:
    """The tiles of a request for points: number to count."""
    rows = request.get("tiles")
    if not isinstance(rows, list):
        return {}
    pairs = [row for row in rows[:1000] if isinstance(row, list) and len(row) == 2]
    return {tile: count for tile, count in pairs if isinstance(tile, int) and isinstance(count, int) and count > 0}
