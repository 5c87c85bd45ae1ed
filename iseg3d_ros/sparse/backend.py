"""Which of the two implementations computes a convolution: plain torch, or spconv where it is faster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

BACKENDS = ("auto", "torch", "spconv")
_chosen: ContextVar[str | None] = ContextVar("sparse_backend", default=None)


def chosen() -> str:
    """The back end asked for: by `backend(...)`, else by the environment's ISEG3D_SPARSE, else "auto"."""
    return _chosen.get() or _checked(os.environ.get("ISEG3D_SPARSE", "auto"))


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Within the block convolutions run on "torch", "spconv" or "auto" (the faster one on that device)."""
    token = _chosen.set(_checked(name))
    try:
        yield
    finally:
        _chosen.reset(token)


def _checked(name: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"The sparse back end must be one of {', '.join(BACKENDS)}, not {name!r}.")
    return name
