"""What an operator found wrong, one test each, in a real browser; and a folder of scans to its end."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_page import BLUE, GROUND, RED, RED_EDGE, Page, Program, Remembering, needs_browser, remembered_table
from tables import table

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.console.page import Console
from iseg3d_ros.console.protocol import Abilities, AddClick, Undo
from iseg3d_ros.console.server import serve
from iseg3d_ros.console.updates import CloudUpdate, ObjectState, StateUpdate, Suggestion

pytestmark = [needs_browser, pytest.mark.timeout(600)]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    xyz, rgb, _ = table()
    write_cloud(tmp_path / "scan.ply", Cloud(xyz, rgb))
    return tmp_path / "scan.ply"


@pytest.fixture
def remembering() -> Iterator[tuple[Remembering, str]]:
    with remembered_table(18500) as shown:
        yield shown


def named(page: Page, count: int) -> None:
    """Wait until there are so many objects, and nothing waits."""
    page.until(f"page.state.objects.length === {count} && page.clicks.pending.length === 0 && !page.busy")


def test_work_outlives_a_kill_and_is_exported_with_names(browser: Any, scan: Path, tmp_path: Path) -> None:
    """Faults 1, 4, 9 and 10."""
    program = Program(18510, tmp_path / "out", str(scan))
    page = Page(browser, program.address)
    page.ready()
    page.until("page.link.connected")
    page.click(RED)
    named(page, 1)
    page.click(BLUE)
    named(page, 2)
    field = page.page.get_by_label("Name", exact=True)
    field.fill("blue cube")
    field.press("Enter")
    page.says("2 · blue cube")
    program.end(signal.SIGKILL)
    page.says("The link to the server is dead")
    program = Program(18510, tmp_path / "out", str(scan))
    try:
        page.until("page.alive && page.link.connected")
        page.says("2 · blue cube")
        assert page.tells("document.getElementById('dead').hidden")
        page.page.locator("summary", has_text="Save").click()
        page.page.get_by_label("Format").select_option("npz")
        page.page.get_by_label("File name").fill("mine")
        page.press("Save")
        page.says("Saved ")
        with np.load(tmp_path / "out" / "mine.npz") as arrays:
            assert "blue cube" in arrays["object_names"] and np.isfinite(arrays["box_size"]).all()
        page.press("Save")
        page.says("is there already")
        with page.page.expect_download() as download:
            page.press("Download")
        download.value.save_as(tmp_path / "got.npz")
        assert set(np.unique(read_cloud(tmp_path / "got.npz").labels)) == {0, 1, 2}
    finally:
        page.context.close()
        program.end()


def test_a_click_is_answered_at_once_by_the_page_itself(browser: Any, remembering: tuple[Remembering, str]) -> None:
    """Fault 2: from the button to the ball in the scene, though nobody answers; a median of nine."""
    work, address = remembering
    page = Page(browser, address)
    page.ready()
    page.tells("""(() => {
        window.took = [];
        let from = 0, before = 0;
        const pressed = ({ timeStamp }) => { from = timeStamp; before = page.clicks.pending.length; };
        addEventListener("pointerup", pressed, true);
        const draw = page.overlay.draw.bind(page.overlay);
        page.overlay.draw = () => {
            draw();
            if (from && page.clicks.pending.length > before) { window.took.push(performance.now() - from); from = 0; }
        };
        return 1;
    })()""")
    for n in range(9):
        page.click((-0.4 + 0.1 * n, -0.3, 0.0))
        page.until(f"page.clicks.pending.length === {n + 1}")
    page.until("window.took.length === 9")
    took = sorted(page.tells("window.took"))
    print(f"from the event to the ball: median {took[4]:.0f} ms, largest {took[-1]:.0f} ms")
    page.says("segmenting · 8 waiting")
    assert len(work.asked) == 9 and all(isinstance(each, AddClick) for each in work.asked)
    page.key("Escape")
    page.until("page.clicks.pending.length === 0")
    while len(work.asked) < 18:
        page.page.wait_for_timeout(50)
    assert all(isinstance(each, Undo) for each in work.asked[9:]), "Escape takes back what waits"
    page.context.close()


def test_the_second_click_never_merges_and_an_impatient_one_is_the_same(
    browser: Any, remembering: tuple[Remembering, str]
) -> None:
    """Faults 2 and 3: while the first click waits, the next thing begins its own object."""
    work, address = remembering
    page = Page(browser, address)
    page.ready()
    page.click(RED)
    page.page.wait_for_timeout(500)
    page.click(RED)
    page.says("That click is on its way")
    page.click(GROUND)
    page.until("page.clicks.pending.length === 2")
    while len(work.asked) < 2:
        page.page.wait_for_timeout(50)
    assert [each.new for each in work.asked if isinstance(each, AddClick)] == [True, True]
    page.context.close()


def test_a_stream_is_paused_and_goes_on_step_by_step(browser: Any) -> None:
    xyz, rgb, _ = table()
    work = Remembering(xyz, rgb)
    work.abilities = Abilities(("none",), ("live",), "nowhere")
    server = serve("127.0.0.1", 18525)
    console = Console(work, server)
    page = Page(browser, server.address)
    page.ready()
    page.key(",")
    work.show(CloudUpdate(2, xyz + np.float32(0.01), rgb))
    page.until("page.heldBack !== null && page.cloud.serial === 1")
    page.click(RED)
    page.says("Paused, and a newer cloud has come")
    page.press("Step")
    page.until("page.cloud.serial === 2 && !page.incoming && page.paused")
    for number in (3, 4):
        work.show(CloudUpdate(number, xyz + np.float32(0.01 * number), rgb))
    page.until("page.heldBack?.serial === 4 && page.cloud.serial === 2")
    page.press("Pause")
    page.until("page.cloud.serial === 4 && !page.paused")
    page.context.close()
    console.close()


def test_with_the_keyboard_alone(browser: Any, remembering: tuple[Remembering, str]) -> None:
    """Arrows bring a thing to the middle, Space clicks on it."""
    work, address = remembering
    page = Page(browser, address)
    page.ready()
    yaw = page.tells("page.camera.yaw")
    page.key("ArrowLeft")
    page.until("page.pointed?.hit")
    assert page.tells("page.camera.yaw") != yaw
    page.key("Space")
    page.until("page.clicks.pending.length === 1")
    assert isinstance(work.asked[0], AddClick) and work.asked[0].new
    page.context.close()


def test_a_dead_server_is_told_and_waited_for(browser: Any) -> None:
    """Fault 5."""
    xyz, rgb, _ = table()
    server = serve("127.0.0.1", 18520, token="same")
    console = Console(Remembering(xyz, rgb), server)
    page = Page(browser, server.address)
    page.ready()
    assert page.page.locator("#dead").is_hidden()
    console.close()
    page.says("The link to the server is dead")
    assert "bad" in page.page.locator(".status").get_attribute("class")
    page.picture("dead")
    server = serve("127.0.0.1", 18520, token="same")
    console = Console(Remembering(xyz, rgb), server)
    page.until("page.alive")
    page.page.locator("#dead").wait_for(state="hidden")
    page.click(RED)
    page.until("page.clicks.pending.length === 1")
    console.close()
    page.context.close()


def test_a_cloud_fills_the_window_beside_the_panel(browser: Any, remembering: tuple[Remembering, str]) -> None:
    """Faults 6 and 7."""
    for size in ((1920, 1080), (1180, 820)):
        page = Page(browser, remembering[1], size=size)
        page.ready()
        wide, tall = page.tells("""(() => {
            const seen = page.cloud.sample().map(place => page.camera.project(place));
            const span = (key) => Math.max(...seen.map(p => p[key])) - Math.min(...seen.map(p => p[key]));
            return [span("x") / page.camera.width, span("y") / page.camera.height];
        })()""")
        assert 0.8 < max(wide, tall) < 1.05, "some stray points may lie outside"
        page.context.close()


def test_keys_titles_and_buttons_that_do_nothing_are_grey(browser: Any, remembering: tuple[Remembering, str]) -> None:
    """Faults 12 and 13."""
    work, address = remembering
    page = Page(browser, address)
    page.ready()
    assert page.page.title() == "iseg3d console"
    for name in ("Undo", "Redo", "Clear"):
        assert page.page.locator("#panel").get_by_role("button", name=name, exact=True).is_disabled()
    assert page.page.get_by_role("button", name="Capture a new cloud").is_hidden()
    for kind, otherwise in (("button", "each.textContent.trim()"), ("input, select", "each.labels?.length")):
        every = f"[...document.querySelectorAll('{kind}')]"
        assert page.tells(f"{every}.filter(each => !each.getAttribute('aria-label') && !({otherwise})).length") == 0
    for keys in ("Control+z", "Control+y", "Control+Shift+Z"):
        page.key(keys)
    while len(work.asked) < 3:
        page.page.wait_for_timeout(50)
    assert [type(each).__name__ for each in work.asked] == ["Undo", "Redo", "Redo"]
    page.key("?")
    page.says("begins a new object")
    page.key("Escape")
    page.context.close()


def test_the_suggestion_is_seen_from_everywhere_and_says_its_object(
    browser: Any, remembering: tuple[Remembering, str]
) -> None:
    """Fault 11: over everything, with an arrow from outside; Enter is for the object that it names."""
    work, address = remembering
    cube = ObjectState("cube", "the cube", 1, (230, 75, 53), 3000, 0.9, clicks=(RED,))
    work.tell(StateUpdate((cube,), suggestion=Suggestion(RED_EDGE, "cube"), model="none"))
    page = Page(browser, address)
    page.ready()
    page.says("Enter: a click for the cube")
    tags = "(() => { const said = []; const tag = page.overlay.tag; page.overlay.tag = (...w) => said.push(w);"
    tags += " page.overlay.suggestion(); page.overlay.tag = tag; return said[0]; })()"
    assert page.tells(tags)[0] == "Enter: a click for the cube"
    page.tells("(page.camera.target = page.camera.target.map(v => v + 3), page.redraw(), 1)")
    assert page.tells(tags)[0] == "Enter: a click for the cube", "an arrow points to it from outside"
    page.key("Enter")
    page.until("page.clicks.pending.length === 1")
    while not work.asked:
        page.page.wait_for_timeout(50)
    assert work.asked[0] == AddClick(Click(RED_EDGE, "cube"))
    page.context.close()


def test_a_newcomer_sees_three_pictures_once(browser: Any, remembering: tuple[Remembering, str]) -> None:
    page = Page(browser, remembering[1], newcomer=True)
    page.says("Three things to know")
    assert page.page.locator("dialog svg").count() == 3
    page.press("Start")
    page.page.reload()
    page.ready()
    assert page.page.locator("dialog").count() == 0
    page.context.close()


def test_four_scans_with_a_kill_in_the_middle_and_every_format(browser: Any, tmp_path: Path) -> None:
    """A folder to its end: labelled, killed, gone on with, reviewed, exported; nothing is lost."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(4):
        xyz, rgb, _ = table(number)
        write_cloud(folder / f"{number}.ply", Cloud(xyz, rgb))
    classes = tmp_path / "classes.yaml"
    classes.write_text("- {name: cube, key: q}\n- other\n")
    words = [str(folder), "--classes", str(classes)]
    program = Program(18540, tmp_path / "out", *words)
    page = Page(browser, program.address)
    try:
        for number in range(4):
            page.until(f"page.jobs.current === {number} && page.link.connected && page.state.model")
            page.ready()
            page.click(RED)
            named(page, 1)
            if number == 2:
                program.end(signal.SIGKILL)
                page.context.close()
                program = Program(18540, tmp_path / "out", *words)
                page = Page(browser, program.address)
                page.until("page.jobs.current === 2 && page.link.connected")
                named(page, 1)
                page.ready()
            page.key("q")
            page.until("page.state.objects[0].category === 'cube'")
            page.key("x")
            page.until(f"page.jobs.jobs[{number}].review === 'done'")
            if number < 3:
                page.key("n")
        page.says("4 of 4")
        page.picture("folder")
        page.page.locator("summary", has_text="Save").click()
        page.page.get_by_label("File name").fill("last")
        for kind in ("ply", "pcd", "npz", "label", "semantickitti", "kitti", "pointcept"):
            page.page.get_by_label("Format").select_option(kind)
            before = page.tells("document.querySelectorAll('.said p').length")
            page.page.get_by_label("File name").fill(f"last_{kind}")
            page.press("Save")
            page.says(f"Saved .*last_{kind}")
            assert page.tells("document.querySelectorAll('.said p.refused').length") == 0, before
        assert len(list((tmp_path / "out").glob("last_*"))) == 7
        kept = json.loads((tmp_path / "out" / ".work" / "scans.json").read_text())
        assert {job["objects"] for job in kept["scans"].values()} == {1} and kept["open"] == "3.ply"
        assert {job["review"] for job in kept["scans"].values()} == {"done"}
    finally:
        page.context.close()
        program.end()


def test_adding_merging_and_hiding(browser: Any, scan: Path, tmp_path: Path) -> None:
    program = Program(18550, tmp_path / "out", str(scan))
    page = Page(browser, program.address)
    try:
        page.ready()
        page.until("page.link.connected")
        page.click(RED)
        named(page, 1)
        page.key("a")
        page.click(RED_EDGE)
        page.until("page.state.objects[0].clicks.length === 2 && page.clicks.pending.length === 0")
        page.key("o")
        page.click(BLUE)
        named(page, 2)
        page.page.get_by_role("button", name="Merge into the active object").locator("visible=true").click()
        page.until("page.state.objects.length === 1 && page.state.objects[0].clicks.length === 3")
        page.key("Control+z")
        named(page, 2)
        page.key("h")
        page.until("page.hidden.size === 1")
        x, y = page.pixel(BLUE)
        assert page.tells(f"page.pick({x}, {y})?.label ?? 0") != 2, "what is hidden is not in the way"
    finally:
        page.context.close()
        program.end()
