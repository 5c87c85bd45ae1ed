"""The engine's benchmark on a small cloud: it runs, and its figures are numbers."""

from __future__ import annotations

import math

import torch

from iseg3d_ros.benchmarks.engine import room_cloud, run


def test_room_cloud_is_surface_voxels() -> None:
    coords = room_cloud(3000)
    assert abs(len(coords) - 3000) < 150
    assert len(torch.unique(coords, dim=0)) == len(coords)
    assert torch.equal(coords, room_cloud(3000))


def test_run_gives_every_figure() -> None:
    figures = run(voxels=2000, repetitions=1, widths=(32,), unet=False)
    assert {"gemm_ratio_32", "bf16_ratio"} <= set(figures)
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
