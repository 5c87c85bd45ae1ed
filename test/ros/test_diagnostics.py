"""What /diagnostics says of what the node has seen; and that clouds which DDS would lose arrive with our profile."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import domain, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_operator import node_process, operator
from sensor_msgs.msg import PointCloud2

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.interaction.view import ObjectView
from iseg3d_ros.io.package_files import config_dir
from iseg3d_ros.ros import diagnostics
from iseg3d_ros.ros.diagnostics import CLOUD, OK, WARN, Health
from iseg3d_ros.ros.node_support import nanoseconds
from iseg3d_ros.ros.settings import SegmenterSettings


class Graph:
    """A node with a graph around it."""

    def __init__(self, *publishers: tuple[str, str, ReliabilityPolicy], topics: dict[str, str] | None = None) -> None:
        self.publishers, self.topics = publishers, topics or {}

    def resolve_topic_name(self, _name: str) -> str:
        return "/points"

    def get_fully_qualified_name(self) -> str:
        return "/segmenter"

    def get_publishers_info_by_topic(self, _topic: str) -> list[Any]:
        return [
            SimpleNamespace(node_name=name, topic_type=kind, qos_profile=QoSProfile(depth=1, reliability=reliability))
            for name, kind, reliability in self.publishers
        ]

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        return [(name, [kind]) for name, kind in self.topics.items()]


def inputs(received: int = 0, lost: int = 0, silent: float = 0.0, reliable: bool = False) -> Any:
    """What the subscriptions and the inference thread know of clouds."""
    newest, at = PointCloud2() if received else None, time.perf_counter() - silent
    return SimpleNamespace(
        enabled=True, newest=newest, newest_at=at, received=received, dropped=0, lost=lost, reliable=reliable,
        sensors=None,
    )  # fmt: skip


def state(health: Health, what: Any, graph: Graph | None = None, scene: str = "frozen") -> tuple[int, str]:
    level, sentence, _ = health.report(what, what, None, graph or Graph(), SegmenterSettings(scene=scene))  # type: ignore[arg-type]
    return level, sentence


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Health:
    """A node that has waited for longer than it takes to say so."""
    monkeypatch.setattr(diagnostics, "SILENT", -1.0)
    return Health()


FITS = ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(
    ("graph", "seen", "words"),
    [
        (Graph(topics={"/lidar/points": CLOUD, "/segmenter/labelled": CLOUD}), {}, "clouds on /lidar/points): remap"),
        (Graph(("cam", "sensor_msgs/msg/Image", FITS)), {}, "it carries sensor_msgs/msg/Image and no PointCloud2"),
        (
            Graph(("lidar", CLOUD, ReliabilityPolicy.BEST_EFFORT)),
            {"reliable": True},
            "offers best effort and the node asks for reliable",
        ),
        (Graph(("lidar", CLOUD, FITS)), {"lost": 12}, "12 were lost on the way: a cloud above 0.5 MB"),
        (Graph(("lidar", CLOUD, FITS)), {}, "lidar is there with a quality of service that fits"),
    ],
    ids=["topic", "type", "reliability", "lost", "unknown"],
)
def test_silence_has_a_cause(waiting: Health, graph: Graph, seen: dict[str, Any], words: str) -> None:
    level, sentence = state(waiting, inputs(**seen), graph)
    assert level == WARN and words in sentence
    assert "compare QoS" not in sentence and "/segmenter/labelled" not in sentence


def test_a_sensor_that_has_gone_silent_is_a_warning() -> None:
    assert state(Health(), inputs(1, silent=8.0)) == (OK, "no new cloud on /points for 8 s"), "a camera on demand"
    assert state(Health(), inputs(30, silent=8.0))[0] == WARN
    assert state(Health(), inputs(1, silent=8.0), scene="live")[0] == WARN


def test_clouds_that_are_lost_now_and_then_are_a_warning() -> None:
    health = Health()
    assert state(health, inputs(5))[0] == OK
    level, sentence = state(health, inputs(6, lost=20))
    assert level == WARN and "20 of the last 20 clouds" in sentence and "profile" in sentence


def test_lost_objects_are_told_and_warned_of() -> None:
    def view(*lost: str, hidden: str = "") -> Any:
        objects = [ObjectView(name, name, 1, 0, (), name in lost, name == hidden) for name in ("cup", "box")]
        return SimpleNamespace(objects=objects)

    health = Health()
    assert not list(health.shown(1.0, view()))
    assert list(health.shown(1.0, view("box"))) == ["box is lost: it is looked for where it was last seen"]
    assert not list(health.shown(1.0, view("box")))
    assert state(health, inputs(5), scene="live") == (WARN, "lost: box")
    assert list(health.shown(1.0, view())) == ["box is found again"]
    assert list(health.shown(1.0, view("cup", hidden="cup")))[0].startswith("cup is hidden or out of view")
    assert list(health.shown(1.0, view())) == ["cup is found again"]
    assert state(health, inputs(5))[0] == OK


def test_labels_that_fall_behind_are_a_warning() -> None:
    health = Health()
    nothing: Any = SimpleNamespace(objects=[])
    list(health.shown(1.0, nothing))
    assert state(health, inputs(5), scene="live")[0] == OK
    for _ in range(20):
        health.arrived()
    level, sentence = state(health, inputs(20), scene="live")
    assert level == WARN and "labels come 1.0 times a second, clouds 20.0 times" in sentence
    slow = SegmenterSettings(scene="live", max_rate=1.0)
    assert health.report(inputs(20), inputs(20), None, Graph(), slow)[0] == OK  # type: ignore[arg-type]


def test_large_clouds_arrive_with_the_shipped_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 MB each through shared memory, best effort: with Fast DDS's own segment one of them in twenty-five arrives."""
    rng = np.random.default_rng(0)
    write_cloud(tmp_path / "scan.ply", Cloud(rng.uniform(-5, 5, (250_000, 3)).astype(np.float32)))
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(config_dir() / "dds" / "fastdds.xml"))
    with domain() as number, operator(number) as robot:
        heard: list[int] = []
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        note = lambda message: heard.append(nanoseconds(message.header.stamp))  # noqa: E731
        robot.node.create_subscription(PointCloud2, "/player/points", note, best_effort)
        player = node_process(tmp_path, "player", f"path:={tmp_path}/scan.ply", "rate:=2.0", "reliability:=best_effort")
        try:
            robot.until(lambda: len(heard) >= 6, 60, "six clouds")
        finally:
            player.end()
    assert round((heard[5] - heard[0]) / 0.5e9) <= 8, "more than a few were lost"
