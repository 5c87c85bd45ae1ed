"""Submanifold convolution by spconv, with this package's weights and maps."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.sparse.maps import Maps


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether spconv is installed and imports."""
    if importlib.util.find_spec("spconv") is None:
        return False
    try:
        import spconv.pytorch
    except (ImportError, OSError, RuntimeError):
        return False
    return spconv.pytorch is not None


def runs(features: Tensor, kernel_size: int, device: torch.device) -> bool:
    """Whether spconv has this convolution: odd kernels of more than one cell, no bf16, on CPU or CUDA."""
    odd = kernel_size % 2 == 1 and kernel_size > 1
    return odd and features.dtype != torch.bfloat16 and device.type in ("cpu", "cuda") and len(features) > 0


def submanifold(features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int) -> Tensor:
    """Features (V, C) or (V, G, C) under `weight` (K, cin, cout), like the plain implementation."""
    cin, cout = weight.shape[1:]
    layer = _layer(kernel_size, cin, cout, f"{stride}/{kernel_size}")
    # spconv keeps (cout, x, y, z, cin); its gradient flows back through the permutation.
    layer.weight = weight.permute(2, 0, 1).reshape(cout, kernel_size, kernel_size, kernel_size, cin).contiguous()
    frame = _frame(features, maps, stride)
    if features.ndim == 2:
        return layer(frame.replace_feature(features)).features  # type: ignore[no-any-return]
    sets = [layer(frame.replace_feature(f.contiguous())).features for f in features.unbind(1)]
    return torch.stack(sets, 1)


def _layer(kernel_size: int, cin: int, cout: int, key: str) -> Any:
    import spconv.pytorch as spconv

    layer = spconv.SubMConv3d(cin, cout, kernel_size, bias=False, indice_key=key)
    # The weight of the moment takes the parameter's place.
    del layer._parameters["weight"]
    return layer


def _frame(features: Tensor, maps: Maps, stride: int) -> Any:
    """spconv's tensor of the coordinates, with its index pairs, kept in the maps."""
    import spconv.pytorch as spconv

    key = ("spconv", stride)
    if key not in maps.extras:
        coords = maps.coords(stride).clone()
        coords[:, 1:] -= coords[:, 1:].amin(0)
        high = coords.amax(0).tolist()
        maps.extras[key] = spconv.SparseConvTensor(features.flatten(1), coords, [e + 1 for e in high[1:]], high[0] + 1)
    return maps.extras[key]
