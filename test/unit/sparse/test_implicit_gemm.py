"""Our kernel's operators against the plain convolution: as plain torch, and in Triton's interpreter where it is."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from iseg3d_ros.models.layers.backbone import ConvNorm, Residual
from iseg3d_ros.sparse import DownConv3d, Maps, SparseTensor, SubMConv3d, UpConv3d, backend, choice, sparse_batch
from iseg3d_ros.sparse import implicit_gemm as gemm

no_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
LAYERS = [(SubMConv3d, 20, 24, 3), (SubMConv3d, 3, 5, 5), (SubMConv3d, 70, 130, 3), (DownConv3d, 8, 9, 2),
          (UpConv3d, 8, 9, 2), (SubMConv3d, 5, 6, 2)]  # fmt: skip


@pytest.fixture(params=["plain", pytest.param("interpreter", marks=no_triton)])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """On this CPU our operators count as available: as what stands in for the kernels, or as the kernels themselves."""
    gemm.available.cache_clear()
    sys.modules.pop("iseg3d_ros.sparse.triton_kernels", None)
    if request.param == "plain":
        monkeypatch.setattr(choice, "use_triton", lambda features: choice.chosen() == "triton")
    else:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        importlib.import_module("iseg3d_ros.sparse.triton_kernels")
    yield request.param
    gemm.available.cache_clear()
    sys.modules.pop("iseg3d_ros.sparse.triton_kernels", None)


def maps_of(*sizes: int) -> Maps:
    torch.manual_seed(0)
    cells = torch.cartesian_prod(*[torch.arange(-4, 6)] * 3).int()
    return Maps(sparse_batch([cells[torch.randperm(1000)[:n]] for n in sizes]))


def value_and_gradients(name: str, layer: torch.nn.Module, x: SparseTensor) -> list[Tensor]:
    features = x.features.detach().requires_grad_()
    with backend(name):
        out = layer(x.replace(features)).features
        covector = torch.linspace(-1, 1, out.numel()).view_as(out).to(out.dtype)
        return [out, *torch.autograd.grad((out * covector).sum(), [features, layer.weight])]


@pytest.mark.parametrize("make,cin,cout,kernel", LAYERS)
@pytest.mark.parametrize("sets", [0, 2])
def test_values_and_gradients(way: str, make: Any, cin: int, cout: int, kernel: int, sets: int) -> None:
    maps, stride = maps_of(150, 1, 40), 2 if make is UpConv3d else 1  # ragged, and a batch
    layer = make(cin, cout, kernel)
    x = SparseTensor(torch.randn(len(maps.coords(stride)), *[sets] * (sets > 0), cin), maps, stride)
    for wanted, got in zip(*(value_and_gradients(name, layer, x) for name in ("torch", "triton")), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [(0,), (1,), (64,), (65,)])
def test_empty_tiny_and_whole_tiles(way: str, sizes: tuple[int, ...]) -> None:
    maps, layer = maps_of(*sizes), SubMConv3d(4, 6)
    x = SparseTensor(torch.randn(len(maps), 4), maps)
    for wanted, got in zip(*(value_and_gradients(name, layer, x) for name in ("torch", "triton")), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_half_precision(way: str) -> None:
    """Numbers of 16 bits in, sums in single precision: as exact as rounding what goes in and comes out allows."""
    maps, layer = maps_of(120), SubMConv3d(32, 16).half()
    x = SparseTensor(torch.randn(120, 32).half(), maps)
    with torch.no_grad(), backend("triton"):
        got = layer(x).features
    exact = SubMConv3d(32, 16)
    exact.load_state_dict(layer.state_dict())
    with torch.no_grad(), backend("torch"):
        wanted = exact(x.replace(x.features.float())).features
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.float(), wanted, rtol=2e-3, atol=2e-3)


BLOCKS = [lambda: ConvNorm(SubMConv3d(6, 7), 7, 0.1), lambda: ConvNorm(DownConv3d(6, 7), 7, 0.1),
          lambda: Residual(6, 7, 0.1), lambda: Residual(6, 6, 0.1)]  # fmt: skip


@pytest.mark.parametrize("make", BLOCKS)
def test_inference_ends_in_the_same_launch(way: str, make: Any) -> None:
    maps, block = maps_of(100, 30), make().eval()
    for each in block.modules():
        if isinstance(each, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(each.weight), torch.nn.init.normal_(each.bias)
            each.running_mean.normal_(), each.running_var.uniform_(0.5, 2)
    x = SparseTensor(torch.randn(130, 6), maps)
    results = []
    for name in ("torch", "triton"):
        with torch.inference_mode(), backend(name):
            results.append(block(x).features)
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_a_plan_visits_every_row_once_and_every_pair(way: str) -> None:
    pairs = maps_of(300).submanifold(1, 3)
    plan, found = pairs.plan, set()
    assert sorted(plan.order.tolist()) == sorted([*range(300), *[300] * (len(plan.order) - 300)])
    for tile, count in enumerate(plan.counts.tolist()):
        for offset in plan.active[tile, :count].tolist():
            for slot in range(tile * gemm.TILE, (tile + 1) * gemm.TILE):
                if int(plan.table[offset, slot]) < pairs.inputs:
                    found.add((offset, int(plan.order[slot]), int(plan.table[offset, slot])))
    table = pairs.neighbours
    assert found == {(k, t, int(table[t, k])) for t, k in (table < pairs.inputs).nonzero().tolist()}
    # Rows that have the same neighbours are visited together: fewer offsets a tile than in the order they come in.
    padded = torch.nn.functional.pad(table < pairs.inputs, (0, 0, 0, len(plan.order) - 300))
    assert int(plan.counts.sum()) < int(padded.view(-1, gemm.TILE, 27).any(1).sum())


def test_asked_for_where_it_is_not_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    gemm.available.cache_clear()
    with backend("triton"), pytest.raises(RuntimeError, match="leave ISEG3D_SPARSE at auto"):
        SubMConv3d(2, 2)(SparseTensor(torch.zeros(5, 2), maps_of(5)))
