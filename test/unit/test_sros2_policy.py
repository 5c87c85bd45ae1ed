"""The SROS2 policy allows what the nodes do: their tables say so, and the running nodes too."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess, needs_ros

from iseg3d_ros.io import package_files as paths
from iseg3d_ros.ros import topics

KINDS = (("publish", "publisher"), ("subscribe", "subscriber"), ("reply", "service"))


def allowed(node: str, verb: str) -> set[str]:
    """The full names that a node's profile allows."""
    root = ElementTree.parse(paths.config_dir() / "sros2_policy.xml").getroot()
    lists = [rules for rules in root.findall(f".//profile[@node='{node}']/*") if rules.get(verb) == "ALLOW"]
    return {full(str(item.text), node) for rules in lists for item in rules}


def full(name: str, node: str) -> str:
    """A name as the middleware sees it, in the namespace /."""
    return name.replace("~", f"/{node}") if name[0] in "~/" else f"/{name}"


def names(table: tuple[Any, ...]) -> set[str]:
    return {full(row.name, "segmenter") for row in table}


def test_the_segmenter_may_do_what_its_tables_say_and_little_else() -> None:
    own = {"/rosout", "/parameter_events", "/segmenter/transition_event"}
    assert allowed("segmenter", "publish") == names(topics.PUBLISHED) | own
    assert allowed("segmenter", "subscribe") == names(topics.SUBSCRIBED) | {"/points", "/clock"}
    assert names(topics.SERVICES) <= allowed("segmenter", "reply")
    assert names(topics.ACTIONS) == allowed("segmenter", "execute")
    assert all(name.startswith("/segmenter/") for name in allowed("segmenter", "reply"))


def test_an_operator_reaches_everything_of_the_segmenter() -> None:
    assert names(topics.PUBLISHED) <= allowed("console", "subscribe")
    assert names(topics.SERVICES) <= allowed("console", "request")
    assert allowed("console", "publish") - {"/rosout", "/parameter_events"} <= names(topics.SUBSCRIBED)
    assert allowed("console", "request") <= allowed("segmenter", "reply")


@needs_ros
@pytest.mark.parametrize("node", ["segmenter", "player", "rgbd_cloud"])
def test_what_a_running_node_does_is_allowed(
    node: str, run_node: Callable[..., NodeProcess], ros_node: Any, tmp_path: Any
) -> None:
    np.savez(tmp_path / "scan.npz", xyz=np.ones((1, 3), np.float32))
    path = f"path:={tmp_path}/scan.npz" if node == "player" else "use_sim_time:=false"
    run_node(node, "-p", path, "-p", "session_directory:=" + str(tmp_path))
    end = time.monotonic() + 60
    while node not in ros_node.get_node_names() or not _offered(ros_node, node, "service") & {_last(node)}:
        assert time.monotonic() < end, f"{node} has not come up"
        time.sleep(0.2)
    actions = allowed(node, "execute")
    for verb, kind in KINDS:
        offered = {name for name in _offered(ros_node, node, kind) if name.split("/_action/")[0] not in actions}
        assert not offered - allowed(node, verb), f"{node} may not {verb}"


def _last(node: str) -> str:
    """A service that is there only when the node is."""
    return "/segmenter/enable" if node == "segmenter" else f"/{node}/set_parameters_atomically"


def _offered(asking: Any, node: str, kind: str) -> set[str]:
    find = getattr(asking, f"get_{kind}_names_and_types_by_node")
    return {name for name, _ in find(node, "/")}
