"""Two people at one server, each in a browser of their own: locks per scan, looking on, and taking over with a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from console_page import BLUE, RED, Page, Program, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]


def test_a_scan_is_one_persons_and_others_look_on_until_they_take_it_over(browser: Any, tmp_path: Path) -> None:
    for number in range(3):
        xyz, rgb, _ = table(number)
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz, rgb))
    program = Program(18670, tmp_path / "out", *(str(tmp_path / f"{number}.ply") for number in range(3)))
    anna = Page(browser, program.address)
    try:
        anna.ready()
        anna.page.get_by_label("Your name").fill("Anna")
        anna.page.get_by_label("Your name").press("Enter")
        anna.until("page.jobs.you === 'Anna' && page.jobs.mine")
        anna.click(RED)
        anna.until("page.state.objects.length === 1 && page.clicks.pending.length === 0")
        ben = Page(browser, program.address, size=(1180, 820))
        ben.ready()
        ben.until("page.jobs.current === 1 && page.jobs.mine")  # hers is taken: he begins with the next one
        ben.tells("(page.scan(-1), 1)")
        ben.says("Anna has had this scan since")
        ben.until("page.jobs.current === 0 && page.state.objects.length === 1")
        assert not ben.tells("page.works") and ben.page.locator("#tools").is_hidden()
        ben.picture("people_looking_on")
        ben.click(BLUE)
        ben.page.wait_for_timeout(500)
        assert ben.tells("page.clicks.pending.length") == 0 and ben.tells("page.state.objects.length") == 1
        anna.click(BLUE)
        ben.until("page.state.objects.length === 2")  # what she does is seen at once
        ben.press("Take over")
        ben.page.get_by_label("A word to them").fill("I finish it")
        ben.page.locator("dialog").get_by_role("button", name="Take over").click()
        ben.until("page.jobs.mine && page.works")
        anna.says("has taken 0.ply over: I finish it")
        anna.until("!page.works")
        assert anna.page.locator("#taken").is_visible()
        ben.key("Control+z")
        anna.until("page.state.objects.length === 1")
        before = ben.tells("page.jobs.you")
        program.end()
        ben.says("The link to the server is dead")
        program = Program(18670, tmp_path / "out", *(str(tmp_path / f"{number}.ply") for number in range(3)))
        ben.until("page.alive && page.link.connected && page.jobs.jobs.length === 3")
        ben.until(f"page.jobs.you === {before!r} && page.state.objects.length === 1")
        ben.context.close()
    finally:
        anna.context.close()
        program.end()
