#!/usr/bin/env python3
"""A day of a segmenter's life in minutes: clouds, clicks, time jumps, lifecycle, parameters; does anything grow?

    tools/soak.py [--minutes 3] [--seed 0] [--out FOLDER]

Memory, threads and open files of the node's process are noted once a round, and written with a plot to `--out` now and
then. The last half must not grow: its slope is compared with its own scatter.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

import numpy as np
from conftest import domain
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_operator import BLUE, RED, Operator, operator, scene, segmenter_process
from std_srvs.srv import Trigger

DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
CYCLE = 2  # rounds between two lifecycle cycles


@dataclass
class Life:
    """What was done, and what the process held after each round."""

    clouds: int = 0
    clicks: int = 0
    cycles: int = 0
    begun: float = field(default_factory=time.monotonic)
    minutes: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def note(self, process: int) -> None:
        """What it holds now."""
        self.minutes.append((time.monotonic() - self.begun) / 60)
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        self.megabytes.append(pages * resource.getpagesize() / 1e6)
        self.threads.append(len(os.listdir(f"/proc/{process}/task")))
        self.files.append(len(os.listdir(f"/proc/{process}/fd")))

    def growth(self) -> tuple[float, float]:
        """Megabytes that the last half grew by, as a line through it says, and three times that line's uncertainty."""
        half = np.array(self.megabytes[len(self.megabytes) // 2 :])
        if len(half) < 4:
            return 0.0, 0.0
        rounds = np.arange(len(half), dtype=float)
        slope, level = np.polyfit(rounds, half, 1)
        scatter = (half - slope * rounds - level).std(ddof=2) / (rounds.std() * np.sqrt(len(half)))
        return float(slope * len(half)), float(3 * scatter * len(half))

    def write(self, folder: Path) -> None:
        """All figures, and a plot of them."""
        from matplotlib.figure import Figure

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "soak.json").write_text(json.dumps(vars(self)))
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        memory, counts = figure.subplots(1, 2)
        memory.plot(self.minutes, self.megabytes, lw=0.8)
        memory.set(xlabel="minutes", ylabel="memory of the node, MB", ylim=(0, None))
        memory.set_title(f"{self.clouds} clouds, {self.clicks} clicks, {self.cycles} cycles", fontsize=9)
        counts.plot(self.minutes, self.threads, lw=0.8, label="threads")
        counts.plot(self.minutes, self.files, lw=0.8, label="open files")
        counts.set(xlabel="minutes", ylim=(0, None))
        counts.legend()
        figure.savefig(folder / "soak.svg")


def live(robot: Operator, life: Life, rng: random.Random) -> None:
    """One round: clouds as fast as they are taken, clicks, every verb, a parameter, now and then the lifecycle."""
    xyz, rgb, _ = scene(rng.randrange(1000))
    chosen = rng.sample(range(len(xyz)), 3000)
    stamp = rng.choice([0, 10**9, 10**18, rng.randrange(10**18)])  # time jumps
    for number in range(64):
        robot.send(robot.cloud_message(xyz[chosen], rgb[chosen], stamp=stamp + number * 10**7 if stamp else 0))
        robot.executor.spin_once(timeout_sec=0.01)
        life.clouds += 1
    for place in (RED, BLUE) * 4:
        robot.click(place, rng.choice(["~/click/positive", "~/click/new_object", "~/click/negative"]), wait=False)
        life.clicks += 1
    for verb in rng.sample(["undo", "redo", "capture", "undo", "clear"], 4):
        robot.call(verb, Trigger, 120)
    change = Parameter("max_snap_distance", value=rng.uniform(0.05, 0.5)).to_parameter_msg()
    robot.call("set_parameters", SetParameters, 120, parameters=[change])


def cycle(robot: Operator, life: Life) -> None:
    """Down and up again."""
    for transition in (*DOWN, *UP):
        assert robot.call("change_state", ChangeState, 180, transition=Transition(id=transition)).success
    life.cycles += 1


def soak(minutes: float, seed: int, out: Path | None = None) -> tuple[Life, str]:
    """A life, and what was not well at its end: a good click, or the end by SIGINT."""
    life, rng = Life(), random.Random(seed)
    with ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory())
        robot = ending.enter_context(operator(ending.enter_context(domain())))
        parameters = [f"session_directory:={folder}/work", "scene:=live", "tf_timeout:=0.1"]
        process = segmenter_process(Path(folder), *parameters)
        ending.callback(process.end)
        robot.arrive(*scene()[:2])
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            live(robot, life, rng)
            if len(life.megabytes) % CYCLE == CYCLE - 1:
                cycle(robot, life)
            life.note(process.process.pid)
            if out is not None and len(life.minutes) % 50 == 0:
                life.write(out)
            for heard in robot.heard.values():
                heard.clear()
        robot.call("clear", Trigger, 120)
        robot.arrive(*scene()[:2])
        robot.forget()
        well = robot.click(RED)
        ended = process.end()
        last = process.output[-1000:]
    if well is None or not well.accepted:
        return life, f"a good click was refused ({well.reason if well else 'no answer'}); the node's last words: {last}"
    return life, "" if ended == 0 else f"it ended with {ended}; its last words: {last}"


def main() -> int:
    """One line of figures; 1 where something grew, or the node was not well at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for soak.json (what it held, round by round) and soak.svg")
    arguments = parser.parse_args()
    life, trouble = soak(arguments.minutes, arguments.seed, arguments.out)
    grown, noise = life.growth()
    half = len(life.threads) // 2
    steady: Any = [max(held[half:]) <= max(held[: half + 1]) + 1 for held in (life.threads, life.files)]
    print(f"{arguments.minutes:g} minutes: {life.clouds} clouds, {life.clicks} clicks, {life.cycles} lifecycle cycles; "
          f"{life.megabytes[0]:.0f} -> {life.megabytes[-1]:.0f} MB, the last half grew by {grown:.1f} MB "
          f"(noise {noise:.1f}); {max(life.threads)} threads, {max(life.files)} open files; "
          f"at the end {trouble or 'well'}")  # fmt: skip
    if arguments.out:
        life.write(arguments.out)
    return 0 if not trouble and all(steady) and grown <= max(noise, 10.0) else 1


if __name__ == "__main__":
    sys.exit(main())
