"""How a live cloud and a click go through the segmenter, measured: python tools/ways.py [--write].

The real node runs in this process, and the profiler notes every call of one module by another. A *room* is a module of
`ros/` or `interaction/`, or the library behind `predictor`; it is entered by a call that hands it the cloud or the
click, in whatever form. Not counted are questions that hand over neither (a parameter, a transform, the cloud that was
shown at a time), tools (`io/`, `geometry/`: arrays in, arrays out), and methods of what is carried from room to room,
such as the cloud itself. A *representation* is a class that goes from one room to another and holds the cloud's points.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- measured: walks -->\n", "<!-- end of walks -->"
PACKAGE = "iseg3d_ros."
INFERENCE = "inference"
INNER = ("ros.", "interaction.", "predictor")
POINTS = 3_000
APART = ("ros.testbed", "ros.node_support")  # what measures, and what only renames stamps and qualities of service
DEPTH = 3  # how far into an object's attributes points are looked for
MODEL = "random_walker"


@dataclass
class Walk:
    """What one walk has come by; it ends at the call `goal` (module, function) that is handed what `brings` names."""

    goal: tuple[str, str]
    brings: str = ""  # a class; a slow machine also publishes sentences on the way
    luggage: frozenset[str] = frozenset({"CurrentCloud", "View"})  # data: its methods are no rooms
    click: bool = False
    rooms: list[str] = field(default_factory=list)
    carried: dict[int, Any] = field(default_factory=dict)  # what was made on the way
    handed: dict[str, str] = field(default_factory=dict)  # class: the room that it was first seen to leave
    done: threading.Event = field(default_factory=threading.Event)

    def on_event(self, frame: FrameType, event: str, value: Any) -> None:
        """The profiler's callback, on every thread."""
        if self.done.is_set() or event not in ("call", "return"):
            return
        module = str(frame.f_globals.get("__name__", ""))
        if event == "call" and (module, frame.f_code.co_name) == self.goal and self.rooms:
            brought = {type(value).__name__ for value in frame.f_locals.values()}
            if threading.current_thread().name == INFERENCE and (not self.brings or self.brings in brought):
                self.done.set()  # other threads publish diagnostics and what became of clicks
        elif module.startswith(PACKAGE):
            self._inside(frame, event, module.removeprefix(PACKAGE), value)

    def _inside(self, frame: FrameType, event: str, module: str, value: Any) -> None:
        given = arguments(frame)
        own = given.pop("self", None)
        if event == "call" and frame.f_code.co_name == "__init__" and own is not None:
            self.carried[id(own)] = own
            return
        caller = room_of(frame.f_back)
        data = own is not None and (id(own) in self.carried or type(own).__name__ in self.luggage)
        if not module.startswith(INNER) or module in APART or caller == module or data:
            return
        if event == "return":
            if caller:
                self._note(module, [value])
        elif not is_property(own, frame.f_code.co_name):
            if any(self._is_carried(part) for each in given.values() for part in parts_of(each)):
                self.rooms.append(module)
            self._note(caller, given.values())

    def _note(self, room: str, values: Any) -> None:
        for value in (part for each in values for part in parts_of(each)):
            kind = type(value).__name__
            if (id(value) in self.carried or kind == "PointCloud2") and holds_points(value, DEPTH):
                self.handed.setdefault(kind, room)

    def _is_carried(self, value: Any) -> bool:
        kind = type(value).__name__
        if self.click:
            place = isinstance(value, tuple) and len(value) == 3 and all(isinstance(part, float) for part in value)
            return place or id(value) in self.carried or kind in ("Click", "PointStamped")
        return kind == "PointCloud2" or is_rows(value) or (id(value) in self.carried and holds_points(value, DEPTH))

    @property
    def stays(self) -> list[str]:
        """The rooms in the order in which they were entered; going on in the same one is no further stay."""
        return [room for room, _ in groupby(self.rooms)]

    @property
    def twice(self) -> list[str]:
        """Rooms that were left and entered again."""
        return sorted({room for room in self.stays if self.stays.count(room) > 1})


def arguments(frame: FrameType) -> dict[str, Any]:
    """What a function was called with (closures included)."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)]
    return {name: frame.f_locals[name] for name in (*names, *code.co_freevars) if name in frame.f_locals}


def parts_of(value: Any) -> Iterator[Any]:
    """A value, or what a list or a partial call holds."""
    yield value
    if isinstance(value, partial):
        value = [*value.args, *value.keywords.values()]
    if isinstance(value, list | tuple) and len(value) < 100:
        yield from value


def room_of(frame: FrameType | None) -> str:
    """The module of the package that is next up the stack."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(PACKAGE) and (inner := module.removeprefix(PACKAGE)) not in APART:
            return inner
        frame = frame.f_back
    return ""


def is_property(own: Any, name: str) -> bool:
    """Whether a method only reads."""
    return own is not None and isinstance(getattr(type(own), name, None), property)


def is_rows(value: Any) -> bool:
    """Whether an array has a row for every point."""
    return isinstance(value, np.ndarray) and value.ndim > 0 and len(value) == POINTS


def is_points(value: Any) -> bool:
    """Whether an array holds the points' coordinates."""
    return is_rows(value) and (value.shape[1:] == (3,) or "x" in (value.dtype.names or ()))


def holds_points(value: Any, depth: int) -> bool:
    """Whether an object holds the points' coordinates."""
    if type(value).__name__ == "PointCloud2" or is_points(value):
        return True
    inner = vars(value).values() if hasattr(value, "__dict__") else ()
    mine = type(value).__module__.startswith(PACKAGE)
    return depth > 0 and mine and any(holds_points(each, depth - 1) for each in inner)


def measure() -> tuple[Walk, Walk]:
    """A live cloud with an object in it, up to its labels' publication; and a click on it, up to inference."""
    current: list[Walk] = []
    threading.setprofile(lambda frame, event, value: current[-1].on_event(frame, event, value) if current else None)
    from iseg3d_ros.ros.testbed import segmenter, surface

    clouds = [surface(POINTS, number, extent=1.5, boxes=1) for number in range(3)]
    with tempfile.TemporaryDirectory() as folder, segmenter(MODEL, folder, "live", voxel_size=0.1) as bench:
        bench.arrive(*clouds[0])
        bench.click(clouds[0][0][POINTS - 1])
        click = Walk(("iseg3d_ros.predictor", "segment"), click=True)
        current.append(click)
        bench.click(clouds[0][0][POINTS - 2], encoded=True)
        cloud = Walk(("rclpy.publisher", "publish"), "PointCloud2")
        current.append(cloud)
        bench.take(bench.message(*clouds[1]), 60)
        current.clear()
    threading.setprofile(None)  # type: ignore[arg-type]
    if not click.done.is_set() or not cloud.done.is_set():
        raise RuntimeError("a walk did not come to its end")
    return cloud, click


def table(cloud: Walk, click: Walk) -> str:
    """Both walks as the documentation shows them."""
    rows = ["| | a live cloud, up to published labels | a click, up to inference |", "|---|---|---|"]
    for number in range(max(len(cloud.stays), len(click.stays))):
        cells = [f"`{walk.stays[number]}`" if number < len(walk.stays) else "" for walk in (cloud, click)]
        rows.append(f"| {number + 1} | {cells[0]} | {cells[1]} |")
    kinds = [f"`{kind}`" for kind in cloud.handed]
    return "\n".join([*rows, "", f"The points go from room to room as {', '.join(kinds)} and `PointCloud2` again."])


def page(text: str, made: str) -> str:
    """The documentation with the table in its place."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{made}\n\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Print both walks, or write them into docs/architecture.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/architecture.md")
    wanted = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    cloud, click = measure()
    print(table(cloud, click))
    print(f"entered twice: {', '.join(cloud.twice + click.twice) or 'no room'}")
    if wanted.write:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), table(cloud, click)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
