"""The sparse-convolution engine against a dense matrix product, spconv, its own map building, and bf16.

`python -m iseg3d_ros.benchmarks.engine --json`. Figures (ratios above 1 mean that this engine is faster):
`gemm_ratio_C` time of a dense product of the same FLOPs, (pairs, C) x (C, C), by that of a 3^3 convolution of C to C
channels; `spconv_ratio_C`, `spconv_ratio` time of spconv's convolution by this one's, and the same of the four widths'
sums; `maps_share` time to build all kernel maps of five levels by that of a Res16UNet34C forward on ready maps;
`bf16_ratio` time in fp32 by that in bf16, 64 channels, an eighth of the room; `peak_mb` memory that a forward adds.
Repetitions of what is compared are interleaved; every time is a median.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d, backend, spconv_convolution

WIDTHS = (32, 64, 96, 128)


def room_cloud(voxels: int = 40_000, seed: int = 0) -> Tensor:
    """Surface voxels int32 (about `voxels`, 4) of a room: floor, walls, turned boxes; 5 mm of noise, 0.3 rad askew."""
    rng = np.random.default_rng(seed)
    length, width, height = 6.0, 5.0, 2.7
    faces: list[tuple[Any, Any, Any]] = [((0, 0, 0), (length, 0, 0), (0, width, 0))]
    faces += [((0, y, 0), (length, 0, 0), (0, 0, height)) for y in (0, width)]
    faces += [((x, 0, 0), (0, width, 0), (0, 0, height)) for x in (0, length)]
    for _ in range(14):
        corner = np.append(rng.uniform([0.5, 0.5], [length - 0.5, width - 0.5]), 0)
        u, v, w = _box_edges(rng.uniform([0.2, 0.2, 0.3], [1.0, 0.8, 1.4]), rng.uniform(0, np.pi))
        faces += [(corner, u, w), (corner, v, w), (corner + u, v, w), (corner + v, u, w), (corner + w, u, v)]
    points = np.concatenate([_sample(rng, *map(np.asarray, face)) for face in faces])
    points += rng.normal(0, 0.005, points.shape)
    cosine, sine = np.cos(0.3), np.sin(0.3)
    return _voxels(points @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]), voxels)


def run(
    device: str = "cpu",
    voxels: int = 40_000,
    repetitions: int = 25,
    widths: Sequence[int] = WIDTHS,
    unet: bool = True,
) -> dict[str, float]:
    """All figures, by name; `unet=False` leaves out those that need the whole network."""
    coords = room_cloud(voxels).to(device)
    figures: dict[str, float] = {"voxels": float(len(coords))}
    with torch.no_grad():
        figures |= _against_product(coords, widths, repetitions)
        if spconv_convolution.available(torch.device(device).type):
            figures |= _against_spconv(coords, widths, repetitions)
        else:
            _note("spconv is not installed: no spconv_ratio")
        figures |= _half_precision(coords[: max(1, len(coords) // 8)], max(3, repetitions // 8))
        if unet:
            figures |= _network(coords, max(3, repetitions // 4))
    return figures


def interleaved(work: dict[str, Callable[[], Any]], repetitions: int, device: torch.device) -> dict[str, float]:
    """Median seconds of every piece of work, taken in turns after one run each to warm up."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, piece in work.items():
            _wait(device)
            start = time.perf_counter()
            piece()
            _wait(device)
            if repetition:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def _against_product(coords: Tensor, widths: Sequence[int], repetitions: int) -> dict[str, float]:
    maps = Maps(coords)
    pairs = maps.submanifold(1, 3).pairs
    figures = {"pairs_per_voxel": pairs / len(coords)}
    for width in widths:
        conv, x = _convolution(maps, width)
        left, out = torch.randn(pairs, width, device=coords.device), torch.empty(pairs, width, device=coords.device)
        weight = conv.weight[0]

        def product(left: Tensor = left, weight: Tensor = weight, out: Tensor = out) -> Tensor:
            return torch.mm(left, weight, out=out)

        times = interleaved({"sparse": _torch(conv, x), "product": product}, repetitions, coords.device)
        figures[f"gemm_ratio_{width}"] = times["product"] / times["sparse"]
        figures[f"ms_{width}"] = 1e3 * times["sparse"]
        figures[f"gflops_{width}"] = 2e-9 * pairs * width**2 / times["sparse"]
    return figures


def _against_spconv(coords: Tensor, widths: Sequence[int], repetitions: int) -> dict[str, float]:
    maps, totals = Maps(coords), {"sparse": 0.0, "spconv": 0.0}
    figures: dict[str, float] = {}
    for width in widths:
        conv, x = _convolution(maps, width)

        layer = spconv_convolution.Layer()

        def spconv(conv: SubMConv3d = conv, x: SparseTensor = x, layer: spconv_convolution.Layer = layer) -> Tensor:
            # As spconv comes, with all threads, although its sums race on a CPU.
            return spconv_convolution.forward(x.features, conv.weight, x.maps, 1, 3, layer)

        times = interleaved({"sparse": _torch(conv, x), "spconv": spconv}, repetitions, coords.device)
        figures[f"spconv_ratio_{width}"] = times["spconv"] / times["sparse"]
        totals = {name: total + times[name] for name, total in totals.items()}
    return figures | {"spconv_ratio": totals["spconv"] / totals["sparse"]}


def _half_precision(coords: Tensor, repetitions: int) -> dict[str, float]:
    conv, x = _convolution(Maps(coords), 64)
    half, halved = _convolution(x.maps, 64)[0].to(torch.bfloat16), x.replace(x.features.to(torch.bfloat16))
    times = interleaved({"fp32": _torch(conv, x), "bf16": _torch(half, halved)}, repetitions, coords.device)
    if coords.device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        _note("this CPU has no bf16 instructions")
    return {"bf16_ratio": times["fp32"] / times["bf16"]}


def _network(coords: Tensor, repetitions: int) -> dict[str, float]:
    network, features = res16unet34c().to(coords.device).eval(), torch.randn(len(coords), 3, device=coords.device)
    ready = SparseTensor(features, Maps(coords))
    network(ready)

    def build() -> Maps:
        return Maps(coords).prepare()

    times = interleaved({"maps": build, "forward": lambda: network(ready)}, repetitions, coords.device)
    return {
        "maps_share": times["maps"] / times["forward"],
        "maps_ms": 1e3 * times["maps"],
        "unet_ms": 1e3 * times["forward"],
        "unet_million_parameters": sum(p.numel() for p in network.parameters()) / 1e6,
        "peak_mb": _peak_mb(lambda: network(SparseTensor(features, Maps(coords))), coords.device),
    }


def res16unet34c() -> nn.Module:
    """The published backbone: planes 32, 64, 128, 256 | 256, 128, 96, 96, blocks 2, 3, 4, 6 | 2, 2, 2, 2, stem 5^3."""
    from iseg3d_ros.models.build import settings_of
    from iseg3d_ros.models.layers.backbone import Backbone

    return Backbone(settings_of("agile3d", "paper"), 3)


def _convolution(maps: Maps, width: int) -> tuple[SubMConv3d, SparseTensor]:
    conv = SubMConv3d(width, width).to(maps.device)
    return conv, SparseTensor(torch.randn(len(maps), width, device=maps.device), maps)


def _torch(conv: SubMConv3d, x: SparseTensor) -> Callable[[], SparseTensor]:
    def convolve() -> SparseTensor:
        with backend("torch"):
            return conv(x)  # type: ignore[no-any-return]

    return convolve


def _peak_mb(work: Callable[[], Any], device: torch.device) -> float:
    """Memory at its highest during `work`, above what was there before."""
    if device.type == "cuda":
        allocated = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - allocated) / 2**20
    try:  # Linux: forget the highest size so far
        # Pages that earlier work freed and the allocator kept would hide what this work needs.
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = _status_mb("VmRSS")
        work()
        return _status_mb("VmHWM") - before
    except (OSError, AttributeError):
        work()
        _note("peak_mb is the whole process's")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status_mb(name: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _box_edges(size: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([cosine, sine, 0]) * size[0], np.array([-sine, cosine, 0]) * size[1], np.array([0, 0, size[2]])


def _sample(rng: np.random.Generator, corner: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    where = rng.random((int(6000 * np.linalg.norm(np.cross(u, v))), 2))
    return corner + where[:, :1] * u + where[:, 1:] * v


def _voxels(points: np.ndarray, wanted: int) -> Tensor:
    """Quantised at the voxel size, found by halving, that gives about the wanted number."""
    points = points - points.min(0)
    low, high = 0.01, 1.0
    for _ in range(20):
        size = float((low * high) ** 0.5)
        keys = np.unique((np.floor(points / size).astype(np.int64) << np.array([32, 16, 0])).sum(1))
        if len(keys) > wanted:
            low = size
        else:
            high = size
        if abs(len(keys) - wanted) < 0.01 * wanted:
            break
    cells = np.stack([keys >> 32, keys >> 16 & 0xFFFF, keys & 0xFFFF], 1).astype(np.int32)
    return nn.functional.pad(torch.from_numpy(cells), (1, 0))


def main() -> None:
    """Prints the figures, as one JSON object with --json."""
    parser = argparse.ArgumentParser(description="Benchmark of the sparse-convolution engine.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--voxels", type=int, default=40_000)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = run(device=args.device, voxels=args.voxels, repetitions=args.repetitions)
    print(json.dumps(figures) if args.json else "\n".join(f"{k:24} {v:10.3f}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
