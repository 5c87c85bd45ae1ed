"""The operator's side of the console's tests: a browser's page, the nodes behind it, and a work that only remembers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess
from tables import table

from iseg3d_ros.console.display import Display
from iseg3d_ros.console.protocol import Abilities, Command
from iseg3d_ros.console.updates import Board, CloudUpdate, LabelsUpdate, LinkUpdate, Mailbox, StateUpdate
from iseg3d_ros.console.view3d import viewpoint

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
    for package in ("playwright", "viser"):
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

    def __init__(self, browser: Any, address: str, touch: bool = False) -> None:
        self.context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, has_touch=touch)
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.goto(address)

    def says(self, words: str) -> None:
        """Wait until the words stand somewhere on the page."""
        self.page.get_by_text(re.compile(words)).first.wait_for(state="visible")

    def click(self, place: tuple[float, float, float], *held: str) -> None:
        """Click where a point of the table top is drawn, with keys held."""
        x, y = pixel(place)
        for key in held:
            self.page.keyboard.down(key)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.up()
        for key in held:
            self.page.keyboard.up(key)

    def key(self, key: str) -> None:
        """Press a key while no field has the focus."""
        self.page.evaluate("document.activeElement && document.activeElement.blur()")
        self.page.keyboard.press(key)

    def picture(self, name: str) -> None:
        """Keep what is seen."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(2500)  # nodes fade in
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


def pixel(place: tuple[float, float, float]) -> tuple[float, float]:
    """Where the console's first camera shows a point: a pinhole of 75 degrees."""
    xyz, rgb, _ = table()
    display = Display.of(CloudUpdate(0, xyz, rgb))
    eye, middle = (np.array(value) for value in viewpoint(display))
    ahead = (middle - eye) / np.linalg.norm(middle - eye)
    right = np.cross(ahead, display.up) / np.linalg.norm(np.cross(ahead, display.up))
    seen = np.array([right, np.cross(ahead, right), ahead]) @ (np.array(place) - eye)
    focal = HEIGHT / 2 / np.tan(np.radians(75) / 2)
    return WIDTH / 2 + focal * seen[0] / seen[2], HEIGHT / 2 + focal * seen[1] / seen[2]


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

    def close(self) -> None:
        """Nothing to end."""
