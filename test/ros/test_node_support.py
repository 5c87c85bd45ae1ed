"""What all nodes share, without DDS."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros.ros.node_support import library_log


def test_what_the_library_logs_is_said_by_the_node() -> None:
    said: list[tuple[str, str]] = []
    levels = ("debug", "info", "warning", "error")
    logger = SimpleNamespace(**{level: lambda text, level=level: said.append((level, text)) for level in levels})
    node: Any = SimpleNamespace(get_logger=lambda: logger)
    log = logging.getLogger("iseg3d_ros.sparse.choice")
    with library_log(node):
        log.warning("spconv is %s", "slow")
        log.error("no memory")
    log.warning("nobody hears this")
    assert said == [("warning", "spconv is slow"), ("error", "no memory")]


def test_rclpy_takes_every_severity_again_and_again() -> None:
    from rclpy.logging import get_logger

    from iseg3d_ros.ros.node_support import NodeLog

    handler = NodeLog(get_logger("library"))
    for _ in range(2):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            handler.emit(logging.LogRecord("iseg3d_ros", level, "", 0, "said", None, None))
