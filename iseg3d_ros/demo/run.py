"""The demo from start to end: over ROS where it is there, otherwise on the library with the same page."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import Work
from iseg3d_ros.demo.scenes import DemoScene, open_scene
from iseg3d_ros.demo.script import OBJECTS, Result, play
from iseg3d_ros.predictor import TRAINING_FREE

ENOUGH = 0.3  # mean IoU below which something is broken rather than hard


def run(
    scene: str, model: str = "", host: str = "127.0.0.1", port: int = 8080, picture: Path = Path("out/demo.png")
) -> int:
    """Play the script, print the table; the exit code says whether every object was found."""
    given = open_scene(scene)
    signal.signal(signal.SIGTERM, _interrupt)
    say(f"scene {given.path.name}: {len(given.cloud)} points")
    try:
        with system(given, model, host, port) as (work, address):
            say(f"the console is at {address}")
            result = play(work, given, say)
            report(result, given)
            draw(result, given, picture)
            code = verdict(result)
            if sys.stdout.isatty():
                say(f"open {address} and go on clicking; Ctrl-C ends the demo")
                threading.Event().wait()
            return code
    except KeyboardInterrupt:
        say("ended")
        return 0 if sys.stdout.isatty() else 130


@contextlib.contextmanager
def system(scene: DemoScene, model: str, host: str, port: int) -> Iterator[tuple[Work, str]]:
    """Whoever does the work, and the page's address."""
    missing = _missing()
    if not missing:
        from iseg3d_ros.ros.demo_processes import graph

        say("starting player, segmenter and console as processes over DDS")
        with graph(scene.path, model, host, port) as (work, address):
            yield work, address
        return
    say(f"{missing}: the same script runs on the library, with the console in this process")
    with _without_ros(scene, model, host, port) as (work, address):
        yield work, address


@contextlib.contextmanager
def _without_ros(scene: DemoScene, model: str, host: str, port: int) -> Iterator[tuple[Work, str]]:
    from iseg3d_ros.console.local_backend import LocalWork
    from iseg3d_ros.console.page import Console
    from iseg3d_ros.console.server import serve
    from iseg3d_ros.predictor import Predictor

    server = serve(host, port)
    work = LocalWork(
        scene.cloud, lambda name, size: Predictor.load(name or None, voxel_size=size or None), model, Path("out")
    )
    console = Console(work, server)
    try:
        yield work, server.address
    finally:
        console.close()
        work.close()


def report(result: Result, scene: DemoScene) -> None:
    """The model, and a line for each click."""
    model = result.state.model
    say(
        f"model {model}"
        + (", which needs no training: no trained weights are installed" if model == TRAINING_FREE else "")
    )
    print(f"\n{'object':<20} {'clicks':>6} {'points':>8} {'IoU':>6} {'ms':>8}")
    for row in result.rows:
        iou = "–" if row.iou is None else f"{row.iou:.3f}"
        print(f"{row.object:<20} {row.clicks:>6} {row.points:>8} {iou:>6} {row.milliseconds:>8.0f}")
    print(flush=True)


def draw(result: Result, scene: DemoScene, path: Path) -> None:
    """The labelled cloud as a picture."""
    from iseg3d_ros.io.picture import write_picture

    if result.labels is None or len(result.labels) != len(scene.cloud):
        return
    clicks = [Click(point, item.index) for item in result.state.objects for point in item.clicks]
    clicks += [Click(point, 0) for point in result.state.background]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, scene.cloud.xyz, scene.cloud.rgb, result.labels, clicks)
    say(f"wrote {path}")


def verdict(result: Result) -> int:
    """0: every object has points, and where the truth is known they are mostly the right ones."""
    rows = result.last.values()
    overlaps = [row.iou for row in rows if row.iou is not None]
    if len(rows) < OBJECTS or any(row.points == 0 for row in rows):
        say("an object was not found")
        return 1
    if overlaps and sum(overlaps) / len(overlaps) < ENOUGH:
        say(f"the objects overlap with the truth by less than {ENOUGH:.0%} in the mean")
        return 1
    return 0


def say(sentence: str) -> None:
    """A line of progress, at once."""
    print(f"demo: {sentence}", flush=True)


def _missing() -> str:
    if importlib.util.find_spec("rclpy") is None:
        return "rclpy is not installed"
    if importlib.util.find_spec("iseg3d_ros.msg") is None:
        return "the messages of iseg3d_ros are not built"
    return ""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
