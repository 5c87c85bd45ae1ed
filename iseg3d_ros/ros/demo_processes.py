"""Player, segmenter and console as processes of their own over DDS, and a bridge to them for the scripted operator."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from iseg3d_ros.ros.console_backend import RosWork
from iseg3d_ros.ros.node_support import dds_profile

PATIENCE = 90.0  # seconds for a node to start
GRACE = 8.0  # seconds to end
POINTS = "~/points:=/player/points"
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Process:
    """One node; its output goes to a file, and its process ends with ours whatever happens to us."""

    def __init__(self, node: str, folder: Path, parameters: dict[str, object], environment: dict[str, str]) -> None:
        self.node, self.log = node, folder / f"{node}.log"
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        remap = [] if node == "player" else ["-r", POINTS]
        command = [sys.executable, "-m", f"iseg3d_ros.ros.{node}_node", "--ros-args", *words, *remap]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    def wait_for(self, words: str) -> str:
        """The line of its output that holds the words."""
        end = time.monotonic() + PATIENCE
        while True:
            said = self.log.read_text(errors="replace")
            line = next((line for line in said.splitlines() if words in line), None)
            if line is not None:
                return line
            if self._process.poll() is not None or time.monotonic() > end:
                last = said.strip().splitlines()[-1:] or ["it said nothing"]
                raise RuntimeError(f"The {self.node} did not start: {last[0]}")
            time.sleep(0.05)

    def end(self) -> None:
        """As Ctrl-C does; killed where it does not obey."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def graph(scene: Path, model: str, host: str, port: int) -> Iterator[tuple[RosWork, str]]:
    """The running system: a bridge to it, and the console's address. All of it is gone afterwards."""
    domain = random.randrange(1, 102)  # of its own: nobody else's nodes hear the demo's
    own = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment = {**os.environ, **dds_profile(), **own}
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    segmenter = {"autostart": True, "autosave": False}
    with tempfile.TemporaryDirectory(prefix="iseg3d_demo_") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        nodes: list[tuple[str, dict[str, object]]] = [
            ("segmenter", {**segmenter, "session_directory": folder, **({"model": model} if model else {})}),
            ("console", {"host": host, "port": port}),
            ("player", {"path": scene.resolve()}),
        ]
        processes = {}
        for node, parameters in nodes:
            processes[node] = Process(node, folder, parameters, environment)
            stack.callback(processes[node].end)
        work = stack.enter_context(_bridge(domain))
        processes["player"].wait_for("playing")
        address = processes["console"].wait_for("The console is at").split()[-1]
        processes["segmenter"].wait_for("ready: clouds on")
        yield work, address


@contextlib.contextmanager
def _bridge(domain: int) -> Iterator[RosWork]:
    """A node of our own, spun on a thread."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    node = rclpy.create_node("operator", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    work = RosWork(node, "/segmenter", points="/player/points")

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name="operator", daemon=True)
    thread.start()
    try:
        yield work
    finally:
        executor.shutdown(timeout_sec=2)
        thread.join(5)
        work.close()
        node.destroy_node()
        context.try_shutdown()


def _end_with_parent() -> None:
    """Linux ends the process when we die, even if we are killed."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGINT)
