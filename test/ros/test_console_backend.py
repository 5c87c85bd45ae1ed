"""The console's side of the nodes without a browser: it brings a segmenter up as it was started."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import domain, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

import rclpy
from geometry_msgs.msg import Point32
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.srv import PeekClick, ProposeObjects
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.task import Future
from ros_operator import BLUE, RED, VOXEL, Operator, node_process, operator, scene, segmenter_process
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import AddClick, GoTo, Peek, Propose, Setup
from iseg3d_ros.console.updates import (
    CloudUpdate,
    HistoryUpdate,
    LinkUpdate,
    Mailbox,
    Message,
    PeekUpdate,
    ProposalsUpdate,
    StateUpdate,
    Update,
)
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros import reconfiguration
from iseg3d_ros.ros.console_backend import RosWork
from iseg3d_ros.ros.console_conversion import HeardClouds, Key
from iseg3d_ros.ros.console_peeks import ConsolePeeks
from iseg3d_ros.ros.node_support import quality, stamp_of
from iseg3d_ros.ros.point_cloud2 import cloud_message
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


@contextmanager
def working(robot: Operator, points: str = "~/points") -> Iterator[tuple[RosWork, Mailbox]]:
    """A console's work, on an executor's thread of its own."""
    executor = SingleThreadedExecutor(context=robot.node.context)
    robot.executor.remove_node(robot.node)
    executor.add_node(robot.node)
    work, ends = RosWork(robot.node, points=points), threading.Event()

    def spin() -> None:
        while not ends.is_set():
            executor.spin_once(timeout_sec=0.2)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield work, work.subscribe()
    finally:
        ends.set()
        thread.join()
        work.close()


@contextmanager
def at_work(folder: Path, *given: str) -> Iterator[tuple[RosWork, Mailbox, Callable[[], None]]]:
    """A console's work with a segmenter of its own, and what sends that the cloud of the scene."""
    with domain() as number, operator(number) as robot, ExitStack() as ending:
        process = segmenter_process(folder, *given, f"session_directory:={folder}/work")
        ending.callback(process.end)
        sensor = robot.node.create_publisher(PointCloud2, "/segmenter/points", quality("reliable"))
        message = robot.cloud_message(*scene()[:2])
        with working(robot, "/segmenter/points") as (work, mailbox):
            yield work, mailbox, lambda: sensor.publish(message)


def test_an_inactive_segmenter_is_named_and_brought_up(tmp_path: Path) -> None:
    given = ("model:=random_walker", "scene:=live", VOXEL, f"session_directory:={tmp_path}")
    with domain() as number, operator(number) as robot, working(robot) as (work, mailbox), ExitStack() as ending:
        told(mailbox, lambda update: isinstance(update, LinkUpdate) and "No segmenter" in update.sentence)
        process = node_process(tmp_path, "segmenter", *given)
        ending.callback(process.end)
        told(mailbox, lambda update: isinstance(update, LinkUpdate) and "is not active" in update.sentence)
        work.send(Setup(""))
        told(mailbox, lambda update: isinstance(update, LinkUpdate) and update.connected)
        assert "mode live" in process.wait_for("ready: clouds on", 60)


def test_proposals_are_for_a_cloud_that_is_held(tmp_path: Path) -> None:
    """Where none is held yet one is captured, and what is accepted is a click on it."""
    with at_work(tmp_path) as (work, mailbox, send):
        told(mailbox, lambda update: isinstance(update, LinkUpdate) and update.connected)
        shown: list[CloudUpdate] = []
        while not shown:
            send()
            shown += [each for each in mailbox.take(timeout=1.0)[0] if isinstance(each, CloudUpdate)]
        work.send(Propose())
        offered: list[ProposalsUpdate] = []
        end = time.monotonic() + 120
        while not offered and time.monotonic() < end:
            updates = mailbox.take(timeout=1.0)[0]
            shown += [each for each in updates if isinstance(each, CloudUpdate)]
            offered += [each for each in updates if isinstance(each, ProposalsUpdate)]
        assert not shown[-1].preview and offered[0].serial == shown[-1].serial
        first = offered[0].proposals[0]
        work.send(AddClick(Click(first.point, ""), new=True))
        told(mailbox, lambda update: isinstance(update, StateUpdate) and len(update.objects) == 1)


def test_classes_are_known_before_a_cloud_and_one_is_asked_for_by_name(tmp_path: Path) -> None:
    with at_work(tmp_path, "model:=fewclick") as (work, mailbox, send):
        told(mailbox, lambda update: isinstance(update, StateUpdate) and "chair" in update.classes)
        shown: list[Update] = []
        while not any(isinstance(each, CloudUpdate) for each in shown):
            send()
            shown += mailbox.take(timeout=1.0)[0]
        work.send(Propose("unicorn"))
        told(mailbox, lambda update: isinstance(update, Message) and "no class 'unicorn'" in update.text)
        work.send(AddClick(Click((0.0, 0.0, 0.105), ""), True, "chair"))
        told(mailbox, lambda update: isinstance(update, StateUpdate) and [o.name for o in update.objects] == ["chair"])
        work.send(Propose("chair"))
        told(mailbox, lambda update: isinstance(update, ProposalsUpdate))
        (item,) = work._state.objects
        assert len(item.clicks) == 1 and "chair" in work._state.classes


def test_of_looks_ahead_one_is_under_way_and_the_newest_is_next() -> None:
    class Client:
        def __init__(self) -> None:
            self.asked: list[tuple[Any, Future]] = []

        def service_is_ready(self) -> bool:
            return True

        def call_async(self, request: Any) -> Future:
            self.asked.append((request, Future()))
            return self.asked[-1][1]

    told: list[Update] = []
    client, clouds = Client(), HeardClouds(told.append)
    peeks, places = ConsolePeeks(client, clouds, told.append), [(float(n), 0.0, 0.0) for n in range(4)]
    peeks.look(Peek(Click(places[0], ""), True))
    assert not client.asked, "no cloud is held"
    clouds.shown, clouds.serial = Key("sensor", 5, 10, False), 7
    for at in places[:3]:
        peeks.look(Peek(Click(at, ""), True))
    answer = PeekClick.Response(success=True, points=[Point32(x=1.0, y=2.0, z=3.0)])
    client.asked[0][1].set_result(answer)
    assert [request.click.point.x for request, _ in client.asked] == [0.0, 2.0]
    assert isinstance(told[0], PeekUpdate) and told[0].serial == 7 and told[0].points.tolist() == [[1.0, 2.0, 3.0]]
    peeks.look(Peek(Click(places[3], "")))
    peeks.forget()  # a click is on its way
    clouds.serial = 8
    client.asked[1][1].set_result(answer)
    assert len(client.asked) == 2 and len(told) == 1, "an answer for another cloud is not shown"


def test_the_history_of_a_robot_is_gone_along(tmp_path: Path) -> None:
    """What the page shows of a file it shows of a robot; one command goes there."""
    with at_work(tmp_path) as (work, mailbox, send):
        told(mailbox, lambda update: isinstance(update, LinkUpdate) and update.connected)
        while not any(isinstance(each, CloudUpdate) for each in mailbox.take(timeout=1.0)[0]):
            send()
        heard: list[HistoryUpdate] = []

        def steps(count: int) -> Callable[[Update], bool]:
            def so(update: Update) -> bool:
                heard.extend([update] if isinstance(update, HistoryUpdate) else [])
                return isinstance(update, HistoryUpdate) and len(update.steps) == count

            return so

        work.send(AddClick(Click(RED, "cup"), new=True))
        told(mailbox, steps(1))
        work.send(AddClick(Click(BLUE, "box"), new=True))
        told(mailbox, steps(2))
        assert [step.verb for step in heard[-1].steps] == ["new", "new"] and heard[-1].present == 2
        assert len({step.colour for step in heard[-1].steps}) == 2
        seen: list[PeekUpdate] = []
        end = time.monotonic() + 60
        while not seen and time.monotonic() < end:  # it is dropped where anything else waits
            work.send(Peek(Click(RED, "cup")))
            seen += [each for each in mailbox.take(timeout=2.0)[0] if isinstance(each, PeekUpdate)]
        assert seen[0].point == RED and len(seen[0].points) > 50
        work.send(GoTo(heard[-1].revision, 0))
        told(mailbox, lambda update: isinstance(update, StateUpdate) and not update.objects and update.can_redo)


def test_an_answer_that_is_faster_than_its_cloud_waits_for_it(ros_domain: int) -> None:
    rclpy.init(args=[])
    node = rclpy.create_node("page")
    work = RosWork(node)
    mailbox, xyz = work.subscribe(), scene()[0][:100]
    try:
        work._on_points(cloud_message(clouds.plain(xyz), Header(frame_id="sensor")))
        work._offer(ProposeObjects.Response(success=True, clicks=[ClickMessage()], names=["object"], scores=[0.9]))
        assert not [each for each in mailbox.take(timeout=0)[0] if isinstance(each, ProposalsUpdate)]
        nothing = np.zeros(100, np.float32)
        held = clouds.labelled(clouds.base(xyz, None, clouds.LABELLED), nothing.astype(int), nothing, nothing)
        work._on_labelled(cloud_message(held, Header(frame_id="sensor", stamp=stamp_of(5))))
        heard = mailbox.take(timeout=0)[0]
        (shown,) = (each for each in heard if isinstance(each, CloudUpdate))
        (offered,) = (each for each in heard if isinstance(each, ProposalsUpdate))
        assert not shown.preview and offered.serial == shown.serial
    finally:
        work.close()
        node.destroy_node()
        rclpy.shutdown()


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
