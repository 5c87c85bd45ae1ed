"""No object stays of a node's life between configure and cleanup."""

from __future__ import annotations

import gc
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import rclpy
from conftest import domain

from iseg3d_ros.ros.segmenter_node import SUCCESS, Segmenter

CYCLES = 3


def life(node: Any) -> None:
    """Up and down."""
    for step in (node.trigger_configure, node.trigger_activate, node.trigger_deactivate, node.trigger_cleanup):
        assert step() == SUCCESS


def test_no_kind_of_object_grows_with_the_lifecycle(tmp_path: Path) -> None:
    """Weak references, handles and threads count too: no kind may grow with every cycle, once caches are filled."""
    given = ["-p", "model:=random_walker", "-p", f"session_directory:={tmp_path}"]
    with domain() as number:
        rclpy.init(args=["test", "--ros-args", *given], domain_id=number)
        node = Segmenter()
        try:
            seen = [kinds()]
            for _ in range(3):
                for _ in range(CYCLES):
                    life(node)
                seen.append(kinds())
            grown = [after - before for before, after in itertools.pairwise(seen)][1:]
            more = {kind: count for kind, count in (grown[0] & grown[1]).items() if count >= CYCLES}
        finally:
            node.destroy_node()
            rclpy.shutdown()
    assert not more


def kinds() -> Counter[str]:
    """How many there are of each type."""
    gc.collect()
    return Counter(type(item).__qualname__ for item in gc.get_objects())
