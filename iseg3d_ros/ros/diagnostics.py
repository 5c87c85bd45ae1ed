"""The node's health in one level, one sentence and a few figures."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from rclpy.node import Node

from iseg3d_ros.interaction.view import View
from iseg3d_ros.ros.inference_thread import Worker

OK, WARN, ERROR = 0, 1, 2
RECENT = 10.0  # seconds for which a failure or a warning is reported
SILENT = 5.0  # seconds without clouds after which the node says so


class Health:
    """Noted by the node's threads, reported by its timer."""

    def __init__(self) -> None:
        self._totals: deque[float] = deque(maxlen=200)
        self._failure: tuple[float, str] = (-1e9, "")
        self._warning: tuple[float, str] = (-1e9, "")
        self._begun = time.monotonic()

    def shown(self, total_ms: float) -> None:
        """A view was published."""
        self._totals.append(total_ms)

    def told(self, sentence: str) -> None:
        """The operator was told something."""
        self._warning = (time.monotonic(), sentence)

    def failed(self, sentence: str) -> None:
        """A cloud could not be segmented."""
        self._failure = (time.monotonic(), sentence)

    def report(self, worker: Worker[Any], view: View | None, node: Node) -> tuple[int, str, dict[str, Any]]:
        """Level, sentence, figures."""
        totals = np.array(self._totals or [np.nan])
        figures = {
            "clouds received": worker.received,
            "clouds dropped": worker.dropped,
            "objects": len(view.objects) if view else 0,
            "points": len(view.points) if view else 0,
            "model": view.model if view else "",
            "receive ms": round(view.cloud.receive_ms, 3) if view else 0.0,
            "total ms (median)": round(float(np.median(totals)), 3),
            "total ms (largest of the last 200)": round(float(totals.max()), 3),
        }
        level, sentence = self._state(worker, node)
        return level, sentence, figures

    def _state(self, worker: Worker[Any], node: Node) -> tuple[int, str]:
        now = time.monotonic()
        topic = node.resolve_topic_name("~/points")
        if not worker.enabled:
            return WARN, "disabled: clouds and clicks are ignored until ~/enable is called"
        if now - self._failure[0] < RECENT:
            return ERROR, self._failure[1]
        if worker.newest is None and now - self._begun > SILENT:
            publishers = node.count_publishers(topic)
            reason = "nobody publishes on it" if publishers == 0 else f"though {publishers} publish on it: compare QoS"
            return WARN, f"no cloud has arrived on {topic}, {reason}"
        if worker.newest is not None and time.perf_counter() - worker.newest_at > SILENT:
            return OK, f"no new cloud on {topic} for {time.perf_counter() - worker.newest_at:.0f} s"
        if now - self._warning[0] < RECENT:
            return WARN, self._warning[1]
        return OK, "segmenting" if worker.newest is not None else f"waiting for clouds on {topic}"
