"""Camera images beside the cloud in a real browser: masks are drawn over them, and clicks on them segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import BLUE, RED, Page, Program, needs_browser
from PIL import Image
from tables import photograph, table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A table top that a camera saw."""
    xyz, rgb, _ = table()
    image, _, camera = photograph(xyz, rgb)
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    Image.fromarray(image).save(tmp_path / "front.png")
    (tmp_path / "scan.cameras.json").write_text(json.dumps([{"image": "front.png", **camera}]))
    return tmp_path / "scan.ply"


def click(page: Page, place: tuple[float, float, float], button: str = "left") -> None:
    """Click in the image where a place of the cloud is seen."""
    page.page.wait_for_timeout(400)
    local = page.tells(f"page.photos.project({list(place)}.map((v, n) => v - page.cloud.origin[n]))")
    frame = page.page.locator("#photos canvas").bounding_box()
    inside = page.tells("page.photos.frame")
    x = frame["x"] + inside["left"] + inside["zoom"] * (local[0] + 0.5)
    y = frame["y"] + inside["top"] + inside["zoom"] * (local[1] + 0.5)
    page.page.mouse.move(x, y)
    page.page.mouse.click(x, y, button=button)


def cells(page: Page, number: int) -> int:
    """How many cells of the image show that object."""
    return int(page.tells(f"page.photos.cells.label.filter((label) => label === {number}).length"))


def test_a_click_on_an_image_segments_and_its_mask_is_seen_there(browser: Any, scan: Path, tmp_path: Path) -> None:
    program = Program(18640, tmp_path / "out", str(scan))
    page = Page(browser, program.address, size=(1180, 820))
    try:
        page.ready()
        page.press("Images")
        page.until("page.photos.cells !== null && page.photos.picture.naturalWidth === 320")
        scene, image = (page.page.locator(name).bounding_box() for name in ("#scene", "#photos"))
        assert scene["x"] + scene["width"] <= image["x"] + 1, "beside, not before, the cloud"
        assert cells(page, 1) == 0
        click(page, RED)
        page.until("page.state.objects.length === 1 && page.clicks.pending.length === 0 && !page.busy")
        made = np.array(page.tells("page.state.objects[0].clicks[0]"))
        assert np.linalg.norm(made + page.tells("page.cloud.origin") - np.array(RED)) < 0.02
        page.until("page.photos.cells.label.some((label) => label === 1)")
        click(page, BLUE)
        page.until("page.state.objects.length === 2 && page.clicks.pending.length === 0 && !page.busy")
        page.until("page.photos.cells.label.some((label) => label === 2)")
        page.picture("photos")
        click(page, RED)
        page.until("page.state.active === page.state.objects[0].id")
        assert page.tells("page.state.objects.length") == 2, "a coloured object is chosen, in the image too"
        before = page.tells("page.state.background.length")
        click(page, (-0.3, 0.0, 0.0), button="right")
        page.until(f"page.state.background.length === {before + 1}")
        page.key("Control+z")
        page.until(f"page.state.background.length === {before}")
        page.key("z")
        page.until("document.getElementById('photos').hidden")
    finally:
        page.context.close()
        program.end()


def test_on_a_phone_the_image_stands_above_the_cloud(browser: Any, scan: Path, tmp_path: Path) -> None:
    program = Program(18650, tmp_path / "out", str(scan))
    page = Page(browser, program.address, touch=True, size=(390, 844))
    try:
        page.ready()
        page.tells("(page.photos.toggle(), 1)")
        page.until("page.photos.cells !== null && page.photos.picture.naturalWidth === 320")
        scene, image = (page.page.locator(name).bounding_box() for name in ("#scene", "#photos"))
        assert image["y"] + image["height"] <= scene["y"] + 1 and scene["height"] > 250
        page.picture("photos_phone")
    finally:
        page.context.close()
        program.end()
