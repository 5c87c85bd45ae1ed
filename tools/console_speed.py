"""How quick the console's page is: `python tools/console_speed.py [points|ball|link] [--count 10000000]`.

`points`: a cloud of ten million points in a headless browser: when its first points are seen, how many are drawn and
in how many calls while the camera flies over it, and what is sent after a click. `ball`: from the press of the button
to the ball in the scene, thirty times, while the server encodes and segments. `link`: the demo's room over a link of
5 Mbit/s with 100 ms each way. It prints a table and the machine's load, and ends with 1 where a bound does not hold.
Drawing is by software here: a graphics card is quicker.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "test")]
from console_page import Page, Remembering, chromium  # noqa: E402

from iseg3d_ros.console.local_backend import LocalWork  # noqa: E402
from iseg3d_ros.console.page import Console  # noqa: E402
from iseg3d_ros.console.protocol import Command  # noqa: E402
from iseg3d_ros.console.server import serve  # noqa: E402
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, ObjectState, StateUpdate  # noqa: E402
from iseg3d_ros.demo.scenes import open_scene  # noqa: E402
from iseg3d_ros.predictor import Predictor  # noqa: E402

MOST_POINTS, MOST_CALLS, FIRST = 1_500_000, 60, 1.0
MEDIAN, NINETY_FIVE = 50.0, 100.0
CLICKS = 30
# Notes when points are first drawn, the most of a frame, and every frame of data that comes.
NOTE = """
const noted = window.noted = { first: 0, drawn: 0, calls: 0, came: [], took: [] };
const wait = setInterval(() => {
  const page = window.iseg3d;
  if (!page?.view?.gl || !page.socket) return;
  clearInterval(wait);
  const draw = page.view.draw.bind(page.view), take = page.take.bind(page), over = page.overlay.draw.bind(page.overlay);
  let from = 0, before = 0;
  addEventListener("pointerup", (event) => { from = event.timeStamp; before = page.clicks.pending.length; }, true);
  page.view.draw = (cloud, camera, look, balls) => {
    draw(cloud, camera, look, balls);
    if (cloud?.drawn && cloud.points > 1 && !noted.first) noted.first = performance.now();
    noted.drawn = Math.max(noted.drawn, cloud?.drawn ?? 0);
    noted.calls = Math.max(noted.calls, page.view.calls);
  };
  page.overlay.draw = () => {
    over();
    if (!from || page.clicks.pending.length <= before) return;
    noted.took.push(performance.now() - from);
    from = 0;
  };
  page.take = (header, arrays) => {
    const bytes = Object.values(arrays).reduce((sum, each) => sum + each.byteLength, 0);
    noted.came.push([header.kind, bytes]);
    take(header, arrays);
  };
}, 1);
"""


class Large(Remembering):
    """A work whose every click makes an object of what is around it."""

    def __init__(self, xyz: np.ndarray, rgb: np.ndarray) -> None:
        super().__init__(np.zeros((1, 3), np.float32))
        self.xyz, self._labels = xyz, np.zeros(len(xyz), np.int32)
        self._zeros = np.zeros(len(xyz), np.float32)
        self._cloud = CloudUpdate(2, xyz, rgb)

    def begin(self) -> None:
        """The cloud is there."""
        self._board.publish(self._cloud, LabelsUpdate(2, self._labels, self._zeros, self._zeros))

    def send(self, command: Command) -> None:
        """A click is answered by another thread, as a real work does."""
        super().send(command)
        if hasattr(command, "click"):
            threading.Thread(target=self._answer, args=(command.click.point,)).start()

    def _answer(self, place: tuple[float, float, float]) -> None:
        near = np.abs(self.xyz - np.array(place, np.float32)).max(axis=1) < 0.25
        self._labels = np.where(near, 1, self._labels).astype(np.int32)
        thing = ObjectState("thing", "thing", 1, (230, 75, 53), int(near.sum()), 1.0, clicks=(place,))
        self._board.publish(StateUpdate((thing,), "thing", model="none"),
                            LabelsUpdate(2, self._labels, self._zeros, self._zeros))  # fmt: skip


def hall(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A hall of 60 m: floor, walls, and a hundred boxes, evenly scanned."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-30, 30, (count // 2, 2)), rng.normal(0, 0.003, count // 2)]
    side = rng.uniform(-30, 30, count // 4)
    walls = np.c_[side, np.where(rng.random(len(side)) < 0.5, -30, 30), rng.uniform(0, 6, len(side))]
    walls[::2] = walls[::2][:, [1, 0, 2]]
    rest = count - len(floor) - len(walls)
    centres = np.c_[rng.uniform(-25, 25, (100, 2)), np.full(100, 0.5)]
    boxes = centres[rng.integers(0, 100, rest)] + rng.uniform(-0.5, 0.5, (rest, 3))
    xyz = np.concatenate([floor, walls, boxes]).astype(np.float32)
    return xyz, rng.integers(40, 220, (count, 3)).astype(np.uint8)


def noted(page: Page, name: str) -> Any:
    return page.page.evaluate(f"window.noted.{name}")


def points(count: int) -> Iterator[tuple[str, float, float | None]]:
    """Rows: what, the figure, and its bound."""
    xyz, rgb = hall(count)
    work = Large(xyz, rgb)
    server = serve("127.0.0.1", 18800, token="speed")
    console = Console(work, server)
    with chromium() as browser:
        page = Page(browser, server.address, init=NOTE)
        page.until("page.alive && window.noted !== undefined && page.cloud")
        page.page.wait_for_timeout(1500)
        start = page.page.evaluate("performance.now()")
        work.begin()
        page.until("window.noted.first > 0")
        yield "first points after the cloud is there, s", (noted(page, "first") - start) / 1e3, FIRST
        page.until("page.cloud && !page.cloud.first && !page.incoming")
        yield "all of it in order, s", (page.page.evaluate("performance.now()") - start) / 1e3, None
        fly(page)
        yield "points of a frame, at most", noted(page, "drawn"), MOST_POINTS
        yield "draw calls of a frame, at most", noted(page, "calls"), MOST_CALLS
        before = len(noted(page, "came"))
        page.click((0.0, 0.0, 0.0))
        page.until("page.state.objects.length === 1 && page.clicks.pending.length === 0")
        page.page.wait_for_timeout(2000)
        came = noted(page, "came")[before:]
        yield "kB that a click brings (labels)", sum(size for kind, size in came if kind == "labels") / 1e3, None
        yield "kB that a click brings (points)", sum(size for kind, size in came if kind == "points") / 1e3, 0
        page.context.close()
        later = Page(browser, server.address, init=NOTE)
        later.until("window.noted.first > 0")
        yield "first points after the address of a running server, s", noted(later, "first") / 1e3, FIRST
        later.context.close()
    console.close()


def fly(page: Page) -> None:
    """Over the whole cloud and down to the ground, until nothing is on its way any longer."""
    for far in (60, 20, 8, 3, 8, 40):
        page.tells(f"(Object.assign(page.camera, {{ target: [0, 0, 0.2], distance: {far} }}), page.redraw(), 1)")
        page.page.wait_for_timeout(1500)
    came = -1
    while came != (came := len(noted(page, "came"))):
        page.page.wait_for_timeout(3000)


def ball() -> Iterator[tuple[str, float, float | None]]:
    """Rows as those of `points`."""
    scene = open_scene("room")
    server = serve("127.0.0.1", 18810, token="speed")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        work = LocalWork(scene.cloud, lambda name, size: Predictor.load(name or None, "cpu"), "", Path(folder))
        console = Console(work, server)
        page = Page(browser, server.address, init=NOTE)
        page.ready()
        page.tells("(page.clicks.choose('fresh'), 1)")
        rng = np.random.default_rng(0)
        for _ in range(3 * CLICKS):
            x, y = rng.uniform(0.25, 0.75, 2) * [page.tells("page.camera.width"), page.tells("page.camera.height")]
            if page.tells(f"page.pick({x}, {y})") is None:
                continue
            page.key("e")
            page.page.mouse.click(float(x), float(y))
            page.page.wait_for_timeout(450)
            if len(noted(page, "took")) >= CLICKS:
                break
        took = np.array(noted(page, "took"))
        waiting = page.tells("page.clicks.pending.length")
        page.context.close()
        console.close()
        work.close()
    yield "from the button to the ball, median ms", float(np.median(took)), MEDIAN
    yield "… of a hundred the fifth slowest, ms", float(np.percentile(took, 95)), NINETY_FIVE
    yield "clicks that still wait for the busy server at the end", waiting, None


class SlowLink:
    """A relay on this machine that lets so many bytes a second through, each after a delay, in both directions."""

    def __init__(self, port: int, to: int, bytes_a_second: float = 5e6 / 8, delay: float = 0.1) -> None:
        self._port, self._to, self._rate, self._delay = port, to, bytes_a_second, delay
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True).start()

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._relay, "127.0.0.1", self._port):
            await asyncio.Event().wait()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer), return_exceptions=True)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def read() -> None:
            free = 0.0  # when the link has sent what came before
            while data := await source.read(4096):
                free = max(free, self._loop.time()) + len(data) / self._rate
                await waiting.put((free + self._delay, data))
            await waiting.put((0.0, b""))

        reading = asyncio.create_task(read())
        while (item := await waiting.get())[1]:
            await asyncio.sleep(max(0.0, item[0] - self._loop.time()))
            target.write(item[1])
            await target.drain()
        target.close()
        await reading


def link() -> Iterator[tuple[str, float, float | None]]:
    """Rows as those of `points`."""
    scene = open_scene("room")
    server = serve("127.0.0.1", 18820, token="speed")
    SlowLink(18830, server.port)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        work = LocalWork(scene.cloud, lambda name, size: Predictor.load("random_walker", "cpu"), "", Path(folder))
        console = Console(work, server)
        page = Page(browser, server.address.replace(str(server.port), "18830"), init=NOTE)
        page.until("window.noted?.first > 0")
        yield "slow link: first points after the address, s", noted(page, "first") / 1e3, None
        page.ready()
        page.until("page.cloud.held === page.cloud.total")
        yield "slow link: all points, s", page.page.evaluate("performance.now()") / 1e3, None
        times = []
        for n in range(5):
            x, y = (0.35 + 0.06 * n) * page.tells("page.camera.width"), 0.5 * page.tells("page.camera.height")
            page.key("e")
            page.page.mouse.click(float(x), float(y))
            page.until("page.clicks.pending.length === 0 && !page.busy")
            page.page.wait_for_timeout(500)
            times.append(page.tells("page.clicks.latency"))
        yield "slow link: from the button to the ball, median ms", float(np.median(noted(page, "took"))), MEDIAN
        yield "slow link: from the click to its mask, median ms", float(np.median(times)), None
        labels = [size for kind, size in noted(page, "came") if kind == "labels"]
        yield "slow link: kB of labels a click", sum(labels) / 1e3 / max(len(labels), 1), None
        page.context.close()
        console.close()
        work.close()


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("points", "ball", "link"))
    parser.add_argument("--count", type=int, default=10_000_000)
    arguments = parser.parse_args()
    held, start = True, time.monotonic()
    for name, measure in (("points", lambda: points(arguments.count)), ("ball", ball), ("link", link)):
        for what, figure, bound in measure() if arguments.what in (None, name) else ():
            good = bound is None or figure <= bound
            held &= good
            limit = "" if bound is None else f"≤ {bound:,}"
            print(f"{what:<55} {figure:>14,.2f}  {limit:<14} {'' if good else 'NOT HELD'}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {time.monotonic() - start:.0f} s")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
