"""`iseg3d run NODE`: the same main as `ros2 run iseg3d_ros NODE`, for machines without the ros2 command."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

NODES = ("segmenter", "rgbd_cloud", "player", "console")  # CMakeLists.txt makes a launcher for each

# A lifecycle node waits to be configured and activated; started by hand there is nobody else to do it.
_DEFAULTS = {"segmenter": ["--ros-args", "-p", "autostart:=true", "--"]}


def add(subparsers: Any) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("run", help="run a ROS node without the ros2 command")
    parser.add_argument("node", choices=NODES, help="which node")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="handed to the node: --ros-args -p NAME:=VALUE -r FROM:=TO ..."
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the node until it ends."""
    return main_of(args.node)([args.node, *_DEFAULTS.get(args.node, []), *args.arguments]) or 0


def main_of(node: str) -> Callable[[list[str]], int | None]:
    """The node's main function, or a sentence that says which part of ROS is missing."""
    try:
        module = importlib.import_module(f"iseg3d_ros.ros.{node}_node")
    except ModuleNotFoundError as error:
        raise RuntimeError(_missing(error.name or "")) from error
    main: Callable[[list[str]], int | None] = module.main
    return main


def _missing(module: str) -> str:
    if module.startswith(("iseg3d_ros.msg", "iseg3d_ros.srv", "iseg3d_ros.action")):
        return (
            "The messages of iseg3d_ros are not built: run `make setup` in its repository, "
            "or build it with colcon and source its workspace."
        )
    if module.startswith("iseg3d_ros."):
        return f"This installation has no {module}: install the whole package."
    if module == "rclpy" or module.endswith(("_msgs", "_srvs")):
        return (
            f"The nodes need ROS 2, whose Python package {module!r} is not there: source a ROS 2 installation, "
            "or run `make setup` (Python 3.11 or 3.12 on x86-64 Linux)."
        )
    return f"This node needs the Python package {module!r}, which is not installed."
