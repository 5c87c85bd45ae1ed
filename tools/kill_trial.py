#!/usr/bin/env python3
"""kill -9 of a process that writes a journal, at random moments: nothing that it acknowledged may be lost.

    tools/kill_trial.py [--times 200] [--seed 0]

The writer appends actions and clouds, compacts, closes and begins again, and prints a number when it is acknowledged.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iseg3d_ros.io.journal import Journal, Recovered


@dataclass
class Figures:
    """What came of a trial."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    damaged: int = 0
    refused: int = 0
    during: str = ""  # what the writer was doing at each kill: c clicks, s snapshot, e end and start


def clicks(work: Recovered) -> list[int]:
    """The numbers of the actions that are there."""
    return [*(work.state["clicks"] if work.state else []), *(action["click"] for action in work.actions)]


def write(folder: Path, seed: int) -> None:
    """Works until it is killed."""
    rng = random.Random(seed)
    while True:
        print("e", flush=True)
        journal, work = Journal.open(folder)
        there = clicks(work)
        for _ in range(rng.randrange(1, 60)):
            if rng.random() < 0.1:
                print("s", flush=True)
                cloud = {"xyz": np.full((20_000, 3), len(there), np.float32)} if rng.random() < 0.5 else None
                journal.snapshot({"clicks": there}, cloud).result()
                print("c", flush=True)
            new = [max(there, default=0) + 1 + i for i in range(rng.randrange(1, 4))]
            brings = {"xyz": np.full((1000, 3), new[0], np.float32)} if rng.random() < 0.1 else None
            for future in [journal.append({"click": number}, brings) for number in new]:
                future.result()
            there += new
            print(new[-1], flush=True)
        journal.close()


def trial(folder: Path, times: int, seed: int) -> Figures:
    """Starts the writer, kills it, looks; so many times."""
    rng, figures, expected = random.Random(seed), Figures(), 0
    for number in range(times):
        command = [sys.executable, __file__, "--write", str(folder), "--seed", str(seed + number)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]  # it is at work
        time.sleep(rng.uniform(0.0, 0.5))
        writer.kill()
        lines += writer.stdout.read().splitlines()
        writer.wait()
        words = [line.strip() for line in lines]
        figures.kills += 1
        figures.during += next((word for word in reversed(words) if word and not word.isdigit()), "e")
        told = [int(word) for word in words if word.isdigit()]
        figures.acknowledged += max(0, max(told, default=expected) - expected)
        expected = max([expected, *told])
        look(folder, expected, figures)
    return figures


def look(folder: Path, expected: int, figures: Figures) -> None:
    """Opens what the writer left."""
    said: list[str] = []
    try:
        journal, work = Journal.open(folder, said.append)
        there = {*clicks(work)}
        for cloud in filter(None, work.clouds):
            journal.load(cloud)
        journal.close()
    except Exception as error:
        figures.refused += 1
        print(f"refused: {error}", file=sys.stderr)
        return
    figures.lost += len({*range(1, expected + 1)} - there)
    figures.damaged += any("missing" in sentence or "between" in sentence for sentence in said)


def main() -> int:
    """One line of figures; 1 where anything was lost or a start refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        figures = trial(Path(folder) / "work", arguments.times, arguments.seed)
    words = {"c": "while clicking", "s": "while compacting", "e": "while ending or starting"}
    moments = ", ".join(f"{figures.during.count(letter)} {word}" for letter, word in words.items())
    print(f"{figures.kills} kill -9 ({moments}): {figures.acknowledged} actions acknowledged, {figures.lost} lost, "
          f"{figures.refused} starts refused, {figures.damaged} with damage other than a cut tail")  # fmt: skip
    return 1 if figures.lost or figures.refused or figures.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
