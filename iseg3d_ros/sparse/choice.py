"""Which of the two implementations computes a convolution: plain torch, or spconv where it is faster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from iseg3d_ros.sparse import spconv_convolution

BACKENDS = ("auto", "torch", "spconv")
_chosen: ContextVar[str | None] = ContextVar("sparse_backend", default=None)


def chosen() -> str:
    """The back end asked for: by `backend(...)`, else by the environment's ISEG3D_SPARSE, else "auto"."""
    return _chosen.get() or _checked(os.environ.get("ISEG3D_SPARSE", "auto"))


def use_spconv(features: Tensor, kernel_size: int) -> bool:
    """Whether spconv computes this submanifold convolution; "auto" takes it on a GPU, where its fused kernels win."""
    name, device = chosen(), features.device
    if name == "torch" or (name == "auto" and (device.type != "cuda" or features.ndim == 3)):
        return False
    if not spconv_convolution.available(device.type):
        if name == "spconv":
            build = "spconv-cu126" if device.type == "cuda" else "spconv"
            raise RuntimeError(
                f"The spconv back end was asked for, but the package {build!r} is missing: install it with pip."
            )
        return False
    half = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16
    return not half and spconv_convolution.runs(features, kernel_size, device)


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
