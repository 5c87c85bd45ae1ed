"""The operator's page in a real browser, over real nodes: what is clicked there comes back from the segmenter."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import domain, needs_ros
from console_page import (
    BLUE,
    GROUND,
    HEIGHT,
    PATIENCE,
    RED,
    RED_EDGE,
    WIDTH,
    Page,
    Remembering,
    Robot,
    needs_browser,
)
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [
    needs_browser,
    needs_ros,
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    import ros_operator

    folder = tmp_path_factory.mktemp("robot")
    xyz, rgb, _ = table()
    write_cloud(folder / "table.ply", Cloud(xyz, rgb))
    with domain() as number, ros_operator.operator(number) as operator:
        robot = Robot(folder, operator, folder / "table.ply")
        try:
            robot.start_segmenter()
            yield robot
        finally:
            robot.end()


@pytest.fixture(scope="module")
def page(robot: Robot, browser: Any) -> Page:
    return Page(browser, robot.address)


def test_a_click_comes_back_as_a_labelled_object(robot: Robot, page: Page) -> None:
    page.says("28\\s000 points")
    page.ready()
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


def test_the_natural_second_click_begins_another_object_and_shift_adds(robot: Robot, page: Page) -> None:
    page.click(BLUE)
    state = robot.state(lambda m: len(m.objects) == 2 and m.objects[1].points > 1500, "a second object")
    assert state.active_id == state.objects[1].id
    page.says("2 · object_2")
    page.key("1")
    robot.state(lambda m: m.active_id == m.objects[0].id, "the first object is active")
    page.until("page.state.active === page.state.objects[0].id")
    page.click(RED_EDGE, "Shift")
    robot.state(lambda m: len(m.objects[0].clicks) == 2, "the click went to it")
    page.picture("objects")


def test_a_click_on_a_coloured_object_chooses_it(robot: Robot, page: Page) -> None:
    page.until("page.clicks.pending.length === 0")
    page.click(BLUE)
    state = robot.state(lambda m: m.active_id == m.objects[1].id, "the second object is active")
    assert len(state.objects) == 2 and len(state.objects[1].clicks) == 1, "nothing was segmented anew"


def test_a_robot_looks_ahead_and_lists_what_was_done(robot: Robot, page: Page) -> None:
    page.until("page.clicks.pending.length === 0 && !page.isMoving")
    for aside in range(0, 200, 10):  # it is dropped where anything else waits for the model, and asked again elsewhere
        page.hover((-0.3, 0.3, 0.0), aside % 60)
        page.page.wait_for_timeout(1000)
        if page.tells("page.peek.points.length > 20"):
            break
    page.picture("robot_peek")
    assert page.tells("page.peek.points.length > 20") and page.tells("page.state.objects.length === 2")
    page.page.locator("summary", has_text="History").click()
    lines = page.page.locator(".history button")
    assert lines.first.inner_text() == "Chose object_2" and lines.last.inner_text() == "Beginning"
    page.press("Began object_1")
    robot.state(lambda m: len(m.objects) == 1 and len(m.objects[0].clicks) == 1 and m.can_redo, "its first click")
    page.until("page.state.objects.length === 1 && document.querySelectorAll('.history .undone').length > 3")
    page.picture("robot_history")
    lines.first.click()
    robot.state(lambda m: len(m.objects) == 2 and not m.can_redo, "all of it again")
    page.until("page.state.objects.length === 2")
    page.page.locator("summary", has_text="History").click()


def test_the_page_says_what_a_click_would_do(robot: Robot, page: Page) -> None:
    page.press("Take away")
    page.page.mouse.move(*page.pixel((0.3, -0.3, 0.0)))
    page.says("takes this away")
    page.click((0.3, -0.3, 0.0))
    robot.state(lambda m: len(m.background_clicks) == 2, "a click without a key is background")
    page.until("page.clicks.pending.length === 0")
    page.press("Undo")
    robot.state(lambda m: len(m.background_clicks) == 1, "undone")
    page.key("o")
    page.page.mouse.move(*page.pixel((-0.3, 0.3, 0.0)))
    page.says("begins a new object")


def test_a_refusal_says_why(page: Page) -> None:
    for _ in range(2):
        page.key("r")  # once for what was just undone, once for nothing
    page.says("nothing to redo")


def test_names_with_markup_are_text(robot: Robot, page: Page) -> None:
    page.key("1")
    page.until("page.state.active === page.state.objects[0].id")
    field = page.page.get_by_label("Name", exact=True)
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
    other.page.get_by_role("listbox").get_by_role("button", name="Delete", exact=True).nth(1).click()
    robot.state(lambda m: len(m.objects) == 1, "the other browser deleted an object")
    page.page.get_by_text("2 · object_2").first.wait_for(state="detached")
    other.key("u")
    page.says("2 · object_2")
    other.context.close()


def test_uncertainty_and_the_suggested_click(robot: Robot, page: Page) -> None:
    page.key("v")
    page.page.wait_for_timeout(1500)
    assert page.page.get_by_label("Colours").input_value() == "unsure"
    page.until("page.cloud.tiles.some(tile => tile.unsure.some(value => value > 0))")
    page.picture("uncertainty")
    page.key("v")
    heard = robot.operator.heard["~/objects"][-1]
    if heard.has_suggested_click:
        count = clicks(heard)
        page.key("Enter")
        robot.state(lambda m: clicks(m) == count + 1, "the suggested click")


def test_the_page_outlives_its_segmenter(robot: Robot, page: Page) -> None:
    robot.operator.spin(2.0)  # the operator hears only while it listens
    before = robot.operator.heard["~/objects"][-1]
    assert robot.segmenter is not None
    robot.segmenter.process.kill()
    page.says("No segmenter answers")
    page.key("u")
    page.says("nothing was done")
    robot.operator.forget()
    robot.start_segmenter("resume:=true")
    state = robot.state(lambda m: len(m.objects) == len(before.objects), "the work is there again")
    assert clicks(state) == clicks(before)
    page.page.get_by_text(re.compile("No segmenter answers")).first.wait_for(state="detached")
    page.press("Clear")
    page.press("Yes")
    robot.state(lambda m: not m.objects, "it obeys")


def test_two_million_points_and_a_wrong_token(browser: Any) -> None:
    from iseg3d_ros.console.page import Console
    from iseg3d_ros.console.server import serve

    rng = np.random.default_rng(0)
    xyz = np.c_[rng.uniform(-5, 5, (2_000_000, 2)), rng.normal(0, 0.002, 2_000_000)].astype(np.float32)
    server, work = serve("127.0.0.1", 18300, token="the right one"), Remembering(xyz)
    console = Console(work, server, most_points=60_000)
    try:
        stranger = Page(browser, server.address.split("?")[0] + "?token=wrong")
        stranger.says("not the token")
        stranger.page.get_by_label("token").fill("the right one")
        stranger.page.get_by_role("button", name="Open").click()
        stranger.says("2\\s000\\s000 points")
        stranger.ready()
        stranger.says("\\d drawn")
        assert "token" not in stranger.page.url
        assert stranger.tells("page.cloud.drawn") <= 60_000 and stranger.tells("page.cloud.tiles.length") > 1
        stranger.page.mouse.click(WIDTH / 2 - 150, HEIGHT / 2 + 20)
        end = time.monotonic() + PATIENCE
        while not work.asked and time.monotonic() < end:
            stranger.page.wait_for_timeout(200)
        point = np.array(work.asked[0].click.point, np.float32)  # type: ignore[union-attr]
        assert (xyz == point).all(axis=1).any(), "a point of the cloud"
        stranger.context.close()
    finally:
        console.close()


def clicks(state: Any) -> int:
    """All clicks of an Objects message."""
    return len(state.background_clicks) + sum(len(item.clicks) for item in state.objects)
