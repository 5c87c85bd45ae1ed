"""The node's health in one level, one sentence and a few figures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from iseg3d_ros.interaction.view import View
from iseg3d_ros.metrics import Histogram
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.subscriptions import Inputs

OK, WARN, ERROR = 0, 1, 2
RECENT = 10.0  # seconds for which a failure or a warning is reported
SILENT = 5.0  # seconds without clouds after which the node says so
STREAM = 3  # clouds from which on a sensor is one that goes on sending
BEHIND = 0.5  # share of the clouds below which labels are said to fall behind
CLOUD = "sensor_msgs/msg/PointCloud2"
PROFILE = (
    "a cloud above 0.5 MB does not fit Fast DDS's own shared memory segment: set the package's profile in the "
    "environment of the program that publishes (docs/deployment.md, Big clouds through DDS)"
)


class Health:
    """Noted by the node's threads, reported by its timer."""

    def __init__(self) -> None:
        self._totals: deque[float] = deque(maxlen=200)
        self.histogram = Histogram()  # of the same, since the start
        self._failure: tuple[float, str] = (-1e9, "")
        self._warning: tuple[float, str] = (-1e9, "")
        self._begun = time.monotonic()
        self._arrivals: deque[float] = deque(maxlen=200)
        self._shown: deque[float] = deque(maxlen=200)
        self._losses: deque[tuple[float, int]] = deque([(self._begun, 0)], maxlen=1000)
        self._missing: frozenset[str] = frozenset()

    def arrived(self) -> None:
        """A cloud."""
        self._arrivals.append(time.monotonic())

    def shown(self, total_ms: float, view: View) -> Iterator[str]:
        """A view was published; what the operator is to be told of it."""
        self._totals.append(total_ms)
        self.histogram.observe(total_ms)
        self._shown.append(time.monotonic())
        missing = lost_objects(view)
        here = {item.id for item in view.objects}
        searched = {item.id for item in view.objects if item.searching}
        for name in sorted(missing - self._missing):
            why = "is hidden or out of view" if name in searched else "is lost"
            yield f"{name} {why}: it is looked for where it was last seen"
        for name in sorted((self._missing - missing) & here):
            yield f"{name} is found again"
        self._missing = missing

    def told(self, sentence: str) -> None:
        """The operator was told something."""
        self._warning = (time.monotonic(), sentence)

    def failed(self, sentence: str) -> None:
        """A cloud could not be segmented."""
        self._failure = (time.monotonic(), sentence)

    def report(
        self, worker: Worker[Any], inputs: Inputs, view: View | None, node: Node, settings: SegmenterSettings
    ) -> tuple[int, str, dict[str, Any]]:
        """Level, sentence, figures."""
        totals = np.array(self._totals or [np.nan])
        self._losses.append((time.monotonic(), inputs.lost))
        figures = {
            "clouds received": worker.received,
            "clouds dropped": worker.dropped,
            "clouds lost on the way": inputs.lost,
            "clouds a second": round(recent_rate(self._arrivals), 2),
            "labels a second": round(recent_rate(self._shown), 2),
            "objects": len(view.objects) if view else 0,
            "lost objects": ", ".join(sorted(self._missing)),
            "points": len(view.points) if view else 0,
            "model": view.model if view else "",
            "receive ms": round(view.cloud.receive_ms, 3) if view else 0.0,
            "total ms (median)": round(float(np.median(totals)), 3),
            "total ms (largest of the last 200)": round(float(totals.max()), 3),
        }
        level, sentence = self._state(worker, inputs, node, settings)
        return level, sentence, figures

    def _state(
        self, worker: Worker[Any], inputs: Inputs, node: Node, settings: SegmenterSettings
    ) -> tuple[int, str]:
        now = time.monotonic()
        topic = inputs.sensors.topics[0] if inputs.sensors else node.resolve_topic_name("~/points")
        if not worker.enabled:
            return WARN, "disabled: clouds and clicks are ignored until ~/enable is called"
        if now - self._failure[0] < RECENT:
            return ERROR, self._failure[1]
        if worker.newest is None and now - self._begun > SILENT:
            return WARN, f"no cloud has arrived on {topic}: {why_silent(node, topic, inputs)}"
        lost, came = self._recent_losses(now), sum(at > now - RECENT for at in self._arrivals)
        if lost > max(came, 1):
            return WARN, f"{lost} of the last {lost + came} clouds on {topic} were lost on the way: {PROFILE}"
        if worker.newest is not None and (silence := time.perf_counter() - worker.newest_at) > SILENT:
            level = WARN if settings.scene != "frozen" or worker.received >= STREAM else OK
            return level, f"no new cloud on {topic} for {silence:.0f} s"
        if inputs.sensors and worker.newest is not None and (silent := inputs.sensors.silent(SILENT)):
            return WARN, f"no cloud on {', '.join(silent)} for more than {SILENT:g} s: the others are segmented without"
        if self._missing:
            return WARN, f"lost: {', '.join(sorted(self._missing))}"
        if settings.scene == "live" and (words := self._behind(settings)):
            return WARN, words
        if now - self._warning[0] < RECENT:
            return WARN, self._warning[1]
        return OK, "segmenting" if worker.newest is not None else f"waiting for clouds on {topic}"

    def _behind(self, settings: SegmenterSettings) -> str:
        """A sentence where a live scene's labels do not keep up with the clouds that are wanted."""
        came, done = recent_rate(self._arrivals), recent_rate(self._shown)
        wanted = min(came, settings.max_rate or came)
        if not self._shown or done >= BEHIND * wanted:
            return ""
        return (
            f"labels come {done:.1f} times a second, clouds {came:.1f} times: set max_rate to what is reached, or "
            "crop_radius or voxel_size to give the model less to do"
        )

    def _recent_losses(self, now: float) -> int:
        before = next(count for at, count in self._losses if at >= now - RECENT or at == self._losses[-1][0])
        return self._losses[-1][1] - before


def recent_rate(times: deque[float]) -> float:
    """Events a second over the last seconds."""
    now = time.monotonic()
    recent = [at for at in times if at > now - RECENT]
    return len(recent) / max(now - recent[0], 1.0) if recent else 0.0


def lost_objects(view: View) -> frozenset[str]:
    """Ids of the objects that are not where they were."""
    return frozenset(item.id for item in view.objects if item.lost)


def why_silent(node: Node, topic: str, inputs: Inputs) -> str:
    """What the graph tells of a topic on which nothing arrives, and what to do."""
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        others = [name for name, kinds in node.get_topic_names_and_types() if CLOUD in kinds and name != topic]
        others = sorted(name for name in others if not name.startswith(f"{node.get_fully_qualified_name()}/"))
        there = f" (there are clouds on {', '.join(others)})" if others else ""
        return f"nobody publishes on it{there}: remap ~/points"
    kinds = {item.topic_type for item in publishers}
    if CLOUD not in kinds:
        return f"it carries {', '.join(sorted(kinds))} and no PointCloud2: remap ~/points"
    if inputs.reliable and all(item.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for item in publishers):
        return "its publisher offers best effort and the node asks for reliable: set points_reliability to best_effort"
    if inputs.lost:
        return f"{inputs.lost} were lost on the way: {PROFILE}"
    who = ", ".join(sorted({item.node_name for item in publishers}))
    return f"{who} is there with a quality of service that fits, but sends nothing that arrives; {PROFILE}"
