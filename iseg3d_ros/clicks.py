"""Clicks as a person gives them (metres) and as a network takes them (voxel indices)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Click:
    """A point in metres and the object it is on; a list of clicks is in the order in which they were given.

    `object`: a number for the library's calls (0 is the background, 1, 2, … are objects), an id in sessions ("" is the
    background). `frame`: empty for the cloud's own. `time` in seconds where it is known.
    """

    point: tuple[float, float, float]
    object: int | str = 1
    frame: str = ""
    time: float | None = None

    @property
    def id(self) -> str:
        """The object's id; "" for the background."""
        return str(self.object) if self.object else ""


@dataclass(frozen=True)
class Prompts:
    """Clicks of one cloud, in the order they were given: `voxel` int64 (K,), `label` int64 (K,) in 0..objects."""

    voxel: Tensor
    label: Tensor
    objects: int

    def __len__(self) -> int:
        return len(self.voxel)

    def of(self, label: int) -> Tensor:
        """The voxels clicked for one object (0 = background)."""
        return self.voxel[self.label == label]

    def without(self, labels: Tensor) -> Prompts:
        """The clicks that concern other objects, and those on the background."""
        kept = (self.label == 0) | ~torch.isin(self.label, labels)
        return Prompts(self.voxel[kept], self.label[kept], self.objects)

    def to(self, device: torch.device | str) -> Prompts:
        """The same clicks on another device."""
        return Prompts(self.voxel.to(device), self.label.to(device), self.objects)


@dataclass(frozen=True)
class Numbering:
    """Object numbers may have gaps: `used` holds them in order, and the network sees 1..len(used)."""

    used: NDArray[np.int64]

    @classmethod
    def of(cls, clicks: Sequence[Click]) -> Numbering:
        """The numbering of these clicks' objects; refused where one is not a whole number from 0 on."""
        for click in clicks:
            if isinstance(click.object, bool) or not isinstance(click.object, int | np.integer) or click.object < 0:
                raise ValueError(
                    "A click's object must be a whole number, 0 for background and 1, 2, … for objects, "
                    f"not {click.object!r}."
                )
        return cls(np.unique([int(click.object) for click in clicks if click.object]).astype(np.int64))

    def compact(self, labels: np.ndarray) -> NDArray[np.int64]:
        """Given numbers to the network's; 0 for those that are not used."""
        at = np.searchsorted(self.used, labels)
        known = (at < len(self.used)) & (np.append(self.used, -1)[at] == labels)
        return np.where(known, at + 1, 0)

    def given(self) -> NDArray[np.int32]:
        """The network's numbers to the given ones."""
        return np.concatenate([[0], self.used]).astype(np.int32)
