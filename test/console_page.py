"""The operator's side of the console's tests: a browser's page, the nodes behind it, and a work that only remembers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess
from tables import table

from iseg3d_ros.console.protocol import Abilities, Command
from iseg3d_ros.console.updates import Board, CloudUpdate, LabelsUpdate, LinkUpdate, Mailbox, StateUpdate

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]  # fmt: skip
WIDTH, HEIGHT = 1000, 640
PATIENCE = 90.0  # a software renderer on a busy machine draws a frame in seconds
ARTEFACTS = Path(os.environ.get("ISEG3D_ARTEFACTS", "out/console"))  # where the pictures go


def missing() -> str:
    """Why no browser can be driven here, or an empty string."""
    if CHROMIUM is None:
        return "no chromium is installed"
    for package in ("playwright", "websockets"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return ""


needs_browser = pytest.mark.skipif(bool(missing()), reason=missing())
REMAP = ("~/points:=/player/points",)
RED, BLUE, GROUND, RED_EDGE = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.25, -0.2, 0.0), (0.0, -0.05, 0.06)


@contextlib.contextmanager
def chromium(*more: str) -> Iterator[Any]:
    """A headless browser, with further arguments."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *more])
        yield browser
        browser.close()


class Robot:
    """Segmenter, player and console as processes, and an operator who hears what the segmenter says."""

    def __init__(self, folder: Path, operator: Any, path: Path, rate: float = 1.0) -> None:
        """`path` is what the player plays, so many clouds a second."""
        from ros_operator import node_process

        self.folder, self.operator = folder, operator
        self.player = node_process(folder, "player", f"path:={path}", f"rate:={rate}")
        self.console = node_process(folder, "console", "port:=18200", remap=REMAP)
        said = self.console.wait_for("For looking only", 2 * PATIENCE)
        self.address = said.partition("The console is at ")[2].split()[0]
        self.segmenter: NodeProcess | None = None

    def start_segmenter(self, *more: str, active: bool = True) -> NodeProcess:
        """A segmenter that works in the test's folder; `active`: it configures and activates itself."""
        from ros_operator import VOXEL, node_process

        given = (
            f"autostart:={str(active).lower()}",
            "model:=random_walker",
            VOXEL,
            f"session_directory:={self.folder}",
        )
        self.segmenter = node_process(self.folder, "segmenter", *given, *more, remap=REMAP)
        if active:
            self.segmenter.wait_for("ready: clouds on", PATIENCE)
        return self.segmenter

    def end(self) -> None:
        """Ends all processes."""
        for process in filter(None, (self.console, self.segmenter, self.player)):
            process.end()

    def state(self, condition: Callable[[Any], bool], what: str) -> Any:
        """The segmenter's Objects, once it is so."""
        heard = self.operator.heard["~/objects"]
        return self.operator.until(lambda: heard and condition(heard[-1]) and heard[-1], PATIENCE, what)


class Page:
    """A browser's page, with the words and places that tests use."""

    def __init__(
        self, browser: Any, address: str, touch: bool = False, size: tuple[int, int] = (WIDTH, HEIGHT),
        newcomer: bool = False, init: str = "",
    ) -> None:  # fmt: skip
        """`newcomer`: a browser that sees the page for the first time, and is greeted; `init`: run before the page."""
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch, locale="en")
        if not newcomer:
            self.context.add_init_script("localStorage.setItem('iseg3d.seen', '1')")
        if init:
            self.context.add_init_script(init)
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.goto(address)

    def says(self, words: str) -> None:
        """Wait until the words stand somewhere on the page."""
        self.page.get_by_text(re.compile(words)).first.wait_for(state="visible")

    def until(self, expression: str) -> None:
        """Wait until something holds in the page, where `page` is its application."""
        end = time.monotonic() + PATIENCE
        while not self.tells(expression):
            assert time.monotonic() < end, f"never so: {expression}"
            self.page.wait_for_timeout(50)

    def tells(self, expression: str) -> Any:
        """What an expression is in the page."""
        return self.page.evaluate(f"(page => {expression})(window.iseg3d)")

    def ready(self) -> None:
        """Wait until the whole cloud is drawn, and somebody segments."""
        self.until("page.cloud && !page.cloud.first && page.cloud.drawn > 0 && !page.incoming && page.link.connected")

    def pixel(self, place: tuple[float, float, float]) -> tuple[float, float]:
        """Where a place of the cloud is drawn."""
        seen = self.tells(f"page.camera.project({list(place)}.map((v, n) => v - page.cloud.origin[n]))")
        frame = self.page.locator("#scene").bounding_box()
        return frame["x"] + seen["x"], frame["y"] + seen["y"]

    def click(self, place: tuple[float, float, float], *held: str, button: str = "left") -> None:
        """Click where a place is drawn, with keys held; never so soon that it would be a double click."""
        self.page.wait_for_timeout(400)
        x, y = self.pixel(place)
        for key in held:
            self.page.keyboard.down(key)
        self.page.mouse.move(x, y)
        self.page.mouse.down(button=button)
        self.page.mouse.up(button=button)
        for key in held:
            self.page.keyboard.up(key)

    def hover(self, place: tuple[float, float, float], aside: float = 0.0) -> None:
        """Let the cursor rest on a point of the cloud, or so many pixels beside it."""
        x, y = self.pixel(place)
        self.page.mouse.move(x + 40, y + 40)
        self.page.mouse.move(x + aside, y)

    def key(self, key: str) -> None:
        """Press a key while no field has the focus."""
        self.page.evaluate("document.activeElement && document.activeElement.blur()")
        self.page.keyboard.press(key)

    def press(self, name: str) -> None:
        """Press a button of that name."""
        self.page.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()

    def picture(self, name: str) -> None:
        """Keep what is seen."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


class Program:
    """`iseg3d console` as a process of its own."""

    def __init__(self, port: int, folder: Path, *more: str) -> None:
        command = [sys.executable, "-m", "iseg3d_ros.commands", "console", *more, "--port", str(port)]
        command += ["--model", "random_walker", "--export", str(folder)]
        environment = {**os.environ, "ISEG3D_CONSOLE_TOKEN": "operator"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().partition("The console is at ")[2].split()[0]

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it."""
        self.process.send_signal(how)
        self.process.wait(30)


class Remembering:
    """A work that shows a cloud and remembers what it is asked for."""

    def __init__(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> None:
        self.abilities, self.asked = Abilities(("random_walker",), (), "nowhere"), list[Command]()
        self._board, values = Board(), np.zeros(len(xyz), np.float32)
        self._board.publish(CloudUpdate(1, xyz, rgb))
        self._board.publish(LabelsUpdate(1, (xyz[:, 0] > 0).astype(np.int32), values, values))
        self._board.publish(StateUpdate(model="none"))
        self._board.publish(LinkUpdate(True))

    def subscribe(self) -> Mailbox:
        """Its updates."""
        return self._board.subscribe()

    def send(self, command: Command) -> None:
        """Noted."""
        self.asked.append(command)

    def show(self, cloud: CloudUpdate) -> None:
        """Another cloud than the first."""
        self._board.publish(cloud)

    def tell(self, state: StateUpdate) -> None:
        """Another state than the first."""
        self._board.publish(state)

    def close(self) -> None:
        """Nothing to end."""


@contextlib.contextmanager
def remembered_table(port: int) -> Iterator[tuple[Remembering, str]]:
    """A page over a table top, whose work notes what it is asked for and never answers; and its address."""
    from iseg3d_ros.console.page import Console
    from iseg3d_ros.console.server import serve

    xyz, rgb, _ = table()
    server, work = serve("127.0.0.1", port), Remembering(xyz, rgb)
    console = Console(work, server)
    yield work, server.address
    console.close()
