"""Which voxel meets which under a kernel: built once per resolution and shared by all layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from iseg3d_ros.sparse.coordinates import Box, Lookup, Packing, levels, offsets
from iseg3d_ros.sparse.kernel_map import KernelMap, block_rows

MARGIN = 4
U_NET = (2, 4, 8, 16)  # strides below the finest that a U-Net asks for; found together, a device is waited for once


class Maps:
    """Coordinates of a batch of clouds at every stride, and the kernel maps between them, each built on first use.

    `coords` is int32 (V, 4): batch, x, y, z; negative coordinates are fine, duplicates are not. A voxel's parent at
    stride s is floor(coordinate / s), so levels do not depend on the way that led to them. Treat it as immutable.
    """

    def __init__(self, coords: Tensor) -> None:
        if coords.ndim != 2 or coords.shape[1] != 4 or coords.is_floating_point():
            raise ValueError(
                f"Sparse coordinates are integers (V, 4): batch, x, y, z; got {tuple(coords.shape)} {coords.dtype}."
            )
        self._coords: dict[int, Tensor] = {1: coords.to(torch.int32)}
        self._members: dict[int, tuple[Tensor, Tensor]] = {}  # rows of the finest voxels, and one voxel of each row
        self._parents: dict[tuple[int, int], Tensor] = {}
        self._kernels: dict[tuple[int, int, int], KernelMap] = {}
        self.extras: dict[tuple[str, int], Any] = {}  # what another back end keeps about these coordinates
        self._lookups: dict[int, tuple[Packing, Tensor, Lookup]] = {}
        self._extent: Box | None = None

    @property
    def device(self) -> torch.device:
        """Where the coordinates and the maps are."""
        return self._coords[1].device

    def __len__(self) -> int:
        return len(self._coords[1])

    def coords(self, stride: int = 1) -> Tensor:
        """Coordinates int32 (Vs, 4) at `stride`, in units of that stride; stride 1 is in the caller's order."""
        if stride not in self._coords:
            self._build_levels(stride)
        return self._coords[stride]

    def parent(self, stride: int = 1, factor: int = 2) -> Tensor:
        """Row at `stride * factor` of every voxel at `stride`, int64 (Vs,)."""
        if (stride, factor) not in self._parents:
            rows = self._rows(stride * factor)[0]
            self._parents[stride, factor] = rows if stride == 1 else rows[self._rows(stride)[1]]
        return self._parents[stride, factor]

    def submanifold(self, stride: int, kernel_size: int) -> KernelMap:
        """Pairs of a convolution whose outputs lie on its inputs."""
        key = (stride, kernel_size, 1)
        if key not in self._kernels:
            self._kernels[key] = self._build_kernel(stride, kernel_size, 1)
        return self._kernels[key]

    def strided(self, stride: int, kernel_size: int = 2, factor: int = 2) -> KernelMap:
        """Pairs of a convolution from `stride` to `stride * factor`."""
        key = (stride, kernel_size, factor)
        if key not in self._kernels:
            self._kernels[key] = self._build_kernel(stride, kernel_size, factor)
        return self._kernels[key]

    def prepare(
        self,
        strides: Sequence[int] = (1, 2, 4, 8, 16),
        kernels: Sequence[int] = (3,),
        stem: int | None = 5,
        device: str | None = None,
    ) -> Maps:
        """Builds what a U-Net over `strides` will ask for, and returns itself.

        In a data loader's worker name the type of the `device` that will compute: only a CPU wants lists of pairs.
        """
        lists = (device or self.device.type) == "cpu"
        found = [self.submanifold(stride, kernel) for stride in strides for kernel in kernels]
        for fine, coarse in zip(strides, strides[1:], strict=False):
            pairs = self.strided(fine, coarse // fine, coarse // fine)
            found += [pairs, pairs.transposed]
        for each in found if lists else ():
            each.blocks(block_rows(0))
        if stem is not None:
            self.submanifold(strides[0], stem)
        return self

    def to(self, device: torch.device | str) -> Maps:
        """Everything built so far, on another device."""
        moved = Maps(self._coords[1].to(device))
        moved._coords = {k: v.to(device) for k, v in self._coords.items()}
        moved._members = {k: (rows.to(device), one.to(device)) for k, (rows, one) in self._members.items()}
        moved._parents = {k: v.to(device) for k, v in self._parents.items()}
        moved._kernels = {k: v.to(device) for k, v in self._kernels.items()}
        moved._extent = self._extent
        return moved

    def _rows(self, stride: int) -> tuple[Tensor, Tensor]:
        if stride not in self._members:
            self._build_levels(stride)
        return self._members[stride]

    def _build_levels(self, stride: int) -> None:
        strides = U_NET if stride in U_NET else (stride,)
        for each, (coords, *rows) in levels(self._coords[1], self.box(1), strides).items():
            self._coords[each], self._members[each] = coords, (rows[0], rows[1])

    def box(self, stride: int) -> Box:
        """The box around the coordinates at `stride`, on the host."""
        if self._extent is None:
            self._extent = Box.of(self._coords[1])
        return self._extent.coarser(stride)

    def _lookup(self, stride: int) -> tuple[Packing, Tensor, Lookup]:
        if stride not in self._lookups:
            packing = Packing.of(self.box(stride), MARGIN)
            keys = packing.keys(self.coords(stride))
            lookup = Lookup(keys, packing.cells)
            if stride == 1 and lookup.has_duplicates(keys):
                raise ValueError("Two voxels have the same coordinates; voxelise the cloud before making sparse maps.")
            self._lookups[stride] = packing, keys, lookup
        return self._lookups[stride]

    def _build_kernel(self, stride: int, kernel_size: int, factor: int) -> KernelMap:
        if kernel_size < 1 or kernel_size // 2 > MARGIN:
            raise ValueError(f"The kernel size must be 1..{2 * MARGIN + 1}, not {kernel_size}.")
        if factor == 1:
            return self._near(stride, kernel_size)
        return self._children(stride, factor) if kernel_size == factor == 2 else self._far(stride, kernel_size, factor)

    def _near(self, stride: int, kernel_size: int) -> KernelMap:
        packing, keys, lookup = self._lookup(stride)
        steps = offsets(kernel_size)
        centre = (kernel_size - 1) // 2 * (kernel_size**2 + kernel_size + 1)
        return KernelMap(lookup.around(keys, packing.deltas(steps)), len(keys), centre, symmetric=kernel_size % 2 == 1)

    def _children(self, stride: int, factor: int) -> KernelMap:
        """Kernel as large as the stride: a voxel's offset is what the division by the stride leaves."""
        parent = self.parent(stride, factor)
        left = torch.remainder(self.coords(stride)[:, 1:], factor).to(torch.int64)
        offset = (left[:, 0] * factor + left[:, 1]) * factor + left[:, 2]
        shape = (len(self.coords(stride * factor)), factor**3)
        table = torch.full(shape, len(parent), dtype=torch.int32, device=self.device)
        table[parent, offset] = torch.arange(len(parent), dtype=torch.int32, device=self.device)
        return KernelMap(table, len(parent))

    def _far(self, stride: int, kernel_size: int, factor: int) -> KernelMap:
        """Any other strided kernel: search around every output's corner."""
        fine, coarse = self.coords(stride).to(torch.int64), self.coords(stride * factor).to(torch.int64)
        corner = coarse * torch.tensor([1, factor, factor, factor], device=self.device)
        box = self.box(stride * factor)
        box = Box(*((end[0], *(e * factor for e in end[1:])) for end in (box.low, box.high)))
        packing = Packing.of(self.box(stride).joined(box), MARGIN)
        lookup = Lookup(packing.keys(fine), packing.cells)
        return KernelMap(lookup.around(packing.keys(corner), packing.deltas(offsets(kernel_size))), len(fine))
