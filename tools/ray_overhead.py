#!/usr/bin/env python3
"""What Ray costs against processes of our own at two workers: the same items by both, in turn, in one run.

    tools/ray_overhead.py [--items 24] [--rounds 5]

An item is a made cloud that the random walker segments from two clicks. Both are begun and warmed up beforehand, since
a fleet's work lasts for hours; how long that took is told as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import numpy as np

from iseg3d_ros.ray_items import over_ray

WORKERS = 2


def segment(seed: int) -> int:
    """A table with a cube, one of whose points is clicked; how many points are the cube's."""
    import torch

    from iseg3d_ros import Click, Predictor
    from iseg3d_ros.models.random_walker import RandomWalker

    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    xyz = rng.uniform((-0.6, -0.6, 0), (0.6, 0.6, 0.002), (28_000, 3)).astype(np.float32)
    xyz[:4000] = rng.uniform(-0.05, 0.05, (4000, 3)) + (0, 0, 0.055)
    rgb = np.where(np.arange(28_000)[:, None] < 4000, (200, 30, 30), (120, 120, 120)).astype(np.uint8)
    predictor = Predictor(RandomWalker(), "random_walker", voxel_size=0.01)
    scene = predictor.encode(xyz, rgb, (0, 0, 1))
    found = predictor.segment(scene, [Click((0.0, 0.0, 0.1), 1), Click((0.4, 0.4, 0.0), 0)])
    return int((found.labels == 1).sum())


def seconds(run: Callable[[Iterable[int]], list[int]], items: Iterable[int]) -> tuple[float, list[int]]:
    """Wall time, and the results in their order."""
    start = time.perf_counter()
    found = run(items)
    return time.perf_counter() - start, found


def compare(items: int, rounds: int) -> int:
    """One line a round, and the medians."""
    import ray

    pool = ProcessPoolExecutor(WORKERS, get_context("spawn"))

    def by_processes(numbers: Iterable[int]) -> list[int]:
        futures = {pool.submit(segment, number): number for number in numbers}
        found = {futures[future]: future.result() for future in as_completed(futures)}
        return [found[number] for number in sorted(found)]

    def by_ray(numbers: Iterable[int]) -> list[int]:
        found = dict(over_ray(segment, [*numbers]))
        return [found[number] for number in sorted(found)]

    warm = range(2 * WORKERS)
    begin, _ = seconds(by_processes, warm)
    start = time.perf_counter()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    begin_ray = time.perf_counter() - start + seconds(by_ray, warm)[0]
    print(f"the first {len(warm)} items with the start: {begin:.1f} s by processes, {begin_ray:.1f} s over Ray")
    ratios, each = [], []
    for number in range(rounds):
        runs: list[Any] = [by_processes, by_ray][:: 1 if number % 2 else -1]
        told = {run: seconds(run, range(items)) for run in runs}
        (ours, first), (theirs, second) = told[by_processes], told[by_ray]
        assert first == second, "the results differ"
        ratios.append(theirs / ours)
        each.append(ours / items)
        print(f"{items} items: {ours:.2f} s by processes, {theirs:.2f} s over Ray: {theirs / ours:.3f}", flush=True)
    ray.shutdown()
    pool.shutdown()
    middle = float(np.median(ratios))
    print(f"Ray / processes at {WORKERS} workers, median of {rounds}: {middle:.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f}); an item {np.median(each):.3f} s")  # fmt: skip
    return int(middle > 1.05)


def main() -> int:
    """1 where Ray costs more than a twentieth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    return compare(arguments.items, arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
