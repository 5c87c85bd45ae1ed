"""The console's side of the nodes without a browser: it brings a segmenter up as it was started."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import domain, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_operator import VOXEL, node_process, operator

from iseg3d_ros.console.protocol import Setup
from iseg3d_ros.console.updates import LinkUpdate, Mailbox, Update
from iseg3d_ros.ros import reconfiguration
from iseg3d_ros.ros.console_backend import RosWork
from iseg3d_ros.ros.segmenter_node import Segmenter

pytestmark = pytest.mark.timeout(400)


def told(mailbox: Mailbox, wanted: Callable[[Update], bool], seconds: float = 150) -> None:
    """Waits for an update."""
    end = time.monotonic() + seconds
    heard: list[Update] = []
    while time.monotonic() < end:
        heard += mailbox.take(timeout=1.0)[0]
        if any(map(wanted, heard)):
            return
    raise AssertionError(f"not told within {seconds} s: {heard}")


def test_an_inactive_segmenter_is_named_and_brought_up(tmp_path: Path) -> None:
    with domain() as number, operator(number) as robot:
        executor = SingleThreadedExecutor(context=robot.node.context)
        robot.executor.remove_node(robot.node)
        executor.add_node(robot.node)
        work = RosWork(robot.node)
        mailbox = work.subscribe()
        ends = threading.Event()

        def spin() -> None:
            while not ends.is_set():
                executor.spin_once(timeout_sec=0.2)

        thread = threading.Thread(target=spin)
        thread.start()
        given = ("model:=random_walker", "scene:=live", VOXEL, f"session_directory:={tmp_path}")
        process = None
        try:
            told(mailbox, lambda update: isinstance(update, LinkUpdate) and "No segmenter" in update.sentence)
            process = node_process(tmp_path, "segmenter", *given)
            told(mailbox, lambda update: isinstance(update, LinkUpdate) and "is not active" in update.sentence)
            work.send(Setup(""))
            told(mailbox, lambda update: isinstance(update, LinkUpdate) and update.connected)
            assert "mode live" in process.wait_for("ready: clouds on", 60)
        finally:
            ends.set()
            thread.join()
            work.close()
            if process is not None:
                process.end()


def test_a_transition_that_a_state_does_not_have_ends_no_node(ros_domain: int) -> None:
    rclpy.init(args=[])
    node = Segmenter()
    try:
        (service,) = (each for each in node.services if each.srv_name.endswith("/change_state"))
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        assert not asyncio.run(service.callback(request, ChangeState.Response(success=True))).success
    finally:
        node.destroy_node()
        rclpy.shutdown()


def test_what_was_asked_before_the_service_was_there_is_asked_again(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconfiguration, "PATIENCE", 0.2)
    rclpy.init(args=[])
    node = rclpy.create_node("late", start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    told: list[Update] = []
    clients = {"get_parameters": node.create_client(GetParameters, "late/get_parameters")}
    asker = reconfiguration.Reconfigure(node, "late", clients, told.append)
    try:
        task = executor.create_task(asker._answer, clients["get_parameters"], GetParameters.Request(names=["a"]))
        executor.spin_once(timeout_sec=0.3)
        answer = GetParameters.Response(values=[Parameter("a", value=7).get_parameter_value()])
        node.create_service(GetParameters, "late/get_parameters", lambda request, response: answer)
        executor.spin_until_future_complete(task, timeout_sec=20)
        assert task.result().values[0].integer_value == 7
    finally:
        asker.close()
        node.destroy_node()
        rclpy.shutdown()
