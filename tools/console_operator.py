"""A scripted operator at the real console: `python tools/console_operator.py [SCENE] [--gif FILE]`.

He labels five objects of a labelled scene in a headless browser, as a person would: he turns the camera until he sees
the place, points at it, and clicks. The first click on each is new, every other one answers
the largest error. It prints the clicks and the overlap of each object; with `--gif` it leaves a film of it.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "test")]
from console_page import Page, chromium  # noqa: E402

from iseg3d_ros.console.local_backend import LocalWork  # noqa: E402
from iseg3d_ros.console.page import Console  # noqa: E402
from iseg3d_ros.console.server import serve  # noqa: E402
from iseg3d_ros.console.thinning import thin  # noqa: E402
from iseg3d_ros.console.updates import LabelsUpdate, StateUpdate  # noqa: E402
from iseg3d_ros.demo.scenes import DemoScene, open_scene  # noqa: E402
from iseg3d_ros.demo.script import SURFACES  # noqa: E402
from iseg3d_ros.evaluation.user import error_regions, largest  # noqa: E402
from iseg3d_ros.predictor import Predictor  # noqa: E402

OBJECTS, ENOUGH = 5, 0.85
WALL = 0.08  # of a scene's points
SAMPLE = 20_000  # points at which he looks for errors
PATIENCE = 90.0
WIDTH = 680  # of the film, in pixels
VIEWS = [(yaw, pitch) for pitch in (0.5, 0.9, 1.3) for yaw in np.arange(0.8, 0.8 + 2 * np.pi, np.pi / 4)]


@dataclass(frozen=True)
class Row:
    """What came of one object."""

    name: str
    clicks: int
    overlap: float


@dataclass
class Film:
    """Pictures of the page, as many as a small GIF has room for."""

    page: Page
    wanted: bool
    pictures: list[Any] = field(default_factory=list)

    def take(self, count: int = 1) -> None:
        """The page as it is."""
        from PIL import Image

        for _ in range(count if self.wanted else 0):
            picture = Image.open(io.BytesIO(self.page.page.screenshot())).convert("RGB")
            self.pictures.append(picture.resize((WIDTH, WIDTH * picture.height // picture.width)))

    def write(self, path: Path) -> None:
        """The GIF: one palette for all pictures, so that what stands still packs to nothing."""
        from PIL import Image

        palette = self.pictures[-1].quantize(192, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=650, loop=0, optimize=True)


class Operator:
    """Knows the truth, and works through the page only."""

    def __init__(self, page: Page, work: LocalWork, scene: DemoScene, film: Film) -> None:
        assert scene.cloud.labels is not None
        self._page, self._scene, self._film = page, scene, film
        self._inbox, self._truth = work.subscribe(), scene.cloud.labels
        self._labels, self._state = np.zeros(len(self._truth), np.int32), StateUpdate()
        self._some = thin(np.ascontiguousarray(scene.cloud.xyz, np.float32), SAMPLE)
        self.clicks = self.wrong = 0

    def label(self, number: int, most: int) -> float:
        """Click on an object until it is right enough, or so often; the overlap that was reached."""
        place = self._innermost(self._truth[self._some] == number)
        self._click(place)
        mine = self._state.objects[-1].index
        for _ in range(most - 1):
            if self._overlap(number, mine) >= ENOUGH:
                break
            truth = np.where(self._truth[self._some] == number, 1, 0)
            said = np.where(self._labels[self._some] == mine, 1, 0)
            region = largest(error_regions(self._scene.cloud.xyz[self._some], truth, said))
            if region is None:
                break
            self._click(self._scene.cloud.xyz[self._some[region.voxel]], add=bool(region.truth))
        return self._overlap(number, mine)

    def _overlap(self, number: int, mine: int) -> float:
        truth, said = self._truth == number, self._labels == mine
        return float((truth & said).sum() / max((truth | said).sum(), 1))

    def _innermost(self, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        nothing = np.zeros(len(inside), int)
        region = largest(error_regions(self._scene.cloud.xyz[self._some], inside.astype(int), nothing))
        assert region is not None
        return self._scene.cloud.xyz[self._some[region.voxel]]  # type: ignore[no-any-return]

    def _click(self, place: NDArray[np.float64], add: bool | None = None) -> None:
        """`add`: to the active object; False: this is background; None: a new object."""
        x, y = self._see(place)
        before, page = self._count(), self._page
        if add:
            page.page.keyboard.down("Shift")
        elif add is None:
            page.key("e")
        page.page.mouse.move(x, y)
        page.page.wait_for_timeout(250)
        self._film.take()
        page.page.mouse.click(x, y, button="right" if add is False else "left")
        if add:
            page.page.keyboard.up("Shift")
        page.page.wait_for_timeout(60)
        self._film.take()
        self.clicks += 1
        self._hear(lambda: self._count() > before)
        page.until("page.clicks.pending.length === 0 && !page.busy")
        page.page.wait_for_timeout(300)
        self._film.take()

    def _see(self, place: NDArray[np.float64]) -> tuple[float, float]:
        """Turn until the place is in sight; where it is, in pixels."""
        page, where = self._page, [float(value) for value in place]
        for view in [None, *VIEWS]:
            if view is not None:
                page.tells(f"(page.camera.pivot({where}), page.camera.distance = 2.2, page.camera.yaw = {view[0]}, "
                           f"page.camera.pitch = {view[1]}, page.touched = true, page.redraw(), 1)")  # fmt: skip
                page.page.wait_for_timeout(250)
            x, y = page.pixel((where[0], where[1], where[2]))
            hit = page.tells(f"page.pick({x}, {y})?.place ?? null")
            inside = 70 < x < page.tells("page.camera.width") - 20 and 70 < y < page.tells("page.camera.height") - 60
            if inside and hit is not None and np.linalg.norm(np.array(hit) - place) < 0.03:
                return x, y
        self.wrong += 1
        return x, y

    def _count(self) -> int:
        return len(self._state.background) + sum(len(item.clicks) for item in self._state.objects)

    def _hear(self, condition: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError("The console did not answer.")
            for update in self._inbox.take(0.2)[0]:
                if isinstance(update, StateUpdate):
                    self._state = update
                elif isinstance(update, LabelsUpdate):
                    self._labels = update.labels


def targets(scene: DemoScene) -> list[int]:
    """The largest movable things; without names, what is not so large that it will be a wall or the floor."""
    assert scene.cloud.labels is not None
    count = np.bincount(scene.cloud.labels)
    largest_first = [int(label) for label in np.argsort(-count) if label]
    if not scene.names:
        return [label for label in largest_first if count[label] < WALL * count.sum()][:OBJECTS]
    return [label for label in largest_first if scene.names[label - 1] not in SURFACES][:OBJECTS]


def load(model: str, voxel_size: float) -> Predictor:
    """As the command line does."""
    return Predictor.load(model or None, "cpu", voxel_size or None)


def play(scene: DemoScene, model: str = "", most: int = 4, gif: Path | None = None) -> tuple[list[Row], int]:
    """Label five objects; a row for each, and how many clicks were made without a sight of the place."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = serve("127.0.0.1", 18700)
        work = LocalWork(scene.cloud, load, model, Path(folder))
        console = Console(work, server)
        page = Page(browser, server.address, size=(1180, 720))
        page.ready()
        page.tells("(page.set({boxes: false}), 1)")
        film = Film(page, gif is not None)
        film.take(2)
        operator, rows = Operator(page, work, scene, film), []
        for number in targets(scene):
            before = operator.clicks
            overlap = operator.label(number, most)
            name = scene.names[number - 1] if scene.names else f"thing {number}"
            rows.append(Row(name, operator.clicks - before, overlap))
        page.tells("(page.touched = false, page.frame(), 1)")
        page.page.wait_for_timeout(600)
        film.take(4)
        page.picture("operator")
        if gif is not None:
            film.write(gif)
        page.context.close()
        console.close()
        work.close()
    return rows, operator.wrong


def main() -> int:
    """Play, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?", default="room")
    parser.add_argument("--gif", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--most", type=int, default=4, help="clicks on an object (default: %(default)s)")
    arguments = parser.parse_args()
    start = time.monotonic()
    rows, wrong = play(open_scene(arguments.scene), arguments.model, arguments.most, arguments.gif)
    for row in rows:
        print(f"{row.name:<16} {row.clicks} clicks  IoU {row.overlap:.3f}")
    clicks = sum(row.clicks for row in rows)
    print(f"{clicks} clicks, {wrong} of them out of sight; {time.monotonic() - start:.0f} s with loading")
    if arguments.gif:
        print(f"wrote {arguments.gif}: {arguments.gif.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
