#!/usr/bin/env python3
"""kill -9 of the real segmenter, or of the real console's server, at random moments: nothing acknowledged may be lost.

    tools/kill_work.py node [--times 100] [--seed 0]
    tools/kill_work.py console [--times 100] [--seed 0]

Each time the process works (clicks in bursts, objects, names, undo, redo, saving), is killed while it clicks, writes a
state, exports, or ends by SIGINT, and starts again. Then objects, names, clicks, active object and history must be
those after the last acknowledged action, or after one that was under way.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

import numpy as np

from iseg3d_ros.interaction.session import InteractiveSession

MODES = ("clicking", "compacting", "exporting", "ending")
Op = dict[str, Any]
Summary = tuple[Any, ...]


class Driver(Protocol):
    """A process at work, seen from outside."""

    folder: Path  # where its journal is

    def start(self) -> Summary:
        """Starts it; the state that it comes up with."""

    def send(self, op: Op) -> None:
        """Asks for something."""

    def acknowledged(self) -> int:
        """How many of what was asked for since the start is acknowledged by now."""

    def end(self, number: int) -> None:
        """Sends it a signal."""

    def wait(self) -> int:
        """Returns when it has ended; how many of all that was asked for were acknowledged."""


@dataclass
class Figures:
    """What came of a trial."""

    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODES, 0))
    acknowledged: int = 0
    under_way: int = 0
    lost: int = 0
    refused: int = 0


class Mirror:
    """What the work must be: a session without a model that does the same; the states since the last start."""

    def __init__(self) -> None:
        self.session = InteractiveSession(None)  # type: ignore[arg-type]
        self.states = [self._copy()]

    def apply(self, op: Op) -> None:
        """One action; one that the session refuses changes nothing, here and there."""
        with contextlib.suppress(ValueError):
            _apply(self.session, op)
        self.states.append(self._copy())

    def settle(self, number: int) -> None:
        """The state from which to go on."""
        self.session = self.states[number]
        self.states = [self._copy()]

    def _copy(self) -> InteractiveSession:
        copy = InteractiveSession(None)  # type: ignore[arg-type]
        copy.take_up(self.session)
        return copy


def _apply(session: InteractiveSession, op: Op) -> None:
    match op["do"]:
        case "click":
            with session.step():
                session.click(op["point"], session.add(id=op["id"]) if op["new"] else op["id"])
        case "rename":
            with session.step():
                session.rename(op["id"], op["name"])
                if op.get("selects"):
                    session.select(op["id"])
        case "select" | "remove":
            getattr(session, op["do"])(op["id"])
        case "undo" | "redo":
            getattr(session, op["do"])()


def summary(session: InteractiveSession) -> Summary:
    """What can be seen of a session from outside."""

    def of(id: str) -> tuple[Any, ...]:
        return tuple(tuple(float(v) for v in click.point) for click in session.clicks if click.id == id)

    objects = tuple((item.id, item.name, of(item.id)) for item in session.objects)
    return objects, of(""), session.active, session.can_undo, session.can_redo


class Operator:
    """Wishes at random, sensible ones mostly."""

    def __init__(self, rng: random.Random, xyz: np.ndarray, selects: bool) -> None:
        self._rng, self._xyz, self._selects, self._made = rng, xyz, selects, 0

    def wishes(self, session: InteractiveSession) -> list[Op]:
        """A burst of clicks, or one of anything else."""
        rng, ids = self._rng, session.ids
        if not ids or rng.random() < 0.5:
            return [self._click(ids) for _ in range(rng.randrange(1, 6))]
        id = rng.choice(ids)
        match rng.choice(["rename", "select", "undo", "undo", "redo", "remove", "save"]):
            case "rename":
                self._made += 1
                return [{"do": "rename", "id": id, "name": f"größe {self._made}", "selects": self._selects}]
            case "remove" if len(ids) < 4:
                return [{"do": "undo"}]
            case "save":
                return [{"do": "save", "name": f"export_{rng.randrange(3)}", "format": rng.choice(["ply", "session"])}]
            case verb:
                return [{"do": verb, "id": id}]

    def _click(self, ids: list[str]) -> Op:
        point = tuple(float(value) for value in self._xyz[self._rng.randrange(len(self._xyz))])
        if not ids or self._rng.random() < 0.1:
            self._made += 1
            return {"do": "click", "point": point, "id": f"thing {time.monotonic_ns()}", "new": True}
        return {"do": "click", "point": point, "id": self._rng.choice([*ids, ""]), "new": False}


def trial(driver: Driver, xyz: np.ndarray, times: int, seed: int, selects: bool) -> Figures:
    """Starts it, has it work, kills it, looks at what is there again; so many times."""
    rng, figures, mirror = random.Random(seed), Figures(), Mirror()
    operator, acknowledged = Operator(rng, xyz, selects), 0
    for number in range(times + 1):
        try:
            found = driver.start()
        except Exception as error:
            figures.refused += 1
            print(f"start {number} was refused: {error}", file=sys.stderr)
            break
        judge(mirror, found, acknowledged, figures)
        if number == times:
            driver.end(signal.SIGINT)
        else:
            mode = MODES[number % len(MODES)]
            work(driver, operator, mirror, rng, mode)
            figures.kills[mode] += 1
        acknowledged = driver.wait()
        figures.acknowledged += acknowledged
    return figures


def judge(mirror: Mirror, found: Summary, acknowledged: int, figures: Figures) -> None:
    """Whether what is there is a state from the last acknowledged one on; the trial goes on from it."""
    fits = [k for k, state in enumerate(mirror.states) if summary(state) == found]
    good = [k for k in fits if k >= acknowledged]
    figures.under_way += len(mirror.states) - 1 - acknowledged
    if not good:
        wanted = summary(mirror.states[acknowledged])
        figures.lost += acknowledged - max(fits, default=0)
        print(f"lost: of {acknowledged} acknowledged actions the state is that of {fits}\n"
              f"  wanted {wanted}\n  found  {found}", file=sys.stderr)  # fmt: skip
    mirror.settle(good[0] if good else acknowledged)


def work(driver: Driver, operator: Operator, mirror: Mirror, rng: random.Random, mode: str) -> None:
    """Wishes until the moment of the kill, all but those of the last burst acknowledged."""
    for _ in range(rng.randrange(1, 8)):
        burst(driver, operator, mirror)
        end = time.monotonic() + 60
        while driver.acknowledged() < len(mirror.states) - 1:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(mirror.states) - 1} asked for, {driver.acknowledged()} acknowledged")
    if mode == "exporting":
        ask(driver, mirror, {"do": "save", "name": "last", "format": rng.choice(["ply", "session", "npz"])})
    elif mode == "ending":
        driver.end(signal.SIGINT)
    else:
        burst(driver, operator, mirror)
    if mode == "compacting":
        until_it_writes_a_state(driver)
    else:
        pause = time.monotonic() + rng.uniform(0, 0.3 if mode == "ending" else 0.05)
        while time.monotonic() < pause:
            driver.acknowledged()
    driver.end(signal.SIGKILL)


def burst(driver: Driver, operator: Operator, mirror: Mirror) -> None:
    """Wishes that are asked for at once."""
    for op in operator.wishes(mirror.session):
        ask(driver, mirror, op)


def ask(driver: Driver, mirror: Mirror, op: Op) -> None:
    """Here and there."""
    mirror.apply(op)
    driver.send(op)


def until_it_writes_a_state(driver: Driver) -> None:
    """Until a new file is being written in the journal's folder, for three seconds at most."""
    end = time.monotonic() + 3
    while time.monotonic() < end and not any((driver.folder / "journal").glob("*.part")):
        driver.acknowledged()


# The two


@contextlib.contextmanager
def node(folder: Path) -> Iterator[tuple[Driver, np.ndarray]]:
    """The segmenter."""
    from kill_drivers import NodeDriver
    from ros_operator import scene

    driver = NodeDriver(folder)
    try:
        yield driver, scene()[0]
    finally:
        driver.end(signal.SIGKILL)


@contextlib.contextmanager
def console(folder: Path) -> Iterator[tuple[Driver, np.ndarray]]:
    """The console's server on a file."""
    from kill_drivers import ConsoleDriver
    from tables import table

    driver = ConsoleDriver(folder)
    try:
        yield driver, table()[0]
    finally:
        driver.end(signal.SIGKILL)


KINDS: dict[str, Callable[[Path], Any]] = {"node": node, "console": console}


def main() -> int:
    """One line of figures; 1 where anything was lost or a start refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*KINDS])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, KINDS[arguments.what](Path(folder)) as (driver, xyz):
        figures = trial(driver, xyz, arguments.times, arguments.seed, arguments.what == "node")
    moments = ", ".join(f"{count} while {mode}" for mode, count in figures.kills.items())
    kills = sum(figures.kills.values())
    print(f"{arguments.what}: {kills} kill -9 ({moments}): {figures.acknowledged} actions acknowledged,")
    print(f"  {figures.lost} lost, {figures.under_way} more asked for, {figures.refused} starts refused")
    return 1 if figures.lost or figures.refused else 0


if __name__ == "__main__":
    sys.exit(main())
