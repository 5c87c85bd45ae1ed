"""What all nodes share: qualities of service, stamps, mismatches in words, and the main function."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from iseg3d_ros import json_log
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io.package_files import config_dir
from iseg3d_ros.ros.inference_thread import INFERENCE
from iseg3d_ros.sparse.freed_memory import keep_freed

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

CLICKS = QoSProfile(depth=1000)  # a click lost is work lost
NEWEST = QoSProfile(depth=1)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def quality(reliability: str, depth: int = 1, latched: bool = False) -> QoSProfile:
    """Keep the newest, with the reliability that a parameter names."""
    kind = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=depth, reliability=kind, durability=durability)


def nanoseconds(stamp: Any) -> int:
    """builtin_interfaces/Time as one integer."""
    return int(stamp.sec) * SECOND + int(stamp.nanosec)


def stamp_of(time: int) -> Any:
    """An integer as builtin_interfaces/Time."""
    from builtin_interfaces.msg import Time

    return Time(sec=time // SECOND, nanosec=time % SECOND)


def vision_messages() -> Any | None:
    """vision_msgs.msg where it is installed."""
    try:
        return import_module("vision_msgs.msg")
    except ImportError:
        return None


def mismatch_in_words(
    node: Node, topic: str, parameter: str, lost: Callable[[int], None] = lambda _: None
) -> SubscriptionEventCallbacks:
    """Says it when a publisher offers less than the subscription asks, which otherwise looks like silence.

    `lost` is told how many more messages the middleware has lost on the way.
    """

    def tell(event: Any) -> None:
        if event.total_count_change > 0:
            policy = str(event.last_policy_kind).split(".")[-1].lower()
            node.get_logger().warning(
                f"a publisher of {node.resolve_topic_name(topic)} offers less than this node asks for ({policy}), so "
                f"nothing of it arrives: set the parameter {parameter} to what it offers (`ros2 topic info -v` tells)"
            )

    return SubscriptionEventCallbacks(incompatible_qos=tell, message_lost=lambda event: lost(event.total_count_change))


class NodeLog(logging.Handler):
    """What the library logs, said by a node's logger."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """One line for each severity: rclpy refuses another one from a line that has logged before."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


@contextlib.contextmanager
def library_log(node: Node) -> Iterator[None]:
    """The library's log goes to a node's."""
    log, handler = logging.getLogger("iseg3d_ros"), NodeLog(node.get_logger())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


DDS = {  # middleware: the variables that name a profile, and ours
    "rmw_fastrtps_cpp": (("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"), "fastdds.xml"),
    "rmw_cyclonedds_cpp": (("CYCLONEDDS_URI",), "cyclonedds.xml"),
}


def dds_profile() -> dict[str, str]:
    """The environment that sets the middleware's profile for large clouds, where nobody has chosen one; what counts is
    the profile of the process that publishes."""
    middleware = os.environ.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp"
    variables, file = DDS.get(middleware, ((), ""))
    if not file or any(os.environ.get(name) for name in variables):
        return {}
    path = config_dir() / "dds" / file
    return {variables[0]: f"file://{path}" if middleware == "rmw_cyclonedds_cpp" else str(path)}


def run(make: Callable[[], Node], args: Sequence[str] | None) -> int:
    """Spins a node until it is told to end; errors at the start are one sentence."""
    keep_freed()
    json_log.begin("iseg3d_ros")
    rclpy.init(args=list(args) if args is not None else None)
    node = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        with library_log(node):
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, RuntimeError, OSError, ParameterException) as error:
        if not rclpy.ok():
            return 0  # told to end while it started: whatever failed then failed for want of ROS
        json_log.say("ERROR", "iseg3d_ros", str(error))
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        with contextlib.suppress(RuntimeError):  # the signal's own handler may shut down at the same time
            rclpy.try_shutdown()
    return leave()


def leave() -> NoReturn:
    """Ends the process: to take apart all that was imported would cost a second of the processor's time."""
    if not any(thread.name == INFERENCE for thread in threading.enumerate()):
        atexit._run_exitfuncs()  # a model under way cannot be interrupted, and must not keep the node from ending
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
