"""Labels that are there already, corrected in a real browser: brush, outline, lock, split, a class's attributes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import BLUE, Page, Program, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(900)]
CLASSES = "- {name: cube, attributes: {side: [red, blue], whole: [no, yes]}}\n- table\n"
Place = tuple[float, float, float]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two scans that carry labels: both cubes are one object."""
    (tmp_path / "scans").mkdir()
    for number in range(2):
        xyz, rgb, truth = table(number)
        write_cloud(tmp_path / "scans" / f"{number}.ply", Cloud(xyz, rgb, None, (truth > 0).astype(np.int32)))
    (tmp_path / "classes.yaml").write_text(CLASSES)
    return tmp_path / "scans"


def drag(page: Page, places: list[Place], button: str = "left") -> None:
    """Press at the first place, go to the others, let go."""
    points = [page.pixel(place) for place in places]
    page.page.mouse.move(*points[0])
    page.page.mouse.down(button=button)
    for point in points[1:]:
        page.page.mouse.move(*point, steps=6)
    page.page.mouse.up(button=button)


def points(page: Page, number: int) -> int:
    """Of the object of that number in the list."""
    return int(page.tells(f"page.state.objects[{number}].points"))


def test_carried_labels_are_corrected_by_hand_and_outlive_a_kill(browser: Any, scans: Path, tmp_path: Path) -> None:
    given = [str(scans), "--classes", str(tmp_path / "classes.yaml"), "--carry"]
    program = Program(18610, tmp_path / "out", *given)
    page = Page(browser, program.address, size=(1920, 1080))
    page.ready()
    page.until("page.state.objects.length === 1 && page.state.objects[0].points === 8000")
    page.until("page.jobs.jobs.every(({ picture }) => picture > 0)")
    page.until("[...document.querySelectorAll('img.thumb')].filter((each) => each.naturalWidth > 0).length === 2")
    page.press("Panel") if page.tells("document.body.classList.contains('closed')") else None
    page.page.locator(".objects .main").first.click()
    page.until("page.state.active === page.state.objects[0].id")

    page.press("Split")
    page.until("page.state.objects.length === 2 && page.state.objects.every(({ points }) => points === 4000)")
    page.page.get_by_label("Class", exact=True).select_option("cube")
    page.page.get_by_label("side", exact=True).select_option("red")
    page.until("page.state.objects[0].attributes.side === 'red'")

    page.key("d")  # the brush, over the object: right drag takes away
    page.page.mouse.move(*page.pixel((0.0, 0.0, 0.105)))
    page.says("Drag adds to object_1")
    page.picture("editing_brush")
    active = page.tells("page.state.objects.findIndex(({ id }) => id === page.state.active)")
    near: Place = (0.0, 0.0, 0.105) if active == 0 else BLUE
    drag(page, [(near[0] - 0.03, near[1], near[2]), (near[0] + 0.03, near[1], near[2])], button="right")
    page.until(f"page.state.objects[{active}].points < 4000")
    fewer = points(page, active)
    drag(page, [(near[0] - 0.03, near[1], near[2]), (near[0] + 0.03, near[1], near[2])])
    page.until(f"page.state.objects[{active}].points > {fewer}")
    assert page.tells("page.camera.yaw === page.camera.yaw") and not page.tells("page.touched"), "the view stands still"

    page.key("j")  # an outline of a patch of the table: a new object
    page.key("e")
    corners: list[Place] = [(-0.5, -0.5, 0), (-0.3, -0.5, 0), (-0.3, -0.3, 0), (-0.5, -0.3, 0)]
    drag(page, [*corners, corners[0]])
    page.until("page.state.objects.length === 3 && page.state.objects[2].points > 100")
    page.picture("editing_outline")
    patch = points(page, 2)
    page.press("Lock")
    page.until("page.state.objects[2].locked")
    page.key("k")
    drag(page, [corners[0], corners[1]], button="right")
    page.says("is locked: unlock it first")
    assert points(page, 2) == patch
    page.key("Escape")
    page.until("page.tools.tool === 'click'")
    page.picture("editing_locked")

    before = page.tells("page.state.objects.map(({ id, points, category, locked }) => [id, points, category, locked])")
    program.end(signal.SIGKILL)
    page.says("The link to the server is dead")
    program = Program(18610, tmp_path / "out", *given)
    try:
        page.until("page.alive && page.link.connected && page.state.objects.length === 3")
        same = "page.state.objects.map(({ id, points, category, locked }) => [id, points, category, locked])"
        assert page.tells(same) == before
        page.page.locator("summary", has_text="Save").click()
        page.page.get_by_label("Format").select_option("ply")
        page.page.get_by_label("File name").fill("mine")
        page.press("Save")
        page.says("Saved ")
        labels = read_cloud(tmp_path / "out" / "mine.ply").labels
        assert labels is not None and [int((labels == n).sum()) for n in (1, 2, 3)] == [row[1] for row in before]
    finally:
        page.context.close()
        program.end()


def test_on_a_phone_a_finger_draws_and_two_do_not(browser: Any, scans: Path, tmp_path: Path) -> None:
    program = Program(18620, tmp_path / "out", str(scans / "0.ply"))
    page = Page(browser, program.address, touch=True, size=(390, 844))
    try:
        page.ready()
        page.until("page.state.objects.length === 1")
        page.tells("page.send({ do: 'select', id: page.state.objects[0].id })")
        page.until("page.state.active !== ''")
        page.page.get_by_role("button", name="Brush", exact=True).tap()
        sizes = page.tells("[...document.querySelectorAll('#tools button')].map((each) => each.getBoundingClientRect())"
                           ".map(({ width, height }) => Math.min(width, height))")  # fmt: skip
        assert min(sizes) >= 44
        x, y = page.pixel(BLUE)
        page.tells("page.clicks.choose('background')")
        touch = page.context.new_cdp_session(page.page)

        def send(kind: str, *fingers: tuple[float, float]) -> None:
            told = [{"x": a, "y": b, "id": number} for number, (a, b) in enumerate(fingers)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

        send("touchStart", (x, y))
        send("touchStart", (x, y), (x + 80, y))
        send("touchMove", (x, y + 5), (x + 90, y))
        send("touchEnd")
        page.page.wait_for_timeout(500)
        assert points(page, 0) == 8000, "two fingers zoom"
        x, y = page.pixel(BLUE)
        send("touchStart", (x, y))
        send("touchMove", (x + 8, y + 2))
        send("touchMove", (x + 16, y + 4))
        send("touchEnd")
        page.until("page.state.objects[0].points < 8000")
        page.picture("editing_phone")
    finally:
        page.context.close()
        program.end()
