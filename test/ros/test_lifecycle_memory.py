"""No object stays of a node's life between configure and cleanup."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from conftest import domain

from iseg3d_ros.ros.segmenter_node import SUCCESS, Segmenter

CYCLES = 3


def life(node: Any) -> None:
    """Up and down."""
    for step in (node.trigger_configure, node.trigger_activate, node.trigger_deactivate, node.trigger_cleanup):
        assert step() == SUCCESS


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    given = ["-p", "model:=random_walker", "-p", f"session_directory:={tmp_path_factory.mktemp('work')}"]
    with domain() as number:
        rclpy.init(args=["test", "--ros-args", *given], domain_id=number)
        node = Segmenter()
        yield node
        node.destroy_node()
        rclpy.shutdown()


def test_no_kind_of_object_grows_with_the_lifecycle(node: Any) -> None:
    """Weak references, handles and threads count too: no kind may grow with every cycle, once caches are filled."""
    seen = [kinds()]
    for _ in range(3):
        for _ in range(CYCLES):
            life(node)
        seen.append(kinds())
    grown = [after - before for before, after in itertools.pairwise(seen)][1:]
    assert not {kind: count for kind, count in (grown[0] & grown[1]).items() if count >= CYCLES}


def test_what_refers_to_itself_does_not_wait_for_the_interpreter(node: Any) -> None:
    """Few objects hold large clouds: by itself the interpreter would look for them after hundreds of cycles."""
    gc.disable()
    try:
        assert node.trigger_configure() == node.trigger_activate() == SUCCESS
        held = weakref.ref(node._parts.work)
        assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
        assert held() is None
    finally:
        gc.enable()


def kinds() -> Counter[str]:
    """How many there are of each type."""
    gc.collect()
    return Counter(type(item).__qualname__ for item in gc.get_objects())
