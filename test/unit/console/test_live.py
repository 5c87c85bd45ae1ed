"""The page over a live scene: it brings the segmenter up, follows the clouds, and objects keep their ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import domain, needs_ros
from console_page import PATIENCE, RED, Page, Robot, chromium, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [
    needs_browser,
    needs_ros,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    """A player at 2 Hz of a red cube that goes to and fro, and a console; no segmenter yet."""
    import ros_operator

    folder = tmp_path_factory.mktemp("live")
    (folder / "clouds").mkdir()
    for number, shift in enumerate((0.0, 0.01, 0.02, 0.03, 0.02, 0.01)):
        xyz, rgb, truth = table(number)
        xyz[truth == 1, 0] += np.float32(shift)
        write_cloud(folder / "clouds" / f"{number}.ply", Cloud(xyz, rgb))
    with domain() as number, ros_operator.operator(number) as operator:
        robot = Robot(folder, operator, folder / "clouds", rate=2.0)
        try:
            yield robot
        finally:
            robot.end()


@pytest.fixture(scope="module")
def page(robot: Robot) -> Iterator[Page]:
    with chromium() as browser:
        yield Page(browser, robot.address)


def test_the_page_brings_a_segmenter_up(robot: Robot, page: Page) -> None:
    page.says("No segmenter answers")
    process = robot.start_segmenter("scene:=live", active=False)
    page.says("is not active: 'Use these' under Model brings it up")
    page.page.locator("summary", has_text="Model").click()
    page.page.get_by_role("button", name="Use these", exact=True).click()
    process.wait_for("ready: clouds on /player/points, mode live", 2 * PATIENCE)
    page.says("28\\s000 points · random_walker")


def test_live_objects_keep_their_ids_and_the_page_follows(robot: Robot, page: Page) -> None:
    page.ready()
    page.click(RED)
    state = robot.state(lambda m: len(m.objects) == 1 and m.objects[0].points > 1500, "an object")
    name, status = state.objects[0].id, page.page.get_by_text("random_walker:")
    heard, texts, places = robot.operator.heard["~/objects"], set[str](), list[Any]()
    first = len(heard)

    def five_more() -> bool:
        texts.add(status.first.inner_text())
        return len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in heard[first:]}) >= 5

    robot.operator.until(five_more, 3 * PATIENCE, "five live clouds")
    for message in heard[first:]:
        assert [item.id for item in message.objects] == [name], "the object keeps its id"
        if message.objects[0].points:
            places.append(message.objects[0].centroid.x)
    assert np.ptp(places) > 0.004, "the object moves"
    assert len(texts) > 1, "the page shows what is new"
    page.says(f"1 · {name}")
    page.picture("live")
