"""What a page shows of the proposals: those that no object holds yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from iseg3d_ros.console import wire
from iseg3d_ros.console.updates import LabelsUpdate, Place, ProposalsUpdate, Proposed


class Offered:
    """Proposals for a cloud with points `xyz`, each by its number."""

    def __init__(self, told: ProposalsUpdate, xyz: np.ndarray) -> None:
        self._told = told
        self._index = [_nearest(each, xyz) for each in told.proposals]

    def message(self, result: LabelsUpdate | None, origin: np.ndarray) -> dict[str, Any]:
        """Those that are open, with this result (None: nothing is labelled yet)."""
        there = result is not None and result.serial == self._told.serial
        labels = result.labels if result is not None and there else None
        taken = [labels is not None and -1 < row < len(labels) and labels[row] > 0 for row in self._index]
        open = [number for number, is_taken in enumerate(taken) if not is_taken]
        return wire.proposals_message(self._told, open, origin)

    def place(self, serial: int, number: int) -> Place:
        """The point that a proposal's click is on."""
        if serial != self._told.serial or not 0 <= number < len(self._told.proposals):
            raise ValueError("That proposal has been replaced: click on what is shown now.")
        return self._told.proposals[number].point


def _nearest(proposed: Proposed, xyz: np.ndarray) -> int:
    """A point of the thing that was proposed."""
    if proposed.index >= 0 or len(xyz) == 0:
        return proposed.index
    away = ((xyz - np.asarray(proposed.point, xyz.dtype)) ** 2).sum(1)
    return int(np.nanargmin(away))
