"""Submanifold convolution by spconv, with this package's weights and maps, used as spconv wants to be used.

A layer of ours has one of spconv's, made once, without random numbers; it is given a new arrangement of the weight only
when the weight has changed; index pairs are found once for each resolution and kernel and kept with the maps; they are
the short ones of inference unless gradients are wanted.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from iseg3d_ros.sparse.maps import Maps

MOST_OFFSETS = 32  # that spconv's fused kernels take


@lru_cache(maxsize=4)
def available(device: str) -> bool:
    """Whether an spconv is installed that imports and was built for this type of device."""
    if device not in ("cpu", "cuda") or importlib.util.find_spec("spconv") is None:
        return False
    try:
        import spconv.pytorch
        from spconv.cppconstants import CPU_ONLY_BUILD
    except (ImportError, OSError, RuntimeError):
        return False
    return spconv.pytorch is not None and not (CPU_ONLY_BUILD and device == "cuda")


def runs(features: Tensor, kernel_size: int, device: torch.device) -> bool:
    """Whether spconv has this convolution: odd kernels of more than one cell, no bf16, on CPU or CUDA."""
    odd = kernel_size % 2 == 1 and kernel_size > 1
    return odd and features.dtype != torch.bfloat16 and device.type in ("cpu", "cuda") and len(features) > 0


@dataclass
class Layer:
    """spconv's layer behind one of ours, made on first use, and the weight that it was last given."""

    made: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    given: tuple[Any, ...] = ()

    def of(self, weight: Tensor, stride: int, kernel_size: int, train: bool) -> Any:
        """spconv's layer with this weight (K, cin, cout)."""
        key = weight.device.type, stride, kernel_size, *weight.shape, train
        if key not in self.made:
            self.made = {key: _layer(weight, stride, kernel_size, train)}
            self.given = ()
        layer = self.made[key]
        version = (id(weight), weight.data_ptr(), weight.dtype, 0 if weight.is_inference() else weight._version)
        if train or self.given != version:
            layer.weight = _arranged(weight, kernel_size)
            self.given = () if train else version
        return layer

    def __deepcopy__(self, memo: object) -> Layer:
        return Layer()  # a copied network makes its own

    def __reduce__(self) -> tuple[Any, ...]:
        return Layer, ()


def submanifold(features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int, layer: Layer) -> Tensor:
    """Features (V, C) or (V, G, C) under `weight` (K, cin, cout), like the plain implementation."""
    sets = features.unbind(1) if features.ndim == 3 else (features,)
    # On a CPU spconv's backward pass asks for a CUDA stream; there the plain one takes its place.
    call = forward if features.is_cuda else _OnCpu.apply
    out = [call(rows.contiguous(), weight, maps, stride, kernel_size, layer) for rows in sets]
    return torch.stack(out, 1) if features.ndim == 3 else out[0]


class _OnCpu(torch.autograd.Function):
    """spconv 2.3 sums from several CPU threads without a lock (1 % off, differently every time): one thread, then."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int, layer: Layer
    ) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.where = maps, stride, kernel_size
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return forward(features, weight, maps, stride, kernel_size, layer)
        finally:
            torch.set_num_threads(threads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from iseg3d_ros.sparse.convolution import gradients

        features, weight = ctx.saved_tensors
        maps, stride, kernel_size = ctx.where
        pairs, wanted = maps.submanifold(stride, kernel_size), (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        return *gradients(features, weight, grad, pairs, 1, wanted), None, None, None, None


def forward(features: Tensor, weight: Tensor, maps: Maps, stride: int, kernel_size: int, layer: Layer) -> Tensor:
    """spconv's own forward pass for features (V, C), as it comes."""
    train = torch.is_grad_enabled() and (features.requires_grad or weight.requires_grad)
    frame = _frame(features, maps, stride)
    with torch.cuda.device(features.device) if features.is_cuda else contextlib.nullcontext():
        out = layer.of(weight, stride, kernel_size, train)(frame.replace_feature(features))
    frame.indice_dict.update(out.indice_dict)  # spconv puts what it found into a copy
    return out.features  # type: ignore[no-any-return]


def _layer(weight: Tensor, stride: int, kernel_size: int, train: bool) -> Any:
    import spconv.pytorch as spconv
    from spconv.core import ConvAlgo

    _, cin, cout = weight.shape
    native = weight.device.type == "cpu" or kernel_size**3 > MOST_OFFSETS
    key = f"{stride}/{kernel_size}/{'train' if train else 'infer'}"
    with _no_numbers():
        layer = spconv.SubMConv3d(
            cin, cout, kernel_size, bias=False, indice_key=key, algo=ConvAlgo.Native if native else None
        )
    del layer._parameters["weight"]  # the weight of the moment takes the parameter's place
    return layer.train(train)


@contextlib.contextmanager
def _no_numbers() -> Iterator[None]:
    """Layers that are made within have no values, and no random numbers are drawn."""
    with torch.device("meta"):
        yield


def _arranged(weight: Tensor, kernel_size: int) -> Tensor:
    """As spconv keeps it, (cout, x, y, z, cin); its gradient flows back through the permutation."""
    _, cin, cout = weight.shape
    return weight.permute(2, 0, 1).reshape(cout, kernel_size, kernel_size, kernel_size, cin).contiguous()


def _frame(features: Tensor, maps: Maps, stride: int) -> Any:
    """spconv's tensor of the coordinates, with its index pairs, kept in the maps."""
    import spconv.pytorch as spconv

    key = ("spconv", stride)
    if key not in maps.extras:
        low, high = maps.box(stride).low, maps.box(stride).high
        corner = torch.tensor([0, *low[1:]], dtype=torch.int32, device=maps.device)
        shape = [end - start + 1 for start, end in zip(low[1:], high[1:])]
        maps.extras[key] = spconv.SparseConvTensor(features, maps.coords(stride) - corner, shape, high[0] + 1)
    return maps.extras[key]
