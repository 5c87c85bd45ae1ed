"""Browsers that differ: one that is touched, one without WebGL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from console_page import GROUND, PATIENCE, RED, Page, Remembering, chromium, needs_browser, remembered_table

from iseg3d_ros.console.protocol import AddClick

pytestmark = [needs_browser, pytest.mark.timeout(600)]


@pytest.fixture
def remembering() -> Iterator[tuple[Remembering, str]]:
    with remembered_table(18400) as shown:
        yield shown


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


def tapped(page: Page, work: Remembering, place: tuple[float, float, float]) -> AddClick:
    """What a tap on a point has asked for; repeated, for a slow browser may not have drawn yet."""
    before, end = len(work.asked), time.monotonic() + PATIENCE
    while len(work.asked) == before and time.monotonic() < end:
        page.page.touchscreen.tap(*page.pixel(place))
        page.page.wait_for_timeout(3000)
    assert len(work.asked) > before, "a tap is a click"
    command = work.asked[before]
    assert isinstance(command, AddClick)
    return command


def test_a_tap_is_a_click(remembering: tuple[Remembering, str]) -> None:
    work, address = remembering
    with chromium() as browser:
        page = Page(browser, address, touch=True)
        page.says("28\\s000 points")
        page.ready()
        first = tapped(page, work, RED)
        assert first.new and np.allclose(first.click.point, RED, atol=0.03)
        page.page.get_by_role("button", name="Take away", exact=True).first.tap()
        second = tapped(page, work, GROUND)
        assert second.click.id == "" and not second.new and np.allclose(second.click.point, GROUND, atol=0.03)


def test_a_browser_without_webgl_is_told(remembering: tuple[Remembering, str]) -> None:
    with chromium("--disable-3d-apis") as browser:
        page = Page(browser, remembering[1])
        page.says("shows no WebGL 2, which the console draws with")
        page.context.close()


def test_a_browser_with_webgl_is_not_told(remembering: tuple[Remembering, str]) -> Any:
    with chromium() as browser:
        page = Page(browser, remembering[1])
        page.says("points")
        assert page.page.locator("#no-webgl").count() == 0


def test_on_a_phone_nothing_covers_the_cloud_and_buttons_are_large(
    browser: Any, remembering: tuple[Remembering, str]
) -> None:
    """Faults 6 and 13: the panel lies beside the cloud, buttons have 44 px, a long press is background."""
    work, address = remembering
    page = Page(browser, address, touch=True, size=(390, 844))
    page.ready()
    page.picture("phone")
    for name in ("Take away", "Add", "Undo", "Panel"):
        box = page.page.get_by_role("button", name=name, exact=True).locator("visible=true").first.bounding_box()
        assert box["width"] >= 44 and box["height"] >= 44
    page.press("Panel")
    scene, panel = (page.page.locator(each).bounding_box() for each in ("#scene", "#panel"))
    assert scene["y"] + scene["height"] <= panel["y"] + 1
    page.picture("phone_panel")
    page.press("Panel")
    page.until(f"page.camera.height > {scene['height'] + 50}")  # the cloud has its window again
    page.page.wait_for_timeout(300)
    x, y = page.pixel(GROUND)
    touch = page.context.new_cdp_session(page.page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    page.page.wait_for_timeout(900)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    end = time.monotonic() + PATIENCE
    while not work.asked and time.monotonic() < end:
        page.page.wait_for_timeout(50)
    assert isinstance(work.asked[0], AddClick) and not work.asked[0].new and work.asked[0].click.id == ""
    page.context.close()
