"""No object stays of a node's life between configure and cleanup."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import rclpy
from conftest import domain

from iseg3d_ros.ros.segmenter_node import SUCCESS, Segmenter

CYCLES = 6


def life(node: Any) -> None:
    """Up and down."""
    for step in (node.trigger_configure, node.trigger_activate, node.trigger_deactivate, node.trigger_cleanup):
        assert step() == SUCCESS


def test_no_kind_of_object_grows_with_the_lifecycle(tmp_path: Path) -> None:
    """Weak references, handles and threads count too: of any kind fewer than one a cycle may be new."""
    given = ["-p", "model:=random_walker", "-p", f"session_directory:={tmp_path}"]
    with domain() as number:
        rclpy.init(args=["test", "--ros-args", *given], domain_id=number)
        node = Segmenter()
        try:
            for _ in range(3):
                life(node)
            before = kinds()
            for _ in range(CYCLES):
                life(node)
            more = {kind: count for kind, count in (kinds() - before).items() if count >= CYCLES}
        finally:
            node.destroy_node()
            rclpy.shutdown()
    assert not more


def kinds() -> Counter[str]:
    """How many there are of each type."""
    gc.collect()
    return Counter(type(item).__qualname__ for item in gc.get_objects())
