"""What could be an object is offered as rings: one click accepts one, a button all; other clicks go between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from console_page import RED, Page, Program, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]


def test_proposals_are_accepted_with_a_click_or_all_at_once(browser: Any, tmp_path: Path) -> None:
    xyz, rgb, _ = table()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    program = Program(18580, tmp_path / "out", str(tmp_path / "scan.ply"))
    page = Page(browser, program.address)
    try:
        page.ready()
        page.press("Find objects")
        page.says("looking for objects")
        page.click(RED)  # does not wait for the end of the search
        page.until("page.state.objects.length === 1")
        page.says(r"\d+ proposals: click on those that are right")
        page.until("page.proposals.shown.length >= 1")
        page.picture("proposals")
        offered = page.tells("page.proposals.shown.length")
        at = page.tells("page.proposals.shown[0].at.map((v, n) => v + page.cloud.origin[n])")
        page.click(tuple(at))
        page.until("page.state.objects.length === 2 && !page.clicks.pending.length")
        page.until(f"page.proposals.shown.length < {offered}")  # what an object holds is offered no more
        page.press("Undo")
        page.until(f"page.state.objects.length === 1 && page.proposals.shown.length === {offered}")
        page.press(f"Accept all {offered} proposals")
        page.until("page.state.objects.length >= 2 && !page.clicks.pending.length && !page.proposals.shown.length")
    finally:
        page.context.close()
        program.end()
