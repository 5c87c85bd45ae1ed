"""The list of what was done: read, gone back and forth along with mouse and keyboard, and there again after a kill."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from console_page import BLUE, GROUND, RED, Page, Program, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]
LINES = "[...document.querySelectorAll('.history button')].map((row) => row.textContent)"
UNDONE = "[...document.querySelectorAll('.history .undone')].map((row) => row.textContent)"
NOW = "document.querySelector('.history [aria-current]').textContent"
SETTLED = "!page.clicks.pending.length && page.panel.history.told.steps.length"
SIZES = ((1920, 1080), (1180, 820), (390, 844))


def test_what_was_done_is_listed_and_gone_back_to(browser: Any, tmp_path: Path) -> None:
    write_cloud(tmp_path / "scan.ply", Cloud(*table()[:2]))
    program = Program(18590, tmp_path / "out", str(tmp_path / "scan.ply"))
    page = Page(browser, program.address)
    page.ready()
    for count, (place, *held) in enumerate(((RED,), (GROUND, "Control"), (BLUE,)), 1):
        page.click(place, *held)
        page.until(f"{SETTLED} === {count}")
    page.tells("page.send({ do: 'rename', id: 'object_2', name: 'chair' })")
    page.until(f"{SETTLED} === 4")
    assert page.tells(LINES) == [], "nothing is made of what nobody sees"
    page.page.locator("summary", has_text="History").click()
    page.until(f"{LINES}.length === 5")
    whole = ["Named chair", "Began object_2", "Click against object_1", "Began object_1", "Beginning"]
    assert page.tells(LINES) == whole and page.tells(NOW) == "Named chair"
    colours = "[...document.querySelectorAll('.history .swatch')].map(({ style }) => style.background)"
    first, second = (f"rgb({', '.join(map(str, page.tells(f'page.state.objects[{n}].colour')))})" for n in (0, 1))
    assert page.tells(colours) == [second, second, first, first, ""]
    page.picture("history")

    page.press("Began object_1")
    page.until("page.state.objects.length === 1 && !page.state.background.length && page.state.redo")
    assert page.tells(UNDONE) == whole[:3] and page.tells(LINES) == whole and page.tells(NOW) == "Began object_1"
    page.picture("history_back")
    page.press("Named chair")
    page.until("page.state.objects.length === 2 && page.state.objects[1].name === 'chair' && !page.state.redo")
    assert page.tells(UNDONE) == []

    page.page.locator(".history [aria-current]").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.page.keyboard.press(key)
    page.until(f"{NOW} === 'Click against object_1' && page.state.objects.length === 1 && page.state.redo")
    page.page.keyboard.press("End")
    page.page.keyboard.press("Space")
    page.until(f"{NOW} === 'Beginning' && !page.state.objects.length && {UNDONE}.length === 4")
    page.press("Redo")
    page.until(f"{NOW} === 'Began object_1'")

    revision = page.tells("page.panel.history.told.revision")
    program.end(signal.SIGKILL)
    page.until("!page.alive")
    program = Program(18590, tmp_path / "out", str(tmp_path / "scan.ply"))
    try:
        page.until(f"page.alive && page.link.connected && ![0, {revision}].includes(page.panel.history.told.revision)")
        page.until(f"{NOW} === 'Began object_1'")
        assert page.tells(LINES) == whole and page.tells(UNDONE) == whole[:3]
        page.press("Began object_2")
        page.until("page.state.objects.length === 2")
        page.click(GROUND, "Control")  # another step: what was undone is forgotten, and so is its line
        page.until(f"{LINES}[0].startsWith('Click against') && {UNDONE}.length === 0")
        for width, height in SIZES:
            small = Page(browser, program.address, touch=width < 500, size=(width, height))
            small.ready()
            if width < 700:
                small.press("Panel")
            small.page.locator("summary", has_text="History").click()
            small.until(f"{LINES}.length === 5")
            small.press("Began object_1")
            small.until(f"{NOW} === 'Began object_1'")
            assert small.tells("document.documentElement.scrollWidth <= innerWidth")
            small.picture(f"history_{width}")
            small.press("Click against object_2")
            small.context.close()
    finally:
        page.context.close()
        program.end()
