"""The console's work through a segmenter's public topics and services, wherever that segmenter runs.

Everything here happens on the executor's thread; the page's threads leave commands in a queue and wake it.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import (
    Abilities,
    AddClick,
    Capture,
    Clear,
    Command,
    GoTo,
    Peek,
    Propose,
    Redo,
    Remove,
    Rename,
    Save,
    Select,
    Setup,
    Undo,
    Watch,
)
from iseg3d_ros.console.updates import (
    Board,
    BusyUpdate,
    LinkUpdate,
    Mailbox,
    Message,
    ProposalsUpdate,
    Proposed,
    StateUpdate,
)
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.msg import ClickResult, History, Objects
from iseg3d_ros.ros.console_conversion import HeardClouds, click_message, history_of, state_of
from iseg3d_ros.ros.console_images import ConsoleImages
from iseg3d_ros.ros.console_peeks import ConsolePeeks
from iseg3d_ros.ros.node_support import CLICKS, LATCHED, quality
from iseg3d_ros.ros.reconfiguration import Reconfigure
from iseg3d_ros.srv import AddObjects, GoToStep, PeekClick, ProposeObjects, RemoveObject, SaveSession, SelectObject

LOOK = 0.5  # seconds between two looks whether the segmenter is there
PREVIEW = 0.2  # seconds between two clouds that are shown while nothing is held
MODELS = ("", "agile3d", "clickenhance", "e2i3d", "fewclick", "interobject3d", "npiseg3d", "random_walker")
MODES = ("frozen", "live", "accumulated")
SERVICES: dict[str, Any] = {
    "add_objects": AddObjects, "remove_object": RemoveObject, "select_object": SelectObject, "save": SaveSession,
    "propose": ProposeObjects, "go_to_step": GoToStep, "peek": PeekClick,
    "capture": Trigger, "undo": Trigger, "redo": Trigger, "clear": Trigger,
    "get_parameters": GetParameters, "set_parameters": SetParameters,
}  # fmt: skip


class RosWork:
    """A `console.work.Work` over ROS; made, closed and spun on one thread."""

    def __init__(
        self, node: Node, segmenter: str = "segmenter", reliability: str = "best_effort", points: str = "~/points"
    ) -> None:
        self._node, self._segmenter, self._reliability, self._points = node, segmenter, reliability, points
        self._board = Board()
        self._commands: queue.Queue[Command] = queue.Queue()
        self._state, self._told = StateUpdate(), ""
        self._clouds = HeardClouds(self._board.publish)
        self._images = ConsoleImages(node, self._board.publish, lambda: self._clouds.shown)
        self._preview: Subscription | None = None
        self._previewed = 0.0
        self._offered: tuple[Proposed, ...] | None = None  # for a held cloud that is still to come
        self._clients = {n: node.create_client(kind, f"{segmenter}/{n}") for n, kind in SERVICES.items()}
        self._peeks = ConsolePeeks(self._clients["peek"], self._clouds, self._board.publish)
        self._reconfigure = Reconfigure(node, segmenter, self._clients, self._board.publish)
        self._click = node.create_publisher(ClickMessage, f"{segmenter}/click", CLICKS)
        self._subscriptions = [
            node.create_subscription(PointCloud2, f"{segmenter}/labelled", self._on_labelled, LATCHED),
            node.create_subscription(Objects, f"{segmenter}/objects", self._on_objects, LATCHED),
            node.create_subscription(History, f"{segmenter}/history", self._on_history, LATCHED),
            node.create_subscription(ClickResult, f"{segmenter}/click_result", self._on_result, CLICKS),
            node.create_subscription(String, f"{segmenter}/classes", self._on_classes, LATCHED),
            node.create_subscription(String, f"{segmenter}/feedback", self._on_feedback, QoSProfile(depth=10)),
        ]
        self._wake = node.create_guard_condition(self._obey)
        self._timer = node.create_timer(LOOK, self._look)
        self._found: tuple[bool, bool] | None = None  # whether it is active, whether it runs
        self._look()

    @property
    def abilities(self) -> Abilities:
        """What every segmenter can do; where it saves is on its machine."""
        return Abilities(MODELS, MODES, "the session directory of the segmenter, on its machine", peeks=True)

    def subscribe(self) -> Mailbox:
        """A mailbox that begins with the present state."""
        return self._board.subscribe()

    def send(self, command: Command) -> None:
        """Queue a command, from any thread."""
        self._commands.put(command)
        self._wake.trigger()

    def close(self) -> None:
        """End what was made; on the executor's thread, or after it."""
        self._show_newest(False)
        self._images.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._reconfigure.close()
        self._node.destroy_publisher(self._click)
        self._node.destroy_timer(self._timer)
        self._node.destroy_guard_condition(self._wake)

    # What is heard

    def _on_labelled(self, message: PointCloud2) -> None:
        held = self._guarded(lambda: self._clouds.labelled(message))
        if held:
            self._show_newest(False)  # the first click has been taken: newer clouds must not cover the held one
        self._publish_offered()

    def _on_objects(self, message: Objects) -> None:
        self._state = replace(state_of(message), classes=self._state.classes)
        self._board.publish(self._state)
        if message.message and message.message != self._told:
            self._board.publish(Message(_capital(message.message)))
        self._told = message.message
        empty = not self._state.objects and not self._state.background
        holds = not empty or message.mode == "live" or message.message.startswith("captured")
        self._show_newest(not holds)

    def _on_classes(self, message: String) -> None:
        self._state = replace(self._state, classes=tuple(filter(None, message.data.split("\n"))))
        self._board.publish(self._state)

    def _on_history(self, message: History) -> None:
        self._board.publish(history_of(message))

    def _on_result(self, message: ClickResult) -> None:
        if not message.accepted:
            self._board.publish(Message(f"Click refused: {message.reason}", refused=True))

    def _on_feedback(self, message: String) -> None:
        if not message.data.startswith("click refused"):  # that is told by the click's result
            self._board.publish(Message(_capital(message.data)))

    def _on_points(self, message: PointCloud2) -> None:
        if time.monotonic() - self._previewed >= PREVIEW:
            self._previewed = time.monotonic()
            self._guarded(lambda: self._clouds.newest(message))

    def _guarded(self, read: Callable[[], bool]) -> bool:
        try:
            return read()
        except (ValueError, IndexError) as error:
            self._board.publish(Message(f"A cloud cannot be shown: {error}"))
            return False

    def _show_newest(self, wanted: bool) -> None:
        """Listen to the sensor only while its newest cloud is what is shown."""
        if wanted and self._preview is None:
            given = quality(self._reliability)
            self._preview = self._node.create_subscription(PointCloud2, self._points, self._on_points, given)
        elif not wanted and self._preview is not None:
            self._node.destroy_subscription(self._preview)
            self._preview = None

    def _look(self) -> None:
        """Whether the segmenter is there and active, and whether there is a camera."""
        self._images.look()
        connected = self._clients["undo"].service_is_ready() and self._click.get_subscription_count() > 0
        there = connected or self._reconfigure.there
        if (connected, there) == self._found:
            return
        self._found = connected, there
        empty = not self._state.objects and not self._state.background
        self._show_newest(empty and self._state.mode != "live")
        if connected:
            self._board.publish(LinkUpdate(True))
            return
        name = self._node.resolve_service_name(self._segmenter)
        sentence = f"The segmenter {name} is not active: 'Use these' under Model brings it up." if there else (
            f"No segmenter answers at {name}: start it; this page goes on by itself when it is there."
        )  # fmt: skip
        self._board.publish(LinkUpdate(False, sentence))

    # What is asked for

    def _obey(self) -> None:
        while not self._commands.empty():
            self._do(self._commands.get())

    def _do(self, command: Command) -> None:
        if isinstance(command, Peek):
            self._peeks.look(command)
            return
        self._peeks.forget()
        match command:
            case AddClick(click, new, name):
                self._make_click(click, new, name)
            case Select(id):
                self._call("select_object", id=id)
            case Remove(id):
                self._call("remove_object", id=id)
            case Rename(id, name):
                self._call("add_objects", ids=[id], names=[name])
            case Undo():
                self._call("undo")
            case Redo():
                self._call("redo")
            case GoTo(revision, to):
                self._call("go_to_step", revision=revision, step=to)
            case Clear():
                self._call("clear")
            case Capture():
                self._call("capture")
            case Save(name, kind):
                self._call("save", path=name, format=kind)
            case Propose(name):
                self._propose(name)
            case Watch(on):
                self._images.watch(on)
            case Setup():
                working = bool(self._state.objects or self._state.background)
                self._node.executor.create_task(self._reconfigure.run, command, working)

    def _propose(self, class_name: str) -> None:
        """In the cloud that is held; where none is, in one that is captured for it."""
        if self._state.mode == "live":
            refused = "In live mode every cloud is another one: choose frozen under Model to be offered objects."
            self._board.publish(Message(refused, refused=True))
            return
        look = partial(self._call, "propose", class_name=class_name)
        if self._preview is None:
            look()
        else:
            self._call("capture", look)

    def _make_click(self, click: Click, new: bool, name: str) -> None:
        if self._click.get_subscription_count() == 0:
            self._refuse()
            return
        message = click_message(click, new, self._clouds.shown)
        if new and name:  # a click's message has no name
            message.label = ClickMessage.POSITIVE
            self._call("add_objects", ids=[click.id], names=[name], clicks=[message])
        else:
            self._click.publish(message)

    def _call(self, service: str, then: Callable[[], None] | None = None, **fields: Any) -> None:
        """Ask, and tell what became of it; `then` something else, where it was done."""
        client = self._clients[service]
        if not client.service_is_ready():
            self._refuse()
            return
        client.call_async(SERVICES[service].Request(**fields)).add_done_callback(
            lambda future: self._answered(service, future, then)
        )
        if service == "propose":
            self._board.publish(BusyUpdate("looking for objects"))

    def _answered(self, service: str, future: Any, then: Callable[[], None] | None) -> None:
        if service == "propose":
            self._board.publish(BusyUpdate())
        if future.exception() is not None:
            self._board.publish(Message(f"The segmenter did not answer: {future.exception()}", refused=True))
            return
        if not future.result().success:
            if getattr(future.result(), "results", ()):  # a click was refused: `_on_result` tells it
                return
            self._board.publish(Message(_capital(future.result().message), refused=True))
            return
        if service in ("save", "propose"):
            self._board.publish(Message(_capital(future.result().message)))
        if service == "propose":
            self._offer(future.result())
        if then is not None:
            then()

    def _offer(self, found: ProposeObjects.Response) -> None:
        places = [(click.point.x, click.point.y, click.point.z) for click in found.clicks]
        self._offered = tuple(map(Proposed, places, found.names, found.scores))
        self._publish_offered()

    def _publish_offered(self) -> None:
        """With the cloud they are for; an answer may be faster than the cloud that was captured for it."""
        if self._offered is not None and not self._clouds.shown.preview:
            self._board.publish(ProposalsUpdate(self._clouds.serial, self._offered))
            self._offered = None

    def _refuse(self) -> None:
        self._board.publish(Message("There is no active segmenter to ask: nothing was done.", refused=True))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
