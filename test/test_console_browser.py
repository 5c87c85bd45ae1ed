"""The operator's page in a real browser, over real nodes: what is clicked there comes back from the segmenter."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NodeProcess, missing_ros
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.display import Display
from iseg3d_ros.console.stage import viewpoint
from iseg3d_ros.console.updates import Board, CloudUpdate, LabelsUpdate, LinkUpdate, Mailbox, StateUpdate
from iseg3d_ros.console.work import Abilities, Command

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


pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(bool(missing_ros()), reason=missing_ros()),
    pytest.mark.timeout(600),
]
RED, BLUE, GROUND, RED_EDGE = (0.0, 0.0, 0.105), (0.35, 0.1, 0.105), (-0.25, -0.2, 0.0), (0.0, -0.05, 0.06)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Robot:
    """Segmenter, player and console as processes, and an operator who hears what the segmenter says."""

    def __init__(self, folder: Path, operator: Any) -> None:
        from ros_operator import node_process

        self.folder, self.operator = folder, operator
        xyz, rgb, _ = table()
        write_cloud(folder / "table.ply", Cloud(xyz, rgb))
        remap = ("~/points:=/player/points",)
        self.player = node_process(folder, "player", f"path:={folder / 'table.ply'}")
        self.console = node_process(folder, "console", "port:=18200", remap=remap)
        self.segmenter = self.start_segmenter()
        self.address = self.console.wait_for("The console is at", 90).split()[-1]

    def start_segmenter(self, *more: str) -> NodeProcess:
        """A segmenter that works in the test's folder."""
        from ros_operator import VOXEL, node_process

        given = ("autostart:=true", "model:=random_walker", VOXEL, f"session_directory:={self.folder}", *more)
        process = node_process(self.folder, "segmenter", *given, remap=("~/points:=/player/points",))
        process.wait_for("ready: clouds on", 90)
        return process

    def state(self, condition: Callable[[Any], bool], what: str) -> Any:
        """The segmenter's Objects, once it is so."""
        heard = self.operator.heard["~/objects"]
        return self.operator.until(lambda: heard and condition(heard[-1]) and heard[-1], PATIENCE, what)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    import ros_operator

    with ros_operator.domain() as domain, ros_operator.operator(domain) as operator:
        robot = Robot(tmp_path_factory.mktemp("robot"), operator)
        yield robot
        for process in (robot.console, robot.segmenter, robot.player):
            process.end()


class Page:
    """A browser's page, with the words and places that tests use."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
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


@pytest.fixture(scope="module")
def page(robot: Robot, browser: Any) -> Page:
    return Page(browser, robot.address)


def test_a_click_comes_back_as_a_labelled_object(robot: Robot, page: Page) -> None:
    page.says("28\\s000 points")
    page.page.wait_for_timeout(3000)  # the camera has moved to the cloud
    page.click(RED)
    state = robot.state(lambda m: len(m.objects) == 1, "an object in the segmenter")
    clicked = state.objects[0].clicks[0].point
    assert np.allclose([clicked.x, clicked.y, clicked.z], RED, atol=0.03)
    assert 2500 < state.objects[0].points < 6000
    page.says("1 · object_1")
    page.says("last click")


def test_with_control_a_click_is_background_and_a_key_takes_it_back(robot: Robot, page: Page) -> None:
    page.click(GROUND, "Control")
    state = robot.state(lambda m: len(m.background_clicks) == 1, "a background click")
    assert len(state.objects[0].clicks) == 1 and abs(state.background_clicks[0].point.z) < 0.02
    page.key("u")
    robot.state(lambda m: not m.background_clicks, "the click is taken back")
    page.key("r")
    robot.state(lambda m: len(m.background_clicks) == 1, "it is done again")


def test_with_shift_a_click_begins_a_new_object_and_numbers_choose(robot: Robot, page: Page) -> None:
    page.click(BLUE, "Shift")
    state = robot.state(lambda m: len(m.objects) == 2 and m.objects[1].points > 1500, "a second object")
    assert state.active_id == state.objects[1].id
    page.says("2 · object_2")
    page.key("1")
    robot.state(lambda m: m.active_id == m.objects[0].id, "the first object is active")
    page.click(RED_EDGE)
    robot.state(lambda m: len(m.objects[0].clicks) == 2, "the click went to it")
    page.picture("objects")


def test_the_panel_says_what_a_click_means(robot: Robot, page: Page) -> None:
    page.page.get_by_role("button", name="Background", exact=True).click()
    page.says("this is background")
    page.click((0.3, -0.3, 0.0))
    robot.state(lambda m: len(m.background_clicks) == 2, "a click without a key is background")
    page.page.get_by_role("button", name="Undo", exact=True).click()
    robot.state(lambda m: len(m.background_clicks) == 1, "undone")
    page.key("o")
    page.says("on the active object")


def test_a_refusal_says_why(page: Page) -> None:
    for _ in range(2):
        page.key("r")  # once for what was just undone, once for nothing
    page.says("nothing to redo")


def test_names_with_markup_are_text(robot: Robot, page: Page) -> None:
    field = page.page.locator(".mantine-TextInput-input:visible").first
    field.fill("<img src=x onerror=alert(1)>")
    field.press("Enter")
    robot.state(lambda m: any("<img" in item.name for item in m.objects), "the name")
    page.says("1 · <img src=x")
    assert page.page.locator("img[src=x]").count() == 0


def test_a_reload_loses_nothing_and_another_browser_sees_the_same(robot: Robot, page: Page, browser: Any) -> None:
    page.page.reload()
    page.says("2 · object_2")
    other = Page(browser, robot.address)
    other.says("2 · object_2")
    other.page.get_by_role("button", name="Delete", exact=True).nth(1).click()
    robot.state(lambda m: len(m.objects) == 1, "the other browser deleted an object")
    page.page.get_by_text("2 · object_2").first.wait_for(state="detached")
    other.key("u")
    page.says("2 · object_2")
    other.context.close()


def test_uncertainty_and_the_suggested_click(robot: Robot, page: Page) -> None:
    page.key("v")
    page.page.wait_for_timeout(1500)
    assert page.page.get_by_label("Uncertainty", exact=True).is_checked()
    page.picture("uncertainty")
    page.key("v")
    heard = robot.operator.heard["~/objects"][-1]
    if heard.has_suggested_click:
        count = clicks(heard)
        page.page.get_by_role("button", name="Accept the suggested click").click()
        robot.state(lambda m: clicks(m) == count + 1, "the suggested click")


def test_the_page_outlives_its_segmenter(robot: Robot, page: Page) -> None:
    robot.operator.spin(2.0)  # the operator hears only while it listens
    before = robot.operator.heard["~/objects"][-1]
    saved(robot, len(before.objects))
    robot.segmenter.process.kill()
    page.says("No segmenter answers")
    page.key("u")
    page.says("nothing was done")
    robot.operator.forget()
    robot.segmenter = robot.start_segmenter("resume:=true")
    state = robot.state(lambda m: len(m.objects) == len(before.objects), "the work is there again")
    assert clicks(state) == clicks(before)
    page.page.get_by_text(re.compile("No segmenter answers")).first.wait_for(state="detached")
    page.page.get_by_role("button", name="Clear", exact=True).click()
    robot.state(lambda m: not m.objects, "it obeys")


class Millions:
    """A work that shows a cloud and remembers what it is asked for."""

    def __init__(self, xyz: np.ndarray) -> None:
        self.abilities, self.asked = Abilities(("random_walker",), (), "nowhere"), list[Command]()
        self._board, values = Board(), np.zeros(len(xyz), np.float32)
        self._board.publish(CloudUpdate(1, xyz, None))
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


def test_two_million_points_and_a_wrong_token(browser: Any) -> None:
    from iseg3d_ros.console.console import Console
    from iseg3d_ros.console.server import serve

    rng = np.random.default_rng(0)
    xyz = np.c_[rng.uniform(-5, 5, (2_000_000, 2)), rng.normal(0, 0.002, 2_000_000)].astype(np.float32)
    server, work = serve("127.0.0.1", 18300, token="the right one"), Millions(xyz)
    console = Console(work, server, most_points=60_000)
    try:
        stranger = Page(browser, server.address.split("?")[0] + "?token=wrong")
        stranger.says("not the token")
        stranger.page.get_by_label("token").fill("the right one")
        stranger.page.get_by_role("button", name="Open").click()
        stranger.says("2\\s000\\s000 points")
        stranger.says("of them drawn")
        assert "token" not in stranger.page.url
        stranger.page.wait_for_timeout(4000)
        end = time.monotonic() + PATIENCE
        while not work.asked and time.monotonic() < end:
            stranger.page.mouse.click(WIDTH / 2 - 100, HEIGHT / 2 + 20)
            stranger.page.wait_for_timeout(2000)
        point = np.array(work.asked[0].point, np.float32)  # type: ignore[union-attr]
        assert (xyz == point).all(axis=1).any(), "a point of the cloud, drawn or not"
        stranger.context.close()
    finally:
        console.close()


def saved(robot: Robot, objects: int, seconds: float = 60.0) -> None:
    """Waits until the work on disk is that on the screen: a save may wait ten times as long as the last one took."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        files = list(robot.folder.rglob("last.json"))
        if files and len(json.loads(files[0].read_text())["state"]["objects"]) == objects:
            time.sleep(2)  # and its latest clicks
            return
        time.sleep(0.5)
    raise AssertionError(f"not saved within {seconds} s: {list(robot.folder.rglob('*'))}")


def clicks(state: Any) -> int:
    """All clicks of an Objects message."""
    return len(state.background_clicks) + sum(len(item.clicks) for item in state.objects)
