"""What the ROS node adds to the library: converting, moving, publishing; and how a live scene keeps up.

Everything is measured in one process and one run: real messages over DDS, the library's own time on the same data
taken off. `memcpy` is a copy of the message's bytes into fresh memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from iseg3d_ros.predictor import DEFAULT
from iseg3d_ros.ros.testbed import segmenter, strided, surface

POINTS = 200_000
SWEEP = 130_000  # points of a live LiDAR cloud
RATE = 10.0  # live clouds a second
LONGEST = 120.0  # seconds that a slow model gets for five live clouds
SMALL = 1_500  # points of the clouds on which memory is watched


def run(repeats: int = 15, live_clouds: int = 60, model: str = DEFAULT, memory_clouds: int = 0) -> dict[str, float]:
    """Figures for `iseg3d bench node`; `live_clouds` are sent at 10 Hz. With `memory_clouds` only memory is watched."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with tempfile.TemporaryDirectory() as folder:
        if memory_clouds:
            return memory(memory_clouds, model, folder)
        figures = {**parsing(repeats), **writing(repeats)}
        figures |= overhead(repeats, model, folder)
        figures |= live(live_clouds, model, folder)
    return figures


def parsing(repeats: int) -> dict[str, float]:
    """PointCloud2 to arrays, for the layouts that drivers publish most, as a share of memcpy's speed."""
    from std_msgs.msg import Header

    from iseg3d_ros.io.pointcloud2_read import read_points
    from iseg3d_ros.io.pointcloud2_write import plain
    from iseg3d_ros.ros.point_cloud2 import cloud_message

    figures: dict[str, float] = {}
    xyz, rgb = surface(POINTS)
    layouts = {
        "xyz": cloud_message(plain(xyz), Header()),
        "xyzrgb": cloud_message(plain(xyz, rgb), Header()),
        "xyzi": cloud_message(plain(xyz, None, xyz[:, 0]), Header()),
        "pcl_xyzrgb": strided(xyz, rgb, 32, 16),
        "velodyne": strided(xyz, None, 22, None),
    }
    for name, message in layouts.items():
        data = np.frombuffer(message.data, np.uint8)
        copy, parse = interleaved(repeats, data.copy, partial(read_points, message))
        figures[f"parse_memcpy_ratio_{name}"] = copy / parse
    figures["parse_memcpy_ratio"] = min(figures.values())
    return figures


def writing(repeats: int) -> dict[str, float]:
    """Labelled clouds to messages, as a share of memcpy's speed; the cloud's own bytes are kept from click to click."""
    from iseg3d_ros.io import pointcloud2_write as clouds

    figures: dict[str, float] = {}
    xyz, rgb = surface(POINTS)
    labels, sure = np.arange(POINTS, dtype=np.int32) % 5, np.full(POINTS, 0.5, np.float32)
    for name, colour, dtype in (("xyzrgb", rgb, clouds.LABELLED_RGB), ("xyz", None, clouds.LABELLED)):
        base = clouds.base(xyz, colour, dtype)
        data = np.frombuffer(base.data, np.uint8)
        copy, write = interleaved(repeats, data.copy, partial(clouds.labelled, base, labels, sure, sure), warm=3)
        figures[f"write_memcpy_ratio_{name}"] = copy / write
    figures["write_memcpy_ratio"] = min(figures.values())
    return figures


def overhead(repeats: int, model: str, folder: str) -> dict[str, float]:
    """From a click's publication to published labels, less the library's time: on a new cloud, and on a known one."""
    first, known, library_first, library_known = [], [], [], []
    with segmenter(model, folder, scene="frozen") as bench:
        for number in range(repeats):
            cloud = surface(POINTS, number)
            bench.arrive(*cloud)
            bench.service("clear")
            at = cloud[0][number::1000][7]
            wall, own = bench.click(at)
            first.append(wall - own)
            library_first.append(own)
            time.sleep(0.3)  # operators are not that quick
            wall, own = bench.click(at, encoded=True)
            known.append(wall - own)
            library_known.append(own)
    overhead_first, overhead_known = float(np.median(first)), float(np.median(known))
    return {
        "overhead_least_ms": float(np.min(first)),  # where other processes took nothing
        "overhead_click_least_ms": float(np.min(known)),
        "overhead_ms": overhead_first,
        "overhead_share": overhead_first / float(np.median(library_first)),
        "overhead_click_ms": overhead_known,
        "overhead_click_share": overhead_known / float(np.median(library_known)),
        "library_cloud_ms": float(np.median(library_first)),
        "library_click_ms": float(np.median(library_known)),
    }


def live(clouds: int, model: str, folder: str) -> dict[str, float]:
    """10 Hz of LiDAR clouds with one object: how many are segmented, how old the labels are, what memory does."""
    with segmenter(model, folder, scene="live") as bench:
        sweeps = [bench.message(*surface(SWEEP, number, colour=False)) for number in range(8)]
        bench.send(sweeps[0])
        bench.wait(lambda: bench.node.work_view is not None)
        bench.click(np.array([0.0, 0.0, 0.5]))
        bench.lags.clear()
        memory, number, end = [resident()], 0, time.monotonic() + LONGEST
        while number < clouds or (len(bench.lags) < 5 and time.monotonic() < end):
            due = time.perf_counter() + 1.0 / RATE
            message = sweeps[number % len(sweeps)]
            message.header.stamp = bench.client.get_clock().now().to_msg()
            bench.send(message)
            time.sleep(max(0.0, due - time.perf_counter()))
            memory.append(resident())
            number += 1
        lags, inferences = np.array([lag for lag, _ in bench.lags]), np.array([own for _, own in bench.lags])
    half = len(memory) // 2
    return {
        "live_shown_hz": len(lags) / (number / RATE),
        "live_dropped_share": 1 - min(len(lags) / number, 1.0),
        "live_inference_ms": float(np.median(inferences)),
        "live_latency_p50_ms": float(np.median(lags)),
        "live_latency_p99_ms": float(np.percentile(lags, 99)),
        "live_latency_p99_inferences": float(np.percentile(lags, 99) / np.median(inferences)),
        "live_memory_growth_mb": float(np.median(memory[half:]) - np.median(memory[:half])),
    }


def memory(clouds: int, model: str, folder: str) -> dict[str, float]:
    """Small live clouds with one object, one as soon as the last is segmented: what memory does after a warm-up."""
    with segmenter(model, folder, scene="live", voxel_size=0.1, up_frame="sensor") as bench:
        sweeps = [bench.message(*surface(SMALL, number, colour=False, extent=1.5, boxes=1)) for number in range(8)]
        bench.send(sweeps[0])
        bench.wait(lambda: bench.node.work_view is not None, again=lambda: bench.send(sweeps[0]))
        bench.click(np.array([0.0, 0.0, 0.5]))
        used, segmented, found = np.empty(clouds), 0, 0
        tenth = max(clouds // 10, 1)
        start = time.perf_counter()
        for number in range(clouds):
            segmented += bench.take(sweeps[number % len(sweeps)])
            found += bool((bench.node.work_view.result.labels == 1).any())
            used[number] = resident()
            if number % tenth == tenth - 1:
                print(f"{number + 1} clouds, {used[number]:.1f} MB")
        seconds = time.perf_counter() - start
    first, last = float(np.median(used[tenth : 2 * tenth])), float(np.median(used[-tenth:]))
    return {
        "memory_clouds": segmented,
        "memory_found_share": found / clouds,  # of clouds in which the object was found again
        "memory_clouds_a_second": clouds / seconds,
        "memory_mb": last,
        "memory_growth_mb": last - first,
    }


def interleaved(
    repeats: int, first: Callable[[], Any], second: Callable[[], Any], warm: int = 2
) -> tuple[float, float]:
    """The least times of two functions called by turns: what other processes take does not count for either."""
    times = np.empty((repeats * 10, 2))
    for _ in range(warm):
        first(), second()
    for row in times:
        for column, function in enumerate((first, second)):
            start = time.perf_counter()
            function()
            row[column] = time.perf_counter() - start
    return float(times[:, 0].min()), float(times[:, 1].min())


def resident() -> float:
    """Megabytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
