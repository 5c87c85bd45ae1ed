"""The node `console`: the operator's page over the segmenter's topics and services.

Thread rule: see console_backend.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from iseg3d_ros.console.page import Console
from iseg3d_ros.console.server import serve
from iseg3d_ros.ros.console_backend import RosWork
from iseg3d_ros.ros.node_support import run
from iseg3d_ros.ros.parameters import declare, read
from iseg3d_ros.ros.settings import ConsoleSettings


class ConsoleNode(Node):
    """Serves the page until it is destroyed."""

    def __init__(self) -> None:
        super().__init__("console")
        declare(self, ConsoleSettings)
        settings = read(self, ConsoleSettings)
        server = serve(settings.host, settings.port)
        self._work = RosWork(self, settings.segmenter, settings.points_reliability)
        self._console = Console(self._work, server, settings.most_points)
        # Printed, not logged: the addresses hold tokens.
        print(f"The console is at {server.address}", flush=True)
        print(f"For looking only: {server.view_address}", flush=True)

    def destroy_node(self) -> None:
        """Ends the page as well."""
        self._console.close()
        self._work.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(ConsoleNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
