"""A node's log as JSON: what ROS, the node and the interpreter say, each line an object."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import NodeProcess, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros import json_log


def test_every_line_of_a_nodes_log_is_a_record(
    run_node: Callable[..., NodeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(json_log.SWITCH, "json")
    process = run_node("segmenter", "-p", "autostart:=true", "-p", "model:=random_walker", "-p", "autosave:=false")
    process.wait_for("ready: clouds on", 300)
    assert process.end() == 0
    records = [json.loads(line) for line in process.output.splitlines()]
    assert all(set(each) == {"time", "level", "node", "message", "fields"} for each in records)
    (ready,) = [each for each in records if "ready: clouds on" in each["message"]]
    assert (ready["level"], ready["node"], ready["fields"]["file"]) == ("INFO", "segmenter", "segmenter_node.py")
    assert ready["fields"]["line"] > 0
