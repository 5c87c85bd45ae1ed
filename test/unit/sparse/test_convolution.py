"""Sparse convolutions against a dense conv3d: forward and gradients."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from iseg3d_ros.sparse import DownConv3d, Maps, SparseTensor, SubMConv3d, UpConv3d, convolution, kernel_map, scratch

SIDE = 9


def random_coords(seed: int = 0, voxels: int = 60, batch: int = 2, low: int = 0) -> Tensor:
    """Distinct voxels in a box, in random order, with clouds of different sizes."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randperm(batch * SIDE**3, generator=generator)[:voxels]
    coords = torch.stack([cells // SIDE**3, cells // SIDE**2 % SIDE, cells // SIDE % SIDE, cells % SIDE], 1)
    coords[:, 1:] += low
    return coords.to(torch.int32)


def to_dense(features: Tensor, coords: Tensor, low: int, side: int) -> Tensor:
    """(V, C) to a dense (B, C, side, side, side)."""
    c = coords.long()
    dense = features.new_zeros(int(c[:, 0].max()) + 1, side, side, side, features.shape[1])
    dense = dense.index_put((c[:, 0], c[:, 1] - low, c[:, 2] - low, c[:, 3] - low), features)
    return dense.permute(0, 4, 1, 2, 3)


def from_dense(dense: Tensor, coords: Tensor, low: int) -> Tensor:
    """The dense values at the voxels, (V, C)."""
    c = coords.long()
    return dense[c[:, 0], :, c[:, 1] - low, c[:, 2] - low, c[:, 3] - low]


def dense_weight(weight: Tensor, k: int) -> Tensor:
    """(K, cin, cout) as conv3d wants it."""
    return weight.view(k, k, k, *weight.shape[1:]).permute(4, 3, 0, 1, 2)


def check(layer: torch.nn.Module, x: Tensor, sparse: Tensor, dense: Tensor, atol: float = 1e-10) -> None:
    """Equal values and equal gradients of input and weight, under a random co-vector."""
    assert torch.allclose(sparse, dense, atol=atol)
    covector = torch.randn_like(sparse)
    mine = torch.autograd.grad((sparse * covector).sum(), [x, *layer.parameters()])
    theirs = torch.autograd.grad((dense * covector).sum(), [x, *layer.parameters()])
    for a, b in zip(mine, theirs, strict=True):
        assert torch.allclose(a, b, atol=atol)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("widths", [(3, 5), (12, 5), (10, 12), (3, 20)])
@pytest.mark.parametrize("voxels,low", [(1, 0), (200, -4), (600, 3)])
def test_submanifold_equals_dense(kernel: int, voxels: int, low: int, widths: tuple[int, int]) -> None:
    coords = random_coords(1, voxels, low=low)
    layer = SubMConv3d(*widths, kernel, bias=True).double()
    x = torch.randn(voxels, widths[0], dtype=torch.double, requires_grad=True)
    out = layer(SparseTensor(x, Maps(coords))).features
    before = (kernel - 1) // 2
    padded = F.pad(to_dense(x, coords, low, SIDE), [before, kernel - 1 - before] * 3)
    dense = F.conv3d(padded, dense_weight(layer.weight, kernel), layer.bias)
    check(layer, x, out, from_dense(dense, coords, low))


@pytest.mark.parametrize("window", [7, 40, 8192])
def test_the_ways_to_convolve_agree(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_map, "WINDOW", window)
    coords = random_coords(4, 300)
    coords = coords[torch.argsort((coords.long() * torch.tensor([SIDE**3, SIDE**2, SIDE, 1])).sum(1))]
    maps, features = Maps(coords), torch.randn(300, 6, dtype=torch.double)
    weight = torch.randn(27, 6, 5, dtype=torch.double)
    pairs = maps.submanifold(1, 3)
    assert len(pairs.windows) == -(-300 // window)
    expected = convolution.gather_multiply_sum(features, weight, pairs, 1)
    for other in (convolution.multiply_then_gather(features, weight, pairs),
                  convolution.multiply_columns(features, weight, pairs, 1)):  # fmt: skip
        torch.testing.assert_close(other, expected)


def test_voxels_in_random_order_are_not_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_map, "WINDOW", 10)  # each window then meets voxels from everywhere
    coords = random_coords(5, 400)
    pairs = Maps(coords).submanifold(1, 3)
    features, weight = torch.randn(400, 6), torch.randn(27, 6, 4)
    assert not pairs.local
    out = convolution.product(features, weight, pairs, 1)
    torch.testing.assert_close(out, convolution.multiply_then_gather(features, weight, pairs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel,stride", [(2, 2), (3, 2), (3, 3), (1, 2), (5, 2)])
def test_down_equals_dense(kernel: int, stride: int) -> None:
    coords = random_coords(2, 150)
    maps = Maps(coords)
    layer = DownConv3d(3, 4, kernel, stride).double()
    x = torch.randn(150, 3, dtype=torch.double, requires_grad=True)
    out = layer(SparseTensor(x, maps))
    before = (kernel - 1) // 2
    padded = F.pad(to_dense(x, coords, 0, SIDE), [before, kernel + stride] * 3)
    dense = F.conv3d(padded, dense_weight(layer.weight, kernel), stride=stride)
    assert out.stride == stride
    check(layer, x, out.features, from_dense(dense, maps.coords(stride), 0))


@pytest.mark.parametrize("kernel", [2, 3])
def test_up_equals_dense(kernel: int) -> None:
    coords = random_coords(3, 150)
    maps = Maps(coords)
    layer = UpConv3d(3, 4, kernel).double()
    rows = len(maps.coords(2))
    x = torch.randn(rows, 3, dtype=torch.double, requires_grad=True)
    out = layer(SparseTensor(x, maps, 2))
    weight = dense_weight(layer.weight, kernel).transpose(0, 1)
    dense = F.conv_transpose3d(to_dense(x, maps.coords(2), 0, SIDE // 2 + 1), weight, stride=2)
    dense = F.pad(dense, [0, 2] * 3)
    assert out.stride == 1
    check(layer, x, out.features, from_dense(dense, coords, -((kernel - 1) // 2)))


def test_training_after_inference_in_the_same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_kept", threading.local())
    layer, maps = SubMConv3d(20, 24, 3), Maps(random_coords(3, 300))
    with torch.inference_mode():
        shown = layer(SparseTensor(torch.ones(300, 20), maps)).features
    learned = layer(SparseTensor(torch.ones(300, 20), maps)).features
    learned.sum().backward()
    assert torch.equal(shown, learned) and layer.weight.grad is not None
