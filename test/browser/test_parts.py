"""A part of an object, begun in the browser: by the button and by its key, corrected, undone, and kept over a kill."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import Page, Program, needs_browser, remembered_table
from tables import stool

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]
SEAT, RIM, LEG, FLOOR = (0.1, -0.15, 0.49), (-0.1, -0.15, 0.49), (0.02, -0.02, 0.2), (-0.5, -0.5, 0.0)


def test_the_next_click_begins_a_part_of_the_active_object(browser: Any, tmp_path: Path) -> None:
    xyz, truth = stool()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, None, None, (truth > 0).astype(np.int32)))
    given = (18592, tmp_path / "out", str(tmp_path / "scan.ply"))
    program = Program(*given)
    page = Page(browser, program.address)
    try:
        page.ready()
        page.until("page.state.objects.length === 1")
        whole = page.tells("page.state.objects[0].points")
        page.key("/")
        page.says("Choose an object first: it is what the next click begins a part of")
        page.until("page.cloud.tiles.some(({ label }) => label.includes(1))")  # the page has its points, too
        page.click(SEAT)
        page.until("page.state.active === 'object_1'")
        page.press("Part of this")
        page.hover(FLOOR)
        page.says("A part of object_1 begins on object_1: click there")
        page.click(FLOOR)
        page.hover(SEAT)
        page.says("A click here begins a part of object_1")
        assert page.tells("page.state.objects.length") == 1 and page.tells("page.clicks.mode") == "part"
        page.picture("part_before")
        page.click(SEAT)
        page.until("page.state.objects.length === 2 && !page.clicks.pending.length")
        assert page.tells("page.state.objects[1].within") == "object_1" and page.tells("page.clicks.mode") == "auto"
        page.says("part of object_1")
        if page.tells("page.state.objects[0].points") < 100:  # everything was taken for the seat: the leg is not
            page.click(LEG, button="right")
            page.until("page.state.objects[0].points > 100")
        assert page.tells("page.state.objects[0].points + page.state.objects[1].points") == whole
        page.picture("part")
        page.key("1")
        page.until("page.state.active === 'object_1'")
        page.key("/")
        page.until("page.panel.objects.part.classList.contains('on')")
        page.key("0")
        page.until("page.state.active === '' && page.clicks.mode === 'auto'")  # there is nothing to be a part of
        page.key("1")
        page.until("page.state.active === 'object_1'")
        page.key("/")
        page.click(RIM)
        page.until("page.state.objects.length === 3 && !page.clicks.pending.length")
        page.key("Control+z")
        page.until("page.state.objects.length === 2")
        parts = page.tells("page.state.objects.map(({ points }) => points)")
        page.context.close()
        program.end(signal.SIGKILL)
        program = Program(*given)
        page = Page(browser, program.address)
        page.ready()
        page.until("page.state.objects.length === 2")
        assert page.tells("page.state.objects.map(({ points }) => points)") == parts
        assert page.tells("page.state.objects[1].within") == "object_1"
    finally:
        page.context.close()
        program.end()


def test_a_robot_is_offered_no_parts(browser: Any) -> None:
    with remembered_table(18593) as (_, address):
        page = Page(browser, address)
        page.ready()
        page.key("/")
        assert page.tells("page.clicks.mode") == "auto" and not page.tells("page.abilities.edits")
        page.context.close()
