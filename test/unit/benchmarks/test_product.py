"""The product's benchmark on a small cloud: its figures belong together. Times are not judged here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.benchmarks import product
from iseg3d_ros.cloud import Cloud, write_cloud


def test_figures_of_a_small_cloud(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.uniform((0, 0, 0), (1, 1, 0.002), (3000, 3)), rng.uniform(0.4, 0.6, (2000, 3))])
    write_cloud(tmp_path / "box.ply", Cloud(xyz.astype(np.float32), rng.integers(0, 255, (5000, 3)).astype(np.uint8)))
    figures = product.run(str(tmp_path / "box.ply"), model="random_walker", repeats=1)
    assert figures["points"] == 5000
    assert figures["first_mask_ratio"] == pytest.approx(
        figures["agile3d_first_mask_seconds"] / figures["first_mask_seconds"]
    )
    assert figures["further_click_ratio"] == pytest.approx(
        figures["agile3d_further_click_ms"] / figures["further_click_ms"]
    )
    assert 0 < figures["further_click_ms"] < 1e3 * figures["first_mask_seconds"]
