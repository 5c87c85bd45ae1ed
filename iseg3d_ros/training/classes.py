"""Which of Few-Click's semantic prototypes a class name belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from iseg3d_ros.models.vocabulary import PROTOTYPES, read_vocabulary

UNKNOWN = -100  # what a cross-entropy ignores


@lru_cache(maxsize=4)
def words(vocabulary: str = "") -> tuple[tuple[str, ...], ...]:
    """The words of each prototype: those of a file, or ours."""
    return read_vocabulary(vocabulary) if vocabulary else PROTOTYPES


def prototype(name: str, vocabulary: str = "") -> int:
    """The prototype of a class name, the first that one of its words is in; UNKNOWN where there is none."""
    name = name.lower()
    rows = enumerate(words(vocabulary))
    return next((k for k, row in rows if any(word.lower() in name for word in row)), UNKNOWN)


def prototypes(names: Sequence[str], vocabulary: str = "") -> Tensor:
    """One prototype a name, int64."""
    return torch.tensor([prototype(name, vocabulary) for name in names], dtype=torch.int64)
