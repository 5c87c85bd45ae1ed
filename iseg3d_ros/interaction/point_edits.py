"""Points given to an object by hand, or by labels made elsewhere: beside the clicks in the state of a session."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros import limits

FREE = -1  # the label of a point that no edit speaks of


@dataclass(frozen=True)
class Edit:
    """These points are the object's from now on ("": the background's); `after` so many clicks had been given."""

    id: str
    points: str  # packed: see `pack`
    after: int = 0

    @cached_property
    def indices(self) -> NDArray[np.int64]:
        """The points in the cloud's order, ascending."""
        return unpack(self.points)


@dataclass(frozen=True)
class Pins:
    """What the edits say of each point: `label` int32 (N,), FREE where nothing; `since` so many clicks, int32 (N,)."""

    label: NDArray[np.int32]
    since: NDArray[np.int32]

    @classmethod
    def of(cls, edits: Sequence[Edit], ids: Sequence[str], points: int) -> Pins:
        """A later edit goes before an earlier one; points that the cloud does not have are left out."""
        number = {id: index for index, id in enumerate(ids, 1)}
        pins = cls(np.full(points, FREE, np.int32), np.zeros(points, np.int32))
        for edit in edits:
            chosen = edit.indices[: np.searchsorted(edit.indices, points)]
            pins.label[chosen], pins.since[chosen] = number.get(edit.id, 0), edit.after
        return pins


def pack(indices: np.ndarray) -> str:
    """Indices as text for JSON: ascending, their steps as uint32, deflated, in base 64."""
    chosen = np.unique(np.asarray(indices, np.int64))
    steps = np.diff(chosen, prepend=0)
    if len(chosen) and (chosen[0] < 0 or steps.max() >= 1 << 32):
        raise ValueError("The points of an edit are indices from 0 on.")
    return base64.b64encode(zlib.compress(steps.astype("<u4").tobytes(), 6)).decode("ascii")


def unpack(text: str) -> NDArray[np.int64]:
    """What `pack` was given; ValueError for anything else."""
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(text, validate=True), 4 * limits.EDITED_POINTS)
    except (binascii.Error, zlib.error, UnicodeError) as error:
        raise ValueError(f"an edit's points cannot be read: {error}") from error
    if not inflate.eof or len(data) % 4:
        raise ValueError("an edit's points are cut off, or more than a cloud can have")
    return np.cumsum(np.frombuffer(data, "<u4"), dtype=np.int64)
