"""The two back ends against each other, half precision, and how a back end is chosen."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import needs_spconv
from torch import Tensor

from iseg3d_ros.sparse import (
    DownConv3d,
    Maps,
    SparseTensor,
    SubMConv3d,
    UpConv3d,
    backend,
    sparse_batch,
    spconv_convolution,
)
from iseg3d_ros.sparse.choice import use_spconv
from iseg3d_ros.sparse.spconv_convolution import available

no_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=no_cuda)]
no_spconv_cuda = pytest.mark.skipif(not available("cuda"), reason="no spconv for CUDA here")


def clouds(seed: int, sizes: tuple[int, ...]) -> Tensor:
    torch.manual_seed(seed)
    cells = torch.cartesian_prod(*[torch.arange(-4, 6)] * 3).int()
    return sparse_batch([cells[torch.randperm(1000)[:n]] for n in sizes])


def run(name: str, layer: torch.nn.Module, x: Tensor, maps: Maps) -> list[Tensor]:
    """Value and gradients of input and parameters."""
    x = x.clone().requires_grad_()
    with backend(name):
        out = layer(SparseTensor(x, maps)).features
        covector = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out)
        return [out, *torch.autograd.grad((out * covector).sum(), [x, *layer.parameters()])]


@needs_spconv
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[no_cuda, no_spconv_cuda])])
@pytest.mark.parametrize("sizes", [(1,), (300, 1, 90), (700,)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("sets", [0, 2])
def test_spconv_equals_torch(device: str, sizes: tuple[int, ...], kernel: int, sets: int) -> None:
    coords = clouds(0, sizes).to(device)
    layer = SubMConv3d(8, 16, kernel, bias=True).to(device)
    x = torch.randn(len(coords), *[sets] * (sets > 0), 8, device=device)
    maps = Maps(coords)
    for mine, theirs in zip(run("torch", layer, x, maps), run("spconv", layer, x, maps), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3 * float(mine.detach().abs().max()))


@needs_spconv
def test_spconv_takes_no_voxels() -> None:
    with backend("spconv"):
        assert SubMConv3d(3, 4)(SparseTensor(torch.zeros(0, 3), Maps(clouds(0, (0,))))).features.shape == (0, 4)


@pytest.mark.parametrize("way", ["sys.modules['spconv'] = None", "sys.path.insert(0, '.')"])
def test_missing_spconv_is_a_sentence(way: str, tmp_path: Path) -> None:
    """In a process of its own, in which none is installed, or one that does not import."""
    (tmp_path / "spconv.py").write_text("raise ImportError('none')")
    code = f"""
import sys
{way}
import torch
from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d, backend
with backend("spconv"):
    SubMConv3d(3, 4)(SparseTensor(torch.zeros(1, 3), Maps(torch.zeros(1, 4, dtype=torch.int32))))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "the package 'spconv' is missing: install it with pip." in done.stderr, done.stderr


@needs_spconv
def test_a_build_without_cuda_is_for_the_cpu_only() -> None:
    from spconv.cppconstants import CPU_ONLY_BUILD

    assert available("cuda") is not CPU_ONLY_BUILD


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(2, 2)
    monkeypatch.setenv("ISEG3D_SPARSE", "torch")
    assert not use_spconv(x, 3)
    monkeypatch.setenv("ISEG3D_SPARSE", "minkowski")
    with pytest.raises(ValueError, match="torch, triton, spconv"):
        use_spconv(x, 3)
    with backend("torch"):
        assert not use_spconv(x, 3)
    with pytest.raises(ValueError, match="torch, triton, spconv"), backend("fast"):
        pass


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype,tolerance", [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
@pytest.mark.parametrize("make", [SubMConv3d, DownConv3d, UpConv3d])
def test_autocast_is_close(device: str, dtype: torch.dtype, tolerance: float, make: type) -> None:
    maps = Maps(clouds(1, (200, 30)).to(device))
    stride = 2 if make is UpConv3d else 1
    layer = make(16, 24).to(device)
    x = torch.randn(len(maps.coords(stride)), 16, device=device, requires_grad=True)

    def value_and_gradients() -> list[Tensor]:
        out = layer(SparseTensor(x, maps, stride)).features
        return [out, *torch.autograd.grad(out.float().square().sum(), [x, layer.weight])]

    with backend("torch"):
        exact = value_and_gradients()
        with torch.autocast(device, dtype):
            rough = value_and_gradients()
    assert rough[0].dtype == dtype and rough[1].dtype == torch.float32
    for a, b in zip(exact, rough, strict=True):
        assert float((a - b.float()).norm() / a.norm()) < tolerance


@pytest.mark.parametrize("device", DEVICES)
def test_blocks_do_not_change_the_result(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small blocks and parts of them give what one block gives; so does the transposed direction."""
    maps, layer = Maps(clouds(2, (900, 300)).to(device)), SubMConv3d(24, 20).double().to(device)
    x = torch.randn(1200, 24, dtype=torch.double, device=device)
    one = run("torch", layer, x, maps)
    for name in ("kernel_map.ROWS", "kernel_map.GATHERED", "convolution.GATHERED"):
        monkeypatch.setattr(f"iseg3d_ros.sparse.{name}", 37)
    for a, b in zip(one, run("torch", layer, x, maps), strict=True):
        assert torch.allclose(a, b)


def test_results_repeat_exactly() -> None:
    maps, layer, x = Maps(clouds(3, (800,))), SubMConv3d(24, 24), torch.randn(800, 24)
    for a, b in zip(run("torch", layer, x, maps), run("torch", layer, x, maps), strict=True):
        assert torch.equal(a, b)


@needs_spconv
def test_spconv_is_used_as_it_wants_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index pairs once a resolution, short ones at inference; a layer once, without random numbers; a weight once."""
    from spconv.pytorch import ops

    pairs, layers, given = [], [], []
    find, make, arrange = ops.get_indice_pairs, spconv_convolution._layer, spconv_convolution._arranged
    monkeypatch.setattr(ops, "get_indice_pairs", lambda *a, **k: pairs.append(a) or find(*a, **k))
    monkeypatch.setattr(spconv_convolution, "_layer", lambda *a: layers.append(make(*a)) or layers[-1])
    monkeypatch.setattr(spconv_convolution, "_arranged", lambda *a: given.append(a) or arrange(*a))
    maps, stack = Maps(clouds(5, (200,))), torch.nn.Sequential(*(SubMConv3d(8, 8) for _ in range(3)))
    x, state = SparseTensor(torch.randn(200, 8), maps), torch.get_rng_state()
    with backend("spconv"), torch.inference_mode():
        first = [stack(x).features for _ in range(3)][0]
        assert torch.equal(torch.get_rng_state(), state)
        assert (len(pairs), len(layers), len(given)) == (1, 3, 3)
        assert not any(each.training for each in layers)
        with torch.inference_mode(False), torch.no_grad():
            stack[0].weight.mul_(2)
        assert torch.allclose(stack(x).features, 2 * first, rtol=1e-4, atol=1e-4) and len(given) == 4
    with backend("spconv"):
        copy.deepcopy(stack)(x).features.sum().backward()
    assert list(stack.state_dict()) == ["0.weight", "1.weight", "2.weight"]
    assert len(pickle.dumps(stack)) < 3 * 27 * 64 * 4 + 4000


@needs_spconv
def test_spconv_on_a_cpu_gets_the_algorithm_that_it_has_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for CUDA would take another one by itself and refuse; nor do its fused kernels take 125 offsets."""
    import spconv.pytorch
    from spconv.core import ConvAlgo

    asked, real = [], spconv.pytorch.SubMConv3d
    monkeypatch.setattr(spconv.pytorch, "SubMConv3d", lambda *a, **k: asked.append(k["algo"]) or real(*a, **k))
    layer = spconv_convolution.Layer()
    layer.of(torch.zeros(27, 4, 4), 1, 3, False)
    layer.of(torch.zeros(125, 4, 4), 1, 5, False)
    assert asked == [ConvAlgo.Native] * 2
