"""What goes over the web socket: small things as JSON text, arrays as binary frames that a page reads in place.

A binary frame is the length of a JSON header (uint32, little-endian), the header, and the arrays; each part begins at a
multiple of eight bytes. The header names the arrays in order: name, type, count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from iseg3d_ros.console.updates import ObjectState, PeekUpdate, ProposalsUpdate, StateUpdate

GRID = 8


def frame(header: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """A binary frame."""
    described = [[name, values.dtype.name, values.size] for name, values in arrays.items()]
    text = json.dumps({**header, "arrays": described}).encode()
    text += b" " * (-(4 + len(text)) % GRID)
    parts = [len(text).to_bytes(4, "little"), text]
    for values in arrays.values():
        data = np.ascontiguousarray(values).tobytes()
        parts += [data, bytes(-len(data) % GRID)]
    return b"".join(parts)


def message(content: dict[str, Any]) -> str:
    """A text message; what is not finite becomes null, which JSON has a word for."""
    return json.dumps(_plain(content), separators=(",", ":"))


def state_message(state: StateUpdate, origin: np.ndarray) -> dict[str, Any]:
    """The state of the work, in a page's coordinates: those of the cloud less `origin`."""
    hint = state.suggestion
    return {
        "kind": "state",
        "objects": [_object(item, origin) for item in state.objects],
        "active": state.active,
        "background": [_local(place, origin) for place in state.background],
        "suggestion": None if hint is None else {"at": _local(hint.point, origin), "id": hint.id},
        "undo": state.can_undo, "redo": state.can_redo, "mode": state.mode, "model": state.model,
        "encode": state.encode_ms, "segment": state.segment_ms,
        "classes": list(state.classes),
    }  # fmt: skip


def proposals_message(told: ProposalsUpdate, open: Sequence[int], origin: np.ndarray) -> dict[str, Any]:
    """The proposals with these numbers."""
    shown = [(number, told.proposals[number]) for number in open]
    return {
        "kind": "proposals", "serial": told.serial,
        "all": [{"number": number, "at": _local(each.point, origin), "name": each.name, "score": each.score}
                for number, each in shown],
    }  # fmt: skip


def peek_message(told: PeekUpdate, origin: np.ndarray) -> dict[str, Any]:
    """Where a click was thought of, and points that it would hold."""
    points = (np.asarray(told.points, float) - origin).round(4).tolist()
    return {"kind": "peek", "serial": told.serial, "at": _local(told.point, origin), "points": points}


def _object(item: ObjectState, origin: np.ndarray) -> dict[str, Any]:
    box = None
    if item.box is not None:
        box = {
            "centre": _local(item.box.centre, origin),
            "axes": item.box.rotation.T.tolist(),
            "size": item.box.size.tolist(),
        }
    return {
        "id": item.id, "name": item.name, "index": item.index, "colour": list(item.colour), "points": item.points,
        "sure": item.confidence, "lost": item.lost, "clicks": [_local(place, origin) for place in item.clicks],
        "box": box, "category": item.category, "locked": item.locked, "attributes": dict(item.attributes),
        "boxed": item.boxed, "guesses": [list(each) for each in item.guesses],
        "within": item.within,
    }  # fmt: skip


def _local(place: Any, origin: np.ndarray) -> list[float]:
    return (np.asarray(place, np.float64) - origin).tolist()  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
