"""Which of Few-Click's 35 semantic prototypes a class name of our scenes belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

from iseg3d_ros.models.vocabulary import PROTOTYPES

UNKNOWN = -100  # what a cross-entropy ignores

def prototype(name: str) -> int:
    """The prototype of a class name, or UNKNOWN."""
    name = name.lower()
    return next((k for k, words in enumerate(PROTOTYPES) if any(word in name for word in words)), UNKNOWN)


def prototypes(names: list[str]) -> Tensor:
    """One prototype a name, int64."""
    return torch.tensor([prototype(name) for name in names], dtype=torch.int64)
