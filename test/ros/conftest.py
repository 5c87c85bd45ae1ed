"""What the tests of nodes as processes share; imported lazily, for without ROS they are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import NodeProcess, domain


@pytest.fixture
def lone_robot() -> Iterator[Any]:
    """An operator in a domain of its own."""
    from ros_operator import operator

    with domain() as number, operator(number) as one:
        yield one


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Starts nodes with parameters, segmenters where none is named; they end with the test."""
    from ros_operator import node_process, segmenter_process

    processes: list[NodeProcess] = []

    def begin(*parameters: str, node: str = "segmenter", remap: tuple[str, ...] = ()) -> NodeProcess:
        if node == "segmenter":
            processes.append(segmenter_process(tmp_path, f"session_directory:={tmp_path}/work", *parameters))
        else:
            processes.append(node_process(tmp_path, node, *parameters, remap=remap))
        return processes[-1]

    yield begin
    for process in processes:
        process.end()
