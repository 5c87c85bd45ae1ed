"""The two programs that kill_work.py kills: a segmenter over ROS, and the console's server on a file."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE = 300  # seconds that a start may take on a busy machine
HERE = Path(__file__).resolve().parent
Op = dict[str, Any]
Summary = tuple[Any, ...]
NOTHING: Summary = ((), (), "", False, False)


class NodeDriver:
    """A segmenter that resumes; each time in another ROS domain, where nothing is left of the one before."""

    def __init__(self, folder: Path) -> None:
        self._root, self.folder = folder, folder / "work" / "segmenter"
        self._stack = contextlib.ExitStack()
        self._process: Any = None
        self._robot: Any = None
        self._answers: list[Any] = []
        self._clients: dict[str, Any] = {}
        self._begun = False

    def start(self) -> Summary:
        """Ready, with a cloud, and told what it took up."""
        from conftest import domain
        from ros_operator import VOXEL, node_process, operator, scene

        self._stack = contextlib.ExitStack()
        self._robot = self._stack.enter_context(operator(self._stack.enter_context(domain())))
        given = ("autostart:=true", "model:=random_walker", VOXEL, f"session_directory:={self._root}/work")
        self._process = node_process(self._root, "segmenter", *given, "resume:=true")
        self._process.wait_for("ready: clouds on", PATIENCE)
        self._answers, self._clients = [], {}
        self._robot.arrive(*scene()[:2])
        if not self._begun:
            self._begun = True
            return NOTHING
        heard = self._robot.heard["~/objects"]
        self._robot.until(lambda: heard, 60, "the objects that were taken up")
        return _seen(heard[-1])

    def send(self, op: Op) -> None:
        """A click by topic, all else by services."""
        from iseg3d_ros.msg import Click
        from iseg3d_ros.srv import AddObjects, RemoveObject, SaveSession, SelectObject
        from ros_operator import place
        from std_srvs.srv import Trigger

        match op["do"]:
            case "click":
                label = Click.NEW_OBJECT if op["new"] else Click.POSITIVE if op["id"] else Click.NEGATIVE
                message = Click(label=label, id=op["id"], point=place(op["point"]))
                self._robot.publisher("~/click", Click, 1000).publish(message)
            case "rename":
                self._call("add_objects", AddObjects, ids=[op["id"]], names=[op["name"]])
            case "select":
                self._call("select_object", SelectObject, id=op["id"])
            case "remove":
                self._call("remove_object", RemoveObject, id=op["id"])
            case "save":
                self._call("save", SaveSession, path=op["name"], format=op["format"])
            case verb:
                self._call(verb, Trigger)

    def _call(self, service: str, kind: Any, **fields: Any) -> None:
        from ros_operator import SEGMENTER

        if service not in self._clients:
            self._clients[service] = self._robot.node.create_client(kind, f"{SEGMENTER}/{service}")
            self._robot.until(self._clients[service].service_is_ready, what=f"the service {service}")
        self._answers.append(self._clients[service].call_async(kind.Request(**fields)))

    def acknowledged(self) -> int:
        """Clicks with a result, and services with an answer."""
        self._robot.executor.spin_once(timeout_sec=0.001)
        return len(self._robot.heard["~/click_result"]) + sum(answer.done() for answer in self._answers)

    def end(self, number: int) -> None:
        """A signal, where it still runs."""
        if self._process is not None and self._process.process.poll() is None:
            self._process.process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended; then what it had sent is heard."""
        self._process.process.wait(60)
        self._robot.spin(0.2)
        done = self.acknowledged()
        self._stack.close()
        return done


def _seen(message: Any) -> Summary:
    def points(clicks: Any) -> tuple[Any, ...]:
        return tuple((click.point.x, click.point.y, click.point.z) for click in clicks)

    objects = tuple((item.id, item.name, points(item.clicks)) for item in message.objects)
    return objects, points(message.background_clicks), message.active_id, message.can_undo, message.can_redo


class ConsoleDriver:
    """A console's server on a file, that takes wishes from its standard input and prints what its page is shown."""

    def __init__(self, folder: Path) -> None:
        from tables import table

        from iseg3d_ros.cloud import Cloud, write_cloud
        from iseg3d_ros.console.local_backend import digest_of

        xyz, rgb, _ = table()
        self._scan, self._out = folder / "scan.npz", folder / "out"
        write_cloud(self._scan, Cloud(xyz, rgb))
        self.folder = self._out / ".work" / digest_of(Cloud(xyz, rgb))
        self._process: Any = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._done = 0

    def start(self) -> Summary:
        """Serving, and shown what it took up."""
        command = [sys.executable, str(HERE / "kill_drivers.py"), str(self._scan), str(self._out)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._lines, self._done = queue.Queue(), 0
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        return _tuples(json.loads(self._lines.get(timeout=PATIENCE))["state"])

    @staticmethod
    def _read(process: Any, lines: queue.Queue[str]) -> None:
        for line in process.stdout:
            lines.put(line)

    def send(self, op: Op) -> None:
        """As the page does."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(op) + "\n")
            self._process.stdin.flush()

    def acknowledged(self) -> int:
        """What the page shows to be done."""
        time.sleep(0.001)
        while not self._lines.empty():
            self._done = json.loads(self._lines.get())["done"]
        return self._done

    def end(self, number: int) -> None:
        """A signal, where it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended and all that it printed is read."""
        self._process.wait(60)
        time.sleep(0.2)
        return self.acknowledged()


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def serve_console(scan: Path, out: Path) -> None:
    """The real server on the file; after every update a line: how many wishes are in what is shown, and what it is."""
    from iseg3d_ros.cloud import read_cloud
    from iseg3d_ros.console.local_backend import LocalWork
    from iseg3d_ros.console.page import Console
    from iseg3d_ros.console.server import serve
    from iseg3d_ros.console.updates import StateUpdate
    from iseg3d_ros.predictor import Predictor

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    work = LocalWork(read_cloud(scan), lambda name, size: Predictor.load(name, "cpu", 0.02), "random_walker", out)
    counting, asked = CountingWork(work), work.subscribe()
    console = Console(work, serve(port=0))
    threading.Thread(target=counting.read, daemon=True).start()
    try:
        while True:
            for update in asked.take()[0]:
                if isinstance(update, StateUpdate):
                    print(json.dumps({"done": counting.done, "state": _shown(update)}), flush=True)
    except KeyboardInterrupt:
        console.close()
        work.close()


class CountingWork:
    """Hands wishes to a work one by one, and knows how many of them are in the state that it shows."""

    def __init__(self, work: Any) -> None:
        self._work, self.done = work, 0
        run, self._sent = work._do, 0

        def do(command: Any) -> None:
            try:
                run(command)
            finally:
                self._sent += type(command).__name__ != "Setup"

        def show(publish: Any = work._board.publish) -> Any:
            def published(*updates: Any) -> None:
                if any(type(update).__name__ == "StateUpdate" for update in updates):
                    self.done = self._sent
                publish(*updates)

            return published

        work._do, work._board.publish = do, show()

    def read(self) -> None:
        """Lines of JSON from standard input."""
        from iseg3d_ros.clicks import Click
        from iseg3d_ros.console import protocol as wishes

        for line in sys.stdin:
            op = json.loads(line)
            match op["do"]:
                case "click":
                    self._work.send(wishes.AddClick(Click(tuple(op["point"]), op["id"]), op["new"]))
                case "rename":
                    self._work.send(wishes.Rename(op["id"], op["name"]))
                case "save":
                    self._work.send(wishes.Save(op["name"], op["format"]))
                case "select" | "remove" as verb:
                    self._work.send(getattr(wishes, verb.capitalize())(op["id"]))
                case verb:
                    self._work.send(getattr(wishes, verb.capitalize())())


def _shown(state: Any) -> Any:
    def plain(points: Any) -> list[list[float]]:
        return [[float(v) for v in point] for point in points]

    objects = [[item.id, item.name, plain(item.clicks)] for item in state.objects]
    return [objects, plain(state.background), state.active, state.can_undo, state.can_redo]


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "test"))
    serve_console(Path(sys.argv[1]), Path(sys.argv[2]))
