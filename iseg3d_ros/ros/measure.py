"""What the ROS node adds to the library: converting, moving, publishing; and how a live scene keeps up.

Everything is measured in one process and one run: real messages over DDS, the library's own time on the same data
taken off. `memcpy` is a copy of the message's bytes into fresh memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

POINTS = 200_000
SWEEP = 130_000  # points of a live LiDAR cloud
RATE = 10.0  # live clouds a second
LONGEST = 120.0  # seconds that a slow model gets for five live clouds


def run(repeats: int = 15, live_clouds: int = 60, model: str = "random_walker") -> dict[str, float]:
    """Figures for `iseg3d bench node`; `live_clouds` are sent at 10 Hz."""
    figures = {**parsing(repeats), **writing(repeats)}
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with tempfile.TemporaryDirectory() as folder:
        figures |= overhead(repeats, model, folder)
        figures |= live(live_clouds, model, folder)
    return figures


def parsing(repeats: int) -> dict[str, float]:
    """PointCloud2 to arrays, for the layouts that drivers publish most, as a share of memcpy's speed."""
    from std_msgs.msg import Header

    from iseg3d_ros.ros.clouds import plain
    from iseg3d_ros.ros.convert import read_points

    figures: dict[str, float] = {}
    xyz, rgb = surface(POINTS)
    layouts = {
        "xyz": plain(xyz).message(Header()),
        "xyzrgb": plain(xyz, rgb).message(Header()),
        "xyzi": plain(xyz, None, xyz[:, 0]).message(Header()),
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
    from iseg3d_ros.ros import clouds

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
            time.sleep(0.3)  # the work is being saved: operators are not that quick
            wall, own = bench.click(at, encoded=True)
            known.append(wall - own)
            library_known.append(own)
    overhead_first, overhead_known = float(np.median(first)), float(np.median(known))
    return {
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


class Bench:
    """A segmenter and its client in one process, each with an executor's thread."""

    def __init__(self, node: Any, client: Any) -> None:
        from geometry_msgs.msg import PointStamped
        from sensor_msgs.msg import PointCloud2

        from iseg3d_ros.ros.nodes import CLICKS, LATCHED, quality

        self.node, self.client = node, client
        self.lags: list[tuple[float, float]] = []
        self._shown = threading.Event()
        self._at = 0.0
        self._objects = 1
        client.create_subscription(PointCloud2, "/segmenter/labelled", lambda _: None, LATCHED)
        self._clicks = client.create_publisher(PointStamped, "/segmenter/click/new_object", CLICKS)
        self._points = client.create_publisher(PointCloud2, "/segmenter/points", quality("reliable"))
        node.on_shown = self._on_shown
        self.wait(lambda: self._clicks.get_subscription_count() > 0 and self._points.get_subscription_count() > 0)

    def _on_shown(self, view: Any) -> None:
        from iseg3d_ros.ros.nodes import nanoseconds, stamp_of

        if len(view.objects) != self._objects:
            return  # what `clear` has left
        self._at = time.perf_counter()
        now = self.client.get_clock().now().nanoseconds
        lag = (now - nanoseconds(stamp_of(view.stamp))) / 1e6
        self.lags.append((lag, view.encode_ms + view.segment_ms))
        self._shown.set()

    def message(self, xyz: np.ndarray, rgb: np.ndarray | None) -> Any:
        """A cloud, stamped now."""
        from std_msgs.msg import Header

        from iseg3d_ros.ros.clouds import plain

        stamp = self.client.get_clock().now().to_msg()
        return plain(xyz, rgb).message(Header(frame_id="sensor", stamp=stamp))

    def send(self, message: Any) -> None:
        """Publishes a cloud."""
        self._points.publish(message)

    def arrive(self, xyz: np.ndarray, rgb: np.ndarray | None) -> None:
        """Publishes a cloud and waits until the node has it."""
        message = self.message(xyz, rgb)
        self.send(message)
        self.wait(lambda: self.node.newest_stamp == message.header.stamp, again=lambda: self.send(message))

    def click(self, point: np.ndarray, encoded: bool = False) -> tuple[float, float]:
        """Milliseconds from the click's publication to published labels, and the library's share of them."""
        from geometry_msgs.msg import Point, PointStamped

        x, y, z = (float(value) for value in point)
        click = PointStamped(point=Point(x=x, y=y, z=z))
        self._shown.clear()
        self._objects = 2 if encoded else 1
        start = time.perf_counter()
        self._clicks.publish(click)
        if not self._shown.wait(120):
            raise RuntimeError("the segmenter did not answer the click within 120 s")
        view = self.node.work_view
        own = view.segment_ms + (0.0 if encoded else view.encode_ms)
        return 1e3 * (self._at - start), own

    def service(self, name: str) -> None:
        """Calls one of the services without arguments."""
        from std_srvs.srv import Trigger

        client = self.client.create_client(Trigger, f"/segmenter/{name}")
        self.wait(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.wait(future.done)
        self.client.destroy_client(client)
        time.sleep(0.1)

    def wait(self, condition: Callable[[], Any], seconds: float = 60, again: Callable[[], Any] | None = None) -> None:
        """Waits for another thread."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"the segmenter was not ready within {seconds} s")
            time.sleep(0.02)
            if again is not None and time.monotonic() > end - seconds + 2:
                again()


@contextmanager
def segmenter(model: str, folder: str, scene: str) -> Iterator[Bench]:
    """An active segmenter in this process, in a ROS context of its own."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from iseg3d_ros.ros.segmenter import Segmenter
    from iseg3d_ros.ros.view import View

    class Timed(Segmenter):
        """The node, telling when a view is out."""

        on_shown: Any = None
        work_view: View | None = None

        @property
        def newest_stamp(self) -> Any:
            """Stamp of the newest cloud that has arrived."""
            newest = self._running.inputs.newest if self._running else None
            return newest.message.header.stamp if newest else None

        def show(self, view: View, since: float, convert_ms: float) -> None:
            super().show(view, since, convert_ms)
            self.work_view = view
            if self.on_shown is not None:
                self.on_shown(view)

    parameters = {"model": model, "scene": scene, "session_directory": folder, "diagnostics_period": 10.0}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["bench", "--ros-args", *words, "--log-level", "warn"])
    node, client = Timed(), rclpy.create_node("bench", use_global_arguments=False)
    threads = []
    for each in (node, client):
        executor = SingleThreadedExecutor()
        executor.add_node(each)
        threads.append(threading.Thread(target=spin, args=(executor,), daemon=True))
    node.trigger_configure()
    node.trigger_activate()
    for thread in threads:
        thread.start()
    try:
        yield Bench(node, client)
    finally:
        rclpy.shutdown()
        for thread in threads:
            thread.join(10)
        node.on_deactivate(None)


def spin(executor: Any) -> None:
    """Until ROS is shut down."""
    from rclpy.executors import ExternalShutdownException

    try:
        executor.spin()
    except ExternalShutdownException:
        return


def surface(points: int, seed: int = 0, colour: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    """A floor of 8 m with a box of half a metre in the middle and forty around it."""
    rng = np.random.default_rng(seed)
    floor = points // 2
    xyz = np.empty((points, 3), np.float32)
    xyz[:floor, :2], xyz[:floor, 2] = rng.uniform(-4, 4, (floor, 2)), rng.normal(0, 0.003, floor)
    places = np.random.default_rng(7).uniform(-3.5, 3.5, (41, 2))
    places[0] = 0
    which = rng.integers(0, len(places), points - floor)
    cube = rng.uniform(-0.25, 0.25, (points - floor, 3))
    side = rng.integers(0, 3, points - floor)
    rows = np.arange(points - floor)
    cube[rows, side] = np.where(cube[rows, side] > 0, 0.25, -0.25)
    xyz[floor:] = cube + np.c_[places[which], np.full(points - floor, 0.26)]
    rgb = np.full((points, 3), 120, np.uint8)
    rgb[floor:] = (which[:, None] * [53, 97, 31] % 255).astype(np.uint8)
    return xyz, rgb if colour else None


def strided(xyz: np.ndarray, rgb: np.ndarray | None, step: int, colour_at: int | None) -> Any:
    """A message with padding, or with fields that are not aligned."""
    from sensor_msgs.msg import PointCloud2, PointField

    from iseg3d_ros.ros.clouds import packed

    names, formats, offsets = ["x", "y", "z"], ["<f4"] * 3, [0, 4, 8]
    if rgb is not None and colour_at is not None:
        names, formats, offsets = [*names, "rgb"], [*formats, "<u4"], [*offsets, colour_at]
    layout = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": step})
    points = np.zeros(len(xyz), layout)
    for column, name in enumerate("xyz"):
        points[name] = xyz[:, column]
    if rgb is not None:
        points["rgb"] = packed(rgb)
    fields = [PointField(name=n, offset=o, datatype=7, count=1) for n, o in zip(names, offsets, strict=True)]
    message = PointCloud2(height=1, width=len(xyz), fields=fields, point_step=step, row_step=step * len(xyz))
    message.data = points.tobytes()
    return message


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
