"""One launch for the products of all kernel offsets, on GPUs whose torch has a grouped matrix product."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


def usable(left: Tensor, cin: int, cout: int) -> bool:
    """Whether the grouped product takes these operands: bf16 on Hopper or newer, widths that are multiples of 8."""
    if not left.is_cuda or left.dtype != torch.bfloat16 or cin % 8 or cout % 8 or len(left) == 0:
        return False
    return _works(left.device.index or 0)


def multiply(left: Tensor, kernels: Tensor, ends: Tensor) -> Tensor:
    """Rows up to ends[0] times kernels[0], from there up to ends[1] times kernels[1], and so on."""
    return F.grouped_mm(left, kernels, offs=ends)


def outer(left: Tensor, right: Tensor, ends: Tensor) -> Tensor:
    """left^T @ right of every group of rows, (K, cin, cout)."""
    return F.grouped_mm(left.T, right, offs=ends)


@cache
def _works(device: int) -> bool:
    """Tried once a device against plain products, an empty group included; any failure means the plain way."""
    if not hasattr(F, "grouped_mm") or torch.cuda.get_device_capability(device)[0] < 9:
        return False
    with torch.no_grad(), torch.autocast("cuda", enabled=False):
        left, right = (torch.randn(40, 32, device=f"cuda:{device}", dtype=torch.bfloat16) for _ in range(2))
        kernels = torch.randn(3, 32, 32, device=left.device, dtype=torch.bfloat16)
        ends = torch.tensor([13, 13, 40], dtype=torch.int32, device=left.device)
        try:
            rows, products = multiply(left, kernels, ends), outer(left, right, ends)
            wanted_rows = torch.cat([left[:13] @ kernels[0], left[13:] @ kernels[2]])
            wanted = torch.stack([left[:13].T @ right[:13], torch.zeros_like(kernels[0]), left[13:].T @ right[13:]])
            return _close(rows, wanted_rows) and _close(products, wanted)
        except RuntimeError:
            return False


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.float(), b.float(), rtol=0.02, atol=0.2)
