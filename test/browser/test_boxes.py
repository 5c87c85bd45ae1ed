"""A box with handles in a real browser: made larger, moved, turned; undone, exported, and there again after a kill."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import RED, Page, Program, needs_browser
from tables import table

from iseg3d_ros.cloud import Cloud, write_cloud

pytestmark = [needs_browser, pytest.mark.timeout(600)]


def drag(page: Page, kind: str, by: tuple[float, float], *held: str) -> None:
    """Drag a handle by so many pixels."""
    page.page.wait_for_timeout(300)
    place = page.tells(f"page.handles.all.find((each) => each.kind === '{kind}').place")
    seen, frame = page.tells(f"page.camera.project({place})"), page.page.locator("#scene").bounding_box()
    x, y = frame["x"] + seen["x"], frame["y"] + seen["y"]
    page.page.mouse.move(x, y)
    for key in held:
        page.page.keyboard.down(key)
    page.page.mouse.down()
    page.page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.page.mouse.move(x + by[0], y + by[1])
    page.page.mouse.up()
    for key in held:
        page.page.keyboard.up(key)
    page.until("page.handles.changed === null")


def test_a_box_is_edited_with_handles_undone_exported_and_kept(browser: Any, tmp_path: Path) -> None:
    xyz, rgb, truth = table()
    labels = ((truth + 1) % 3).astype(np.int32)  # the table is an object, too: as large as the room, as walls are
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb, None, labels))
    program = Program(18660, tmp_path / "out", str(tmp_path / "scan.ply"))
    page = Page(browser, program.address, size=(1180, 820))
    try:
        page.ready()
        page.until("page.state.objects.length === 2")
        large = page.tells("page.state.objects.map(({ box }) => Math.max(...box.size) > 1)")
        assert any(large) and not page.tells("page.look.large"), "boxes of walls are off"
        page.click(RED)
        small = large.index(False)
        page.until(f"page.state.active === page.state.objects[{small}].id")
        near = f"page.camera.pivot(page.state.objects[{small}].box.centre), page.camera.distance = 0.5, page.redraw()"
        page.tells(f"({near}, 1)")
        page.press("Edit the box")
        page.until("page.handles.item !== null")
        mine = f"page.state.objects[{small}].box"
        before, yaw = page.tells(mine), page.tells("page.camera.yaw")
        drag(page, "face21", (0, -60))
        page.until(f"page.state.objects[{small}].boxed")
        taller = page.tells(mine)
        assert taller["size"][2] > before["size"][2] + 0.02
        assert np.allclose(taller["centre"][2] - taller["size"][2] / 2, before["centre"][2] - before["size"][2] / 2)
        assert page.tells("page.camera.yaw") == yaw, "a handle does not turn the view"
        page.picture("boxes_handles")
        drag(page, "move", (50, 0))
        moved = page.tells(mine)
        assert np.hypot(*(np.array(moved["centre"]) - taller["centre"])[:2]) > 0.02
        assert np.isclose(moved["centre"][2], taller["centre"][2], atol=1e-4)
        assert np.allclose(moved["size"], taller["size"])
        drag(page, "turn", (0, -40))
        turned = page.tells(mine)
        assert np.allclose(turned["centre"], moved["centre"])
        assert abs(np.dot(turned["axes"][0], moved["axes"][0])) < 0.999
        page.key("Control+z")
        page.until(f"Math.abs({mine}.axes[0][0] - {moved['axes'][0][0]}) < 1e-6")
        page.key("Control+y")
        page.until(f"Math.abs({mine}.axes[0][0] - {turned['axes'][0][0]}) < 1e-6")
        page.tells("page.state.old = 1")
        program.end(signal.SIGKILL)
        page.says("The link to the server is dead")
        program = Program(18660, tmp_path / "out", str(tmp_path / "scan.ply"))
        page.until(f"page.alive && page.link.connected && !page.state.old && page.state.objects[{small}]?.boxed")
        assert np.allclose(page.tells(mine)["size"], turned["size"])
        page.page.locator("summary", has_text="Save").click()
        page.page.get_by_label("Format").select_option("npz")
        page.page.get_by_label("File name").fill("mine")
        page.press("Save")
        page.says("Saved ")
        with np.load(tmp_path / "out" / "mine.npz") as arrays:
            assert np.allclose(arrays["box_size"][small], turned["size"], atol=1e-5)
            assert np.allclose(arrays["box_rotation"][small].T, turned["axes"], atol=1e-5)
        page.press("Fit to axes")
        page.until(f"Math.abs({mine}.axes[0][0]) > 1 - 1e-9 && {mine}.size[2] < 0.12")
        page.press("Fit to points")
        page.until(f"!page.state.objects[{small}].boxed")
        assert np.allclose(page.tells(mine)["size"], before["size"])
    finally:
        page.context.close()
        program.end()
