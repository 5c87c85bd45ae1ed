"""A bond with Nav2's lifecycle manager: heartbeats while the node is active, and word of its end.

The protocol of bond_core on the topic `bond`: both sides send bond/Status with the node's name as `id` and an
`instance_id` of their own, over and over; `active` false, or silence, is the end.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from iseg3d_ros.ros.settings import SegmenterSettings

CONNECT = 10.0  # seconds that are waited for the other side, then nobody manages this node
MISSING = (
    "the package bond is not installed, so there are no heartbeats: where Nav2's lifecycle manager manages this node, "
    "install it, or set the manager's bond_timeout to 0.0"
)


class Bond:
    """This node's side, from activate to deactivate; on the executor's thread, so that heartbeats say that it goes on.

    `lost` hears in words when the other side has ended without a word; the node itself works on.
    """

    def __init__(self, node: Node, status: Any, period: float, timeout: float, lost: Callable[[str], object]) -> None:
        self._node, self._status, self._lost = node, status, lost
        self._period, self._timeout = period, timeout
        self._id, self._instance = node.get_name(), str(uuid.uuid4())
        self._begun, self._heard = self._now(), 0.0
        self.formed = self.broken = False
        self._publisher = node.create_publisher(status, "bond", QoSProfile(depth=5))
        self._subscription = node.create_subscription(status, "bond", self._on_status, QoSProfile(depth=100))
        self._timer = node.create_timer(period, self._beat)

    def close(self) -> None:
        """Says that this side ends."""
        if not self.broken:
            self._send(False)
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _beat(self) -> None:
        now = self._now()
        if self.formed and not self.broken and now - self._heard > self._timeout:
            self.broken = True
            self._lost(f"the lifecycle manager has not been heard for {self._timeout:g} s: the node works on")
        if not self.broken and (self.formed or now - self._begun < CONNECT):
            self._send(True)

    def _on_status(self, message: Any) -> None:
        if message.id != self._id or message.instance_id == self._instance or self.broken:
            return
        self._heard = self._now()
        self.formed = self.formed or message.active
        if not message.active and self.formed:
            self.broken = True
            self._send(False)  # the other side waits for this

    def _send(self, active: bool) -> None:
        message = self._status(id=self._id, instance_id=self._instance, active=active)
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.heartbeat_timeout, message.heartbeat_period = self._timeout, self._period
        self._publisher.publish(message)

    def _now(self) -> float:
        return self._node.get_clock().now().nanoseconds / 1e9


def bond_with_manager(node: Node, settings: SegmenterSettings, say: Callable[[str], object]) -> Bond | None:
    """The bond of an active node; None where nobody manages it, or where there cannot be one, which is said."""
    if settings.autostart or settings.bond_heartbeat_period <= 0:
        return None
    try:
        status = import_module("bond.msg").Status
    except ImportError:
        say(MISSING)
        return None
    return Bond(node, status, settings.bond_heartbeat_period, settings.bond_timeout, say)
