"""Power cuts and mutated files: nothing acknowledged is lost, nothing is changed in silence, no start is refused."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from simulated_disk import PowerCut, SimulatedDisk

from iseg3d_ros.io.journal import Journal
from iseg3d_ros.io.journal_files import Files, Recovered
from iseg3d_ros.io.journal_records import as_json

FOLDER = Path("/work")
ROOT = Path(__file__).parents[3]


class Operator:
    """Clicks, captures and compacts over a disk that may die; knows what was acknowledged and what was tried."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk, self.tried = disk, 0
        self.acknowledged: set[int] = set()

    def works(self, rng: random.Random, steps: int) -> None:
        files = Files(FOLDER, self.disk)
        there = self.found(files.recover())
        for _ in range(steps):
            match rng.choice(("click", "click", "clicks", "capture", "compact")):
                case "compact":
                    cloud = files.keep(cloud_of(self.tried)) if rng.random() < 0.5 else None
                    files.compact(as_json({"clicks": there, "cloud": cloud is not None}), cloud)
                    self.acknowledged |= {*there}
                    continue
                case "capture":
                    new = [self.tried + 1]
                case kind:
                    new = [self.tried + 1 + i for i in range(3 if kind == "clicks" else 1)]
            self.tried = new[-1]
            cloud = files.keep(cloud_of(new[0])) if len(new) == 1 and rng.random() < 0.5 else None
            files.append([(as_json({"click": number}), cloud) for number in new])
            there = [*there, *new]
            self.acknowledged |= {*there}

    def found(self, work: Recovered) -> list[int]:
        """The clicks that are there: in order, none invented, all that were acknowledged, with their clouds.

        Of a batch that was not acknowledged any part may be there.
        """
        found = [*(work.state["clicks"] if work.state else []), *(action["click"] for action in work.actions)]
        assert found == sorted(set(found)) and set(found) <= set(range(1, self.tried + 1))
        assert self.acknowledged <= {*found}, "an acknowledged action is lost"
        assert not work.state or not work.state["cloud"] or work.arrays is not None, "the snapshot's cloud is lost"
        files = Files(FOLDER, self.disk)
        for action, cloud in zip(work.actions, work.clouds):
            if cloud:
                np.testing.assert_array_equal(files.load(cloud)["xyz"], cloud_of(action["click"])["xyz"])
        return found


def cloud_of(number: int) -> dict[str, np.ndarray]:
    return {"xyz": np.full((20, 3), number, np.float32)}


def operations(seed: int, steps: int) -> int:
    disk = SimulatedDisk()
    Operator(disk).works(random.Random(seed), steps)
    return disk.count


@pytest.mark.parametrize("seed", range(4))
def test_no_power_cut_loses_what_was_acknowledged(seed: int) -> None:
    """After every single operation, in every way drawn; then again in the middle of the work that follows."""
    for cut in range(operations(seed, 12)):
        for way in range(6):
            disk = SimulatedDisk()
            operator = Operator(disk)
            disk.dies_at = cut
            with pytest.raises(PowerCut):
                operator.works(random.Random(seed), 12)
            rng = random.Random(1000 * cut + way)
            survives(operator, rng if way else None)


def survives(operator: Operator, rng: random.Random | None) -> None:
    """Two more power cuts, then the last look."""
    for _ in range(2):
        operator.disk = operator.disk.after_power_cut(rng)
        operator.disk.dies_at = (rng or random.Random(0)).randrange(1, 30)
        try:
            operator.works(rng or random.Random(0), 6)
        except PowerCut:
            continue
    operator.disk = operator.disk.after_power_cut(rng)
    operator.works(random.Random(0), 0)


def test_a_killed_process_before_a_power_cut_loses_nothing(seed: int = 7) -> None:
    """kill -9 leaves everything in memory, the next process goes on from there, and then the power goes."""
    for cut in range(operations(seed, 12)):
        disk = SimulatedDisk()
        operator = Operator(disk)
        disk.dies_at = cut
        with pytest.raises(PowerCut):
            operator.works(random.Random(seed), 12)
        disk.dies_at = -1
        operator.works(random.Random(cut), 2)
        operator.disk = disk.after_power_cut(None)
        operator.works(random.Random(cut), 0)


def test_the_simulation_finds_a_journal_that_does_not_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedDisk, "sync", lambda self, file: self._step())
    disk = SimulatedDisk()
    operator = Operator(disk)
    operator.works(random.Random(1), 12)
    operator.disk = disk.after_power_cut(None)
    with pytest.raises(AssertionError, match="lost"):
        operator.works(random.Random(1), 0)


def test_the_simulation_finds_a_journal_that_does_not_sync_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedDisk, "sync_folder", lambda self, folder: self._step())
    disk = SimulatedDisk()
    operator = Operator(disk)
    operator.works(random.Random(1), 12)
    operator.disk = disk.after_power_cut(None)
    with pytest.raises(AssertionError, match="lost"):
        operator.works(random.Random(1), 0)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A flipped bit, changed bytes, a lost or repeated piece, a cut end, zeros, or other bytes altogether."""
    if not data:
        return rng.randbytes(20)
    a, b = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    match rng.randrange(7):
        case 0:
            return data[:a] + bytes([data[a] ^ 1 << rng.randrange(8)]) + data[a + 1 :]
        case 1:
            return data[:a] + rng.randbytes(8) + data[a + 8 :]
        case 2:
            return data[:a] + data[b:]
        case 3:
            return data[:b] + data[a:]
        case 4:
            return data[:a]
        case 5:
            return data[:a] + bytes(b - a) + data[b:]
    return rng.randbytes(rng.randrange(3000))


def test_a_thousand_mutated_files_neither_stop_a_start_nor_change_anything_in_silence(tmp_path: Path) -> None:
    good = tmp_path / "good"
    journal, _ = Journal.open(good)
    for number in range(1, 61):
        journal.append({"click": number}, cloud_of(number) if number % 20 == 5 else None)
        if number % 20 == 0:
            journal.snapshot({"count": number}, cloud_of(number))
    journal.append({"click": 61})
    assert journal.close(60.0)
    rng = random.Random(3)
    names = sorted(path.name for path in good.iterdir() if path.name != "lock")
    for trial in range(1000):
        folder = tmp_path / "bad"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        victim = folder / rng.choice(names)
        before = victim.read_bytes()
        victim.write_bytes(mutated(before, rng))
        work = Files(folder).recover()
        start = work.state["count"] if work.state else 0
        found = [action["click"] for action in work.actions]
        assert found == sorted(set(found)) and set(found) <= set(range(start + 1, 62)), trial
        if not work.notes:
            loads = Files(folder)
            assert start + len(found) == 61, f"{victim.name}, trial {trial}: changed in silence"
            assert victim.suffix == ".bin" or all(loads.load(name) for name in work.clouds if name), trial
        assert work.state is not None or work.notes


def test_kill_9_loses_nothing() -> None:
    """The short form of tools/kill_trial.py."""
    command = [sys.executable, str(ROOT / "tools" / "kill_trial.py"), "--times", "30"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "30 kill -9" in result.stdout and " 0 lost, 0 starts refused" in result.stdout
