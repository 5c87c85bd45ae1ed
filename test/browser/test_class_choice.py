"""All chairs: the choice of a class beside the search, rings with its name, and objects called by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from console_page import Page, needs_browser, remembered_table
from tables import table
from works import class_knower

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.page import Console
from iseg3d_ros.console.protocol import Propose, Setup
from iseg3d_ros.console.server import serve
from iseg3d_ros.console.updates import StateUpdate

pytestmark = [needs_browser, pytest.mark.timeout(600)]
CHOICE = "page.proposals.classes"


def test_things_of_a_chosen_class_are_found_and_named(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xyz, rgb, _ = table()
    work = LocalWork(Cloud(xyz, rgb), class_knower(monkeypatch, "chair", 0.03), "", tmp_path)
    server = serve("127.0.0.1", 18590)
    console, page = Console(work, server), Page(browser, server.address)
    try:
        page.ready()
        page.until(f"!{CHOICE}.hidden && {CHOICE}.options.length === 36")
        assert page.tells(f"{CHOICE}.value") == "" and page.tells(f"{CHOICE}.options[0].textContent") == "everything"
        page.page.get_by_label("What is looked for").select_option("chair")
        page.press("Find objects")
        page.says("2 proposals of chair: click on those that are right")
        page.until("page.proposals.shown.length === 2")
        page.picture("proposals_of_a_class")
        at = page.tells("page.proposals.shown[0].at.map((v, n) => v + page.cloud.origin[n])")
        page.click(tuple(at))
        page.until("page.state.objects.length === 1 && page.state.objects[0].name === 'chair'")
        work.send(Setup("random_walker"))
        page.until(f"{CHOICE}.hidden && page.proposals.wanted === ''")  # it knows none
    finally:
        page.context.close()
        console.close()
        work.close()


def test_the_choice_is_shown_where_classes_are_known_and_is_asked_for(browser: Any) -> None:
    with remembered_table(18591) as (work, address):
        page = Page(browser, address)
        page.ready()
        assert page.tells(f"{CHOICE}.hidden")
        work.tell(StateUpdate(model="fewclick", classes=("table", "chair")))
        page.until(f"!{CHOICE}.hidden")
        assert page.tells(f"[...{CHOICE}.options].map(({{ value }}) => value)") == ["", "chair", "table"]
        page.press("Find objects")
        page.page.get_by_label("What is looked for").select_option("table")
        page.press("Find objects")
        while len(work.asked) < 2:
            page.page.wait_for_timeout(50)
        assert work.asked == [Propose(), Propose("table")]
        page.context.close()
