"""What the model offers by itself: rings where something could be an object, and what it takes an object for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import RED, Page, Program, needs_browser, remembered_table
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.protocol import Rename
from iseg3d_ros.console.updates import ObjectState, StateUpdate

pytestmark = [needs_browser, pytest.mark.timeout(600)]


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    """The console on a table with two cubes."""
    xyz, rgb, _ = table()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    program = Program(18580, tmp_path / "out", str(tmp_path / "scan.ply"))
    page = Page(browser, program.address)
    try:
        page.ready()
        yield page
    finally:
        page.context.close()
        program.end()


def test_what_a_click_would_hold_is_shown_before_it_is_made(page: Page) -> None:
    """The cursor rests on a thing: dots on it alone; nothing of it is in the work; moving away takes them back."""
    xyz, _, labels = table()
    page.hover(RED)
    page.until("page.peek.points.length > 20")
    page.picture("peek")
    points = np.array(page.tells("page.peek.points.map((at) => at.map((v, n) => v + page.cloud.origin[n]))"))
    thing = labels[np.linalg.norm(xyz - np.array(RED), axis=1).argmin()]
    nearest = np.array([np.linalg.norm(xyz - point, axis=1).argmin() for point in points])
    assert (labels[nearest] == thing).mean() > 0.8
    assert page.tells("page.state.objects.length") == 0 and not page.tells("page.state.undo")
    page.tells("page.set({ peek: false }) ?? 0")
    page.hover(RED, 20)
    page.until("page.peek.points.length === 0")
    page.click(RED)
    page.until("page.state.objects.length === 1 && !page.clicks.pending.length")


def test_proposals_are_accepted_with_a_click_or_all_at_once(page: Page) -> None:
    page.press("Find objects")
    page.click(RED)
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


def test_what_the_model_takes_an_object_for_becomes_its_name(browser: Any) -> None:
    with remembered_table(18581) as (work, address):
        page = Page(browser, address)
        page.ready()
        guesses = (("chair", 0.62), ("stool", 0.2), ("table", 0.1))
        work.tell(StateUpdate((ObjectState("a", "object_1", 1, (0, 255, 0), 10, guesses=guesses),), active="a"))
        page.says("stool 20 %")
        page.press("chair 62 %")
        page.until("true")
        work.tell(StateUpdate((ObjectState("a", "chair", 1, (0, 255, 0), 10, guesses=guesses),), active="a"))
        page.until("!document.body.innerText.includes('chair 62 %')")  # it has that name now
        assert Rename("a", "chair") in work.asked
        page.context.close()
