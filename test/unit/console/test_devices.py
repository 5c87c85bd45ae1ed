"""Browsers that differ: one that is touched, one without WebGL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from console_page import GROUND, PATIENCE, RED, Page, Remembering, chromium, needs_browser
from tables import table

from iseg3d_ros.console.page import Console
from iseg3d_ros.console.protocol import AddClick
from iseg3d_ros.console.server import serve

pytestmark = [needs_browser, pytest.mark.timeout(600)]


@pytest.fixture
def remembering() -> Iterator[tuple[Remembering, str]]:
    """A page over a work that notes what it is asked for, and its address."""
    xyz, rgb, _ = table()
    server, work = serve("127.0.0.1", 18400), Remembering(xyz, rgb)
    console = Console(work, server)
    yield work, server.address
    console.close()


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
