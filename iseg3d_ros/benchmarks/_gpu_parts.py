"""The parts of `iseg3d bench gpu`: each takes a device and whether to be quick, and gives figures by name."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iseg3d_ros.benchmarks import engine, models, training
from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.demo.scenes import SHIPPED, open_scene
from iseg3d_ros.io.package_files import weights_dir
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.placement import Encoding
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d, backend, choice, implicit_gemm, spconv_convolution
from iseg3d_ros.training.config import AugmentConfig, ClickConfig, DataConfig, OptimiserConfig
from iseg3d_ros.training.samples import Crops
from iseg3d_ros.training.schedule import make_optimiser
from iseg3d_ros.training.step import Step

Figures = dict[str, float]
QUICK_POINTS = 6000
LIVE_POINTS = 130_000
OBJECTS, FURTHER = 3, 5  # objects with a click each at first, and clicks that follow
WIDTHS = (16, 32, 64, 96, 128, 256)


def correctness(device: torch.device, quick: bool) -> Figures:
    """`equal_<network>_<scene>`: share of points with the CPU's label; `equal_least` the least of them."""
    figures: Figures = {}
    for name in sorted(path.stem for path in weights_dir().glob("*.safetensors")):
        on_cpu, there = Predictor.load(name, "cpu"), Predictor.load(name, str(device))
        for scene in SHIPPED[1:2] if quick else SHIPPED:
            cloud = thinned(open_scene(scene).cloud, QUICK_POINTS if quick else 60_000)
            with backend("torch"):
                wanted = on_cpu.segment(on_cpu.encode(cloud.xyz, cloud.rgb), clicks_in(cloud)).labels
            got = there.segment(there.encode(cloud.xyz, cloud.rgb), clicks_in(cloud)).labels
            figures[f"equal_{name}_{scene}"] = float((wanted == got).mean())
    return figures | {"equal_least": min(figures.values())}


def convolution(device: torch.device, quick: bool) -> Figures:
    """A 3³ convolution of each width on each back end, in fp32 and on a GPU in fp16: `ms_<back end>_<type>_<width>`.

    `gemm_ratio_…` is a dense product's time of the same FLOPs divided by it, `roofline_…` the share of the bandwidth of
    a plain copy at which it reads its inputs and writes its outputs once. `spconv_ratio`: spconv's time divided by that
    of the back end that "auto" takes, all widths together, in fp16.
    """
    coords = engine.room_cloud(1500 if quick else 60_000).to(device)
    maps, figures, turns = Maps(coords), dict[str, float](), 1 if quick else 15
    types = {"fp16": torch.float16, "fp32": torch.float32} if device.type == "cuda" else {"fp32": torch.float32}
    figures["bandwidth_gb_s"] = bandwidth(device, quick)
    with torch.inference_mode():
        for width in WIDTHS[:2] if quick else WIDTHS:
            for kind, dtype in types.items():
                figures |= of_width(maps, width, kind, dtype, figures["bandwidth_gb_s"], turns)
    chosen, kind = choice.resolved(device), next(iter(types))
    totals = {
        name: sum(value for key, value in figures.items() if key.startswith(f"ms_{name}_{kind}_"))
        for name in (chosen, "spconv")
    }
    return figures | ({"spconv_ratio": totals["spconv"] / totals[chosen]} if totals["spconv"] else {})


def of_width(maps: Maps, width: int, kind: str, dtype: torch.dtype, rate: float, turns: int) -> Figures:
    """The figures of one width and type."""
    layer, pairs, figures = SubMConv3d(width, width).to(maps.device, dtype), maps.submanifold(1, 3).pairs, Figures()
    x = SparseTensor(torch.randn(len(maps), width, device=maps.device, dtype=dtype), maps)
    rows = torch.randn(pairs, width, device=maps.device, dtype=dtype)
    work: dict[str, Callable[[], object]] = {"product": lambda: rows @ layer.weight[0]}
    for name in back_ends(maps.device):
        work[name] = on(name, lambda: layer(x))
    seconds = engine.interleaved(work, turns, maps.device)
    traffic = x.features.element_size() * (2 * len(maps) * width + layer.weight.numel()) + 4 * 27 * len(maps)
    for name, taken in seconds.items():
        if name != "product":
            figures[f"ms_{name}_{kind}_{width}"] = 1e3 * taken
            figures[f"gemm_ratio_{name}_{kind}_{width}"] = seconds["product"] / taken
            figures[f"roofline_{name}_{kind}_{width}"] = 1e-9 * traffic / taken / rate
    return figures


def back_ends(device: torch.device) -> list[str]:
    """Those that run on the device."""
    modules = {"triton": implicit_gemm, "spconv": spconv_convolution}
    return ["torch", *(name for name, module in modules.items() if module.available(device.type))]


def on(name: str, work: Callable[[], object]) -> Callable[[], object]:
    """The work under a back end."""

    def done() -> object:
        with backend(name):
            return work()

    return done


def bandwidth(device: torch.device, quick: bool) -> float:
    """Gigabytes a second that a plain copy reads and writes."""
    source = torch.zeros(1 << (20 if quick else 27), device=device)
    target = torch.empty_like(source)
    seconds = engine.interleaved({"copy": lambda: target.copy_(source)}, 5, device)["copy"]
    return 8e-9 * len(source) / seconds


def stages(device: torch.device, quick: bool) -> Figures:
    """Milliseconds of the default network by scene: `prepare` (voxels, up, normals), `encode`, `first_mask` (all until
    the first labels of every point) and `further_click`; with `_half` in fp16, on a GPU; `peak_mb` of the largest."""
    predictor, figures = Predictor.load(None, str(device)), Figures()
    names = SHIPPED[1:2] if quick else SHIPPED
    clouds = {scene: thinned(open_scene(scene).cloud, QUICK_POINTS if quick else 1 << 30) for scene in names}
    clouds |= {} if quick else {"1m": made(1_000_000), "10m": made(10_000_000)}
    clouds["live"] = made(QUICK_POINTS if quick else LIVE_POINTS)
    for name, cloud in clouds.items():
        turns = 1 if quick or name == "10m" else 3
        for half in ("", "_half") if device.type == "cuda" else ("",):
            with in_half(device) if half else contextlib.nullcontext():
                rows = [answered(predictor, cloud, device) for _ in range(turns + 1)][1:]
            times = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            figures |= {f"{name}_{key}{half}_ms": 1e3 * value for key, value in times.items()}
    figures["live_ms"] = figures["live_prepare_ms"] + figures["live_encode_ms"] + figures["live_further_click_ms"]
    if device.type == "cuda":
        figures["peak_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures


def answered(predictor: Predictor, cloud: Cloud, device: torch.device) -> Figures:
    """Seconds by stage of one dialogue about a cloud."""
    clicks, marks = clicks_in(cloud), [now(device)]
    scene = predictor.preparation(cloud.xyz, cloud.rgb, None)
    marks.append(now(device))
    scene = replace(scene, encoded=Encoding(scene.cloud, predictor.network, predictor.placement))
    marks.append(now(device))
    for count in range(OBJECTS, len(clicks) + 1):
        predictor.segment(scene, clicks[:count])
        marks.append(now(device))
    each = np.diff(marks)
    return {
        "prepare": each[0],
        "encode": each[1],
        "first_mask": sum(each[:3]),
        "further_click": float(np.median(each[3:])),
    }


def networks(device: torch.device, quick: bool) -> Figures:
    """`t5_ratio_e2i3d_5.7m` and its companions, as `iseg3d bench models` defines them."""
    voxels, repeats = (1500, 1) if quick else (40_000, 3)
    return models.run(voxels, str(device), repeats, "e2i3d_5.7m")


def learning(device: torch.device, quick: bool) -> Figures:
    """`crops_per_second` of E2I3D at its default size (steps times their batch, data apart), and a short training.

    `loss_ratio`: the last tenth's mean loss divided by the first tenth's.
    """
    steps, batch = (12, 1) if quick else (100, 4)
    with tempfile.TemporaryDirectory() as folder:
        data = replace(DataConfig(), scenes=(training._made(Path(folder)),), mixture={"tabletop": 1.0})
        most = 600 if quick else 9000
        data = replace(data, min_voxels=most, max_voxels=most)
        torch.manual_seed(0)
        settings = settings_of("e2i3d", "small")
        network = build(settings).to(device).train()
        step, optimiser = Step(network, ClickConfig(rounds=1)), make_optimiser(network, OptimiserConfig())
        crops = Crops(data, AugmentConfig(), settings.features, 0, batch, steps)
        rows = list(taken(crops, step, optimiser, device))
    tenth = max(1, steps // 10)
    losses, seconds = [row[0] for row in rows], [row[1] for row in rows[2:]]
    return {
        "crops_per_second": batch / statistics.median(seconds),
        "loss_ratio": statistics.fmean(losses[-tenth:]) / statistics.fmean(losses[:tenth]),
    }


def taken(
    crops: Crops, step: Step, optimiser: torch.optim.Optimizer, device: torch.device
) -> Iterator[tuple[float, float]]:
    """Loss and seconds of every step, in bf16 on a GPU."""
    for index in range(len(crops)):
        batch = [sample.to(device) for sample in crops[index]]
        start = now(device)
        with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext():
            total: Tensor = step(batch, index, list(range(len(batch))))["total"]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        yield float(total.detach()), now(device) - start


def in_half(device: torch.device) -> torch.autocast:
    """Inference in fp16."""
    return torch.autocast(device.type, torch.float16)


def now(device: torch.device) -> float:
    """The time, once the device has caught up."""
    engine._wait(device)
    return time.perf_counter()


def thinned(cloud: Cloud, most: int) -> Cloud:
    """Every so manieth point, so that no more remain."""
    step = -(-len(cloud.xyz) // most)
    return Cloud(cloud.xyz[::step], None if cloud.rgb is None else cloud.rgb[::step])


def clicks_in(cloud: Cloud) -> list[Click]:
    """Clicks at random points, on each object in turn."""
    places = np.random.default_rng(0).choice(len(cloud.xyz), OBJECTS + FURTHER, replace=False)
    return [Click(tuple(cloud.xyz[row].tolist()), 1 + k % OBJECTS) for k, row in enumerate(places)]


def made(points: int) -> Cloud:
    """A floor, a wall and boxes on the floor, with noise of 5 mm."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform((0, 0, 0), (8, 6, 0), (points, 3))
    wall, box = slice(0, points // 4), slice(points // 4, points // 2)
    xyz[wall] = rng.uniform((0, 0, 0), (8, 0, 2.7), (wall.stop, 3))
    faces = rng.uniform(0, 1, (box.stop - box.start, 3))
    faces[np.arange(len(faces)), rng.integers(0, 3, len(faces))] = rng.integers(0, 2, len(faces))
    xyz[box] = faces * 0.8 + np.c_[rng.integers(1, 6, (len(faces), 2)), np.zeros(len(faces))]
    xyz += rng.normal(0, 0.005, xyz.shape)
    return Cloud(xyz.astype(np.float32), rng.integers(0, 255, xyz.shape, dtype=np.uint8))


PARTS: dict[str, Callable[[torch.device, bool], Figures]] = {
    "correctness": correctness,
    "convolution": convolution,
    "stages": stages,
    "networks": networks,
    "learning": learning,
}
