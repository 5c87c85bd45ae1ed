"""The node's figures for a fleet's Prometheus: in a file, on a port, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from iseg3d_ros import metrics


class Metrics:
    """Told of the figures with every message on /diagnostics; who asks on the port is given the last ones."""

    def __init__(self, node: str, say: Callable[[str], object]) -> None:
        self._node, self._say, self._text = node, say, ""
        self._server: metrics.Server | None = None

    def listen(self, address: str) -> None:
        """On HOST:PORT, or a port of 127.0.0.1; empty: nowhere. ValueError or OSError where that cannot be."""
        self.close()
        if address:
            self._server = metrics.Server(address, lambda: self._text)

    def tell(self, file: str, values: Mapping[str, object], answers: metrics.Histogram) -> None:
        """The newest figures."""
        if not file and self._server is None:
            return
        values = {**values, "journal in trouble": values["journal"] != "well"}
        self._text = metrics.as_text(self._node, values, {"answer seconds": answers})
        try:
            if file:
                metrics.write(Path(file).expanduser(), self._text)
        except OSError as error:
            self._say(f"metrics_file: {error}")

    def close(self) -> None:
        """The port is free again."""
        if self._server is not None:
            self._server.close()
            self._server = None
