"""A segmenter and its client in one process, with clouds to send: what measurements are taken on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Bench:
    """A segmenter and its client in one process, each with an executor's thread."""

    def __init__(self, node: Any, client: Any) -> None:
        from geometry_msgs.msg import PointStamped
        from sensor_msgs.msg import PointCloud2

        from iseg3d_ros.ros.node_support import CLICKS, LATCHED, quality

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
        from iseg3d_ros.ros.node_support import nanoseconds, stamp_of

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

        from iseg3d_ros.io.pointcloud2_write import plain
        from iseg3d_ros.ros.point_cloud2 import cloud_message

        stamp = self.client.get_clock().now().to_msg()
        return cloud_message(plain(xyz, rgb), Header(frame_id="sensor", stamp=stamp))

    def send(self, message: Any) -> None:
        """Publishes a cloud."""
        self._points.publish(message)

    def arrive(self, xyz: np.ndarray, rgb: np.ndarray | None) -> None:
        """Publishes a cloud and waits until the node has it."""
        message = self.message(xyz, rgb)
        self.send(message)
        self.wait(lambda: self.node.newest_stamp == message.header.stamp, again=lambda: self.send(message))

    def take(self, message: Any, seconds: float = 5.0) -> bool:
        """Publishes a cloud, stamped now, and waits for its labels; False where they do not come."""
        message.header.stamp = self.client.get_clock().now().to_msg()
        self._shown.clear()
        self.send(message)
        return self._shown.wait(seconds)

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
def segmenter(model: str, folder: str, scene: str, **more: object) -> Iterator[Bench]:
    """An active segmenter in this process, in a ROS context of its own; `more` are further parameters."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from iseg3d_ros.interaction.view import View
    from iseg3d_ros.ros.segmenter_node import Segmenter

    class Timed(Segmenter):
        """The node, telling when a view is out."""

        on_shown: Any = None
        work_view: View | None = None

        @property
        def newest_stamp(self) -> Any:
            """Stamp of the newest cloud that has arrived."""
            newest = self._running.worker.newest if self._running else None
            return newest.header.stamp if newest else None

        def on_configure(self, state: Any) -> Any:
            success = super().on_configure(state)
            assert self._parts is not None
            self._show = self._parts.outputs.show
            self._parts.outputs.show = self._timed  # type: ignore[method-assign]
            return success

        def _timed(self, view: View, since: float) -> None:
            self._show(view, since)
            self.work_view = view
            if self.on_shown is not None:
                self.on_shown(view)

    parameters = {"model": model, "scene": scene, "session_directory": folder, "diagnostics_period": 10.0, **more}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["bench", "--ros-args", *words, "--log-level", "warn"])
    node, client = Timed(), rclpy.create_node("bench", use_global_arguments=False)
    executors = [SingleThreadedExecutor(), SingleThreadedExecutor()]
    for executor, each in zip(executors, (node, client), strict=True):
        executor.add_node(each)
    threads = [threading.Thread(target=spin, args=(executor,), daemon=True) for executor in executors]
    node.trigger_configure()
    node.trigger_activate()
    for thread in threads:
        thread.start()
    try:
        yield Bench(node, client)
    finally:  # shutting rclpy down would leave the nodes in the domain, with what they have last published
        for executor, thread in zip(executors, threads, strict=True):
            executor.shutdown()
            thread.join(10)
        node.destroy_node()
        client.destroy_node()
        rclpy.shutdown()


def spin(executor: Any) -> None:
    """Until ROS is shut down."""
    from rclpy.executors import ExternalShutdownException

    try:
        executor.spin()
    except ExternalShutdownException:
        return


def surface(
    points: int, seed: int = 0, colour: bool = True, extent: float = 8.0, boxes: int = 41
) -> tuple[np.ndarray, np.ndarray | None]:
    """A square floor with a box of half a metre in the middle and the others around it."""
    rng = np.random.default_rng(seed)
    floor = points // 2
    xyz = np.empty((points, 3), np.float32)
    xyz[:floor, :2], xyz[:floor, 2] = rng.uniform(-extent / 2, extent / 2, (floor, 2)), rng.normal(0, 0.003, floor)
    places = np.random.default_rng(7).uniform(0.5 - extent / 2, extent / 2 - 0.5, (boxes, 2))
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

    from iseg3d_ros.io.pointcloud2_write import packed

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
