"""The bond with a lifecycle manager: the protocol between two sides, and what is said where bond is not installed.

`bond` is not among the ROS wheels: a message with the fields of its public definition stands in for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from std_msgs.msg import Header

from iseg3d_ros.ros.bond import CONNECT, MISSING, Bond, bond_with_manager
from iseg3d_ros.ros.settings import SegmenterSettings


@dataclass
class Status:
    """bond/msg/Status."""

    header: Header = field(default_factory=Header)
    id: str = ""
    instance_id: str = ""
    active: bool = False
    heartbeat_timeout: float = 0.0
    heartbeat_period: float = 0.0


class Wire:
    """A topic without DDS, and a clock that the test sets."""

    def __init__(self) -> None:
        self.sent: list[Status] = []
        self.now = 0.0
        self._heard: list[Callable[[Status], None]] = []

    def node(self, name: str) -> Any:
        timers: list[Callable[[], None]] = []

        def publish(message: Status) -> None:
            self.sent.append(message)
            for hear in list(self._heard):
                hear(message)

        stamp = SimpleNamespace(to_msg=lambda: Header().stamp)
        return SimpleNamespace(
            get_name=lambda: name, timers=timers,
            create_publisher=lambda kind, topic, qos: SimpleNamespace(publish=publish),
            create_subscription=lambda kind, topic, callback, qos: self._heard.append(callback) or callback,
            create_timer=lambda period, callback: timers.append(callback) or callback,
            destroy_timer=timers.remove, destroy_subscription=self._heard.remove, destroy_publisher=lambda _: None,
            get_clock=lambda: SimpleNamespace(
                now=lambda: SimpleNamespace(nanoseconds=int(self.now * 1e9), to_msg=stamp.to_msg)
            ),
        )  # fmt: skip

    def tick(self, *nodes: Any, seconds: float = 0.1) -> None:
        self.now += seconds
        for node in nodes:
            for timer in list(node.timers):
                timer()


def pair() -> tuple[Wire, Any, Bond, Any, Bond, list[str]]:
    """The segmenter's side and the manager's, with the same id as Nav2 gives it: the node's name."""
    wire, said = Wire(), list[str]()
    mine, others = wire.node("segmenter"), wire.node("segmenter")
    segmenter, manager = (Bond(node, Status, 0.1, 4.0, said.append) for node in (mine, others))
    return wire, mine, segmenter, others, manager, said


def test_both_sides_form_a_bond_and_keep_it() -> None:
    wire, mine, segmenter, others, manager, said = pair()
    for _ in range(200):
        wire.tick(mine, others)
    assert segmenter.formed and manager.formed and not segmenter.broken and not said
    assert {message.id for message in wire.sent} == {"segmenter"} and all(message.active for message in wire.sent)
    assert len({message.instance_id for message in wire.sent}) == 2
    assert wire.sent[0].heartbeat_period == 0.1 and wire.sent[0].heartbeat_timeout == 4.0


def test_an_end_is_told_and_acknowledged() -> None:
    wire, mine, segmenter, others, manager, said = pair()
    wire.tick(mine, others)
    segmenter.close()  # deactivated: the manager hears of it at once
    assert manager.broken and not said
    assert [message.active for message in wire.sent[-2:]] == [False, False]
    assert wire.sent[-2].instance_id != wire.sent[-1].instance_id, "the second is the manager's answer"
    assert not mine.timers


def test_a_manager_that_falls_silent_is_named_and_the_node_works_on() -> None:
    wire, mine, segmenter, others, _, said = pair()
    wire.tick(mine, others)
    for _ in range(39):
        wire.tick(mine)
    assert not segmenter.broken
    for _ in range(5):
        wire.tick(mine)
    assert segmenter.broken and len(said) == 1 and "has not been heard for 4 s" in said[0]


def test_without_a_manager_heartbeats_end() -> None:
    wire = Wire()
    alone = wire.node("segmenter")
    said: list[str] = []
    bond = Bond(alone, Status, 0.1, 4.0, said.append)
    wire.tick(alone, seconds=CONNECT + 1)
    count = len(wire.sent)
    wire.tick(alone)
    assert len(wire.sent) == count and not bond.formed and not said
    stranger = Status(id="planner_server", instance_id="x", active=True)
    bond._on_status(stranger)
    assert not bond.formed, "another node's bond"


def test_where_bond_is_missing_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    node = Wire().node("segmenter")
    monkeypatch.setitem(sys.modules, "bond.msg", None)
    managed = SegmenterSettings()
    assert bond_with_manager(node, managed, said.append) is None and said == [MISSING]
    for alone in (SegmenterSettings(autostart=True), SegmenterSettings(bond_heartbeat_period=0.0)):
        assert bond_with_manager(node, alone, said.append) is None and len(said) == 1, "not wanted"
    messages: Any = ModuleType("bond.msg")
    messages.Status = Status
    monkeypatch.setitem(sys.modules, "bond", ModuleType("bond"))
    monkeypatch.setitem(sys.modules, "bond.msg", messages)
    assert isinstance(bond_with_manager(node, managed, said.append), Bond) and len(said) == 1
