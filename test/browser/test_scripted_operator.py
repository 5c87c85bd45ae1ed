"""The scripted operator labels five objects of the demo's room at the real console, with the shipped model."""

from __future__ import annotations

import sys

import pytest
from conftest import REPOSITORY
from console_page import needs_browser

from iseg3d_ros.demo.scenes import open_scene

sys.path.insert(0, str(REPOSITORY / "tools"))


@needs_browser
@pytest.mark.timeout(1200)
def test_five_objects_of_the_room_take_at_most_twelve_clicks() -> None:
    from console_operator import ENOUGH, OBJECTS, play

    rows, wrong = play(open_scene("room"))
    assert len(rows) == OBJECTS and all(row.overlap >= ENOUGH for row in rows), rows
    assert sum(row.clicks for row in rows) <= 12 and wrong == 0
