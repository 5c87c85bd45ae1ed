"""Buffers that a thread keeps between operations: on a CPU a fresh page costs as much as filling it."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

KEPT = 1 << 23  # numbers that a thread keeps a buffer for, 32 MB in single precision
_kept = threading.local()


def scratch(name: str, rows: int, width: int, like: Tensor) -> Tensor:
    """A buffer (rows, width), until the thread's next call with that name; a fresh one where it is not on a CPU."""
    if like.device.type != "cpu" or rows * width > KEPT:
        return like.new_empty(rows, width)
    kept: Tensor | None = getattr(_kept, name, None)
    if kept is None or kept.numel() < rows * width or kept.dtype != like.dtype:
        with torch.inference_mode(False):  # so that training may write to it as well
            kept = torch.empty(rows * width, dtype=like.dtype)
        setattr(_kept, name, kept)
    return kept[: rows * width].view(rows, width)
