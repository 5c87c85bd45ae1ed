from __future__ import annotations

import errno
import shutil
import threading
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iseg3d_ros.io import journal_records
from iseg3d_ros.io.disk import Disk
from iseg3d_ros.io.journal import BACKLOG, Journal, JournalError, Recovered

PATIENCE = 60.0  # of a busy machine; nothing is measured against it


def written(folder: Path, *numbers: int, arrays: dict[str, np.ndarray] | None = None) -> None:
    journal, _ = Journal.open(folder)
    futures = [journal.append({"click": number}, arrays) for number in numbers]
    assert journal.close(PATIENCE)
    assert all(future.exception(0) is None for future in futures)


def held(folder: Path) -> Recovered:
    journal, work = Journal.open(folder)
    journal.close(PATIENCE)
    return work


def clicks(work: Recovered) -> list[int]:
    return [action["click"] for action in work.actions]


def log(folder: Path) -> Path:
    return sorted(folder.glob("journal-*.log"))[-1]


def test_actions_come_back_in_order(tmp_path: Path) -> None:
    written(tmp_path / "work", *range(50))
    work = held(tmp_path / "work")
    assert clicks(work) == list(range(50))
    assert work.state is None and work.notes == []
    written(tmp_path / "work", 50)
    assert clicks(held(tmp_path / "work")) == list(range(51))


def test_an_empty_folder_is_no_trouble(tmp_path: Path) -> None:
    assert held(tmp_path / "a" / "b") == Recovered()


def test_a_snapshot_stands_for_what_was_before_it(tmp_path: Path) -> None:
    cloud = {"xyz": np.arange(12, dtype=np.float32).reshape(4, 3), "frame": np.array("map")}
    journal, _ = Journal.open(tmp_path)
    for number in range(10):
        journal.append({"click": number})
    journal.snapshot({"objects": ["cup"], "clicks": 10}, cloud)
    journal.append({"click": 10})
    assert journal.close(PATIENCE)
    work = held(tmp_path)
    assert work.state == {"objects": ["cup"], "clicks": 10} and clicks(work) == [10]
    assert work.arrays is not None
    np.testing.assert_array_equal(work.arrays["xyz"], cloud["xyz"])
    assert work.arrays["xyz"].dtype == np.float32 and work.arrays["frame"] == "map"


def test_two_generations_and_their_clouds_are_kept_and_no_more(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    for number in range(6):
        journal.append({"click": number}, {"xyz": np.full((5, 3), number, np.float32)})
        journal.snapshot({"clicks": number + 1}, {"xyz": np.full((5, 3), number, np.float32)})
    assert journal.close(PATIENCE)
    assert len(list(tmp_path.glob("journal-*.log"))) == 2
    assert len(list(tmp_path.glob("cloud-*.bin"))) == 2


def test_a_cloud_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    cloud = {"xyz": np.zeros((1000, 3), np.float32)}
    written(tmp_path, 1, arrays=cloud)
    before = [path.stat().st_ino for path in tmp_path.glob("cloud-*.bin")]
    written(tmp_path, 2, 3, arrays=cloud)
    assert [path.stat().st_ino for path in tmp_path.glob("cloud-*.bin")] == before


def test_an_action_brings_its_cloud_back(tmp_path: Path) -> None:
    written(tmp_path, 1, arrays={"xyz": np.ones((4, 3))})
    journal, work = Journal.open(tmp_path)
    assert work.clouds[0] is not None
    np.testing.assert_array_equal(journal.load(work.clouds[0])["xyz"], np.ones((4, 3)))
    with pytest.raises(ValueError, match="no name of a cloud"):
        journal.load("../../etc/passwd")
    with pytest.raises(ValueError, match="cannot be read"):
        journal.load("0" * 32)
    journal.close()


def test_a_damaged_cloud_is_told_and_the_clicks_are_there(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    journal.snapshot({"clicks": 3}, {"xyz": np.ones((4, 3))})
    assert journal.close(PATIENCE)
    path = next(tmp_path.glob("cloud-*.bin"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    work = held(tmp_path)
    assert work.state == {"clicks": 3} and work.arrays is None
    assert any("checksum" in note for note in work.notes)


def test_a_torn_tail_is_cut_and_told(tmp_path: Path) -> None:
    written(tmp_path, 1, 2, 3)
    whole = log(tmp_path).read_bytes()
    log(tmp_path).write_bytes(whole[:-5])
    work = held(tmp_path)
    assert clicks(work) == [1, 2] and "unfinished" in work.notes[0]
    written(tmp_path, 4)
    work = held(tmp_path)
    assert clicks(work) == [1, 2, 4] and work.notes == []


def test_a_flipped_bit_costs_one_record_wherever_it_is(tmp_path: Path) -> None:
    written(tmp_path, *range(10))
    path, whole = log(tmp_path), log(tmp_path).read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        work = held(tmp_path)
        assert len(work.actions) >= 9 and set(clicks(work)) <= set(range(10)), at
        assert work.notes, f"the flipped bit in byte {at} was not told"


def test_a_damaged_snapshot_is_made_good_by_the_generation_before(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    for number in range(3):
        journal.snapshot({"from": number * 10})
        for more in range(10):
            journal.append({"click": number * 10 + more})
    assert journal.close(PATIENCE)
    path = log(tmp_path)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    work = held(tmp_path)
    assert work.state == {"from": 10} and clicks(work) == list(range(10, 30))
    assert work.notes


@pytest.mark.parametrize("content", [b"", b"something else entirely", b"\xffIJ\x07later" + bytes(100)])
def test_a_foreign_file_is_set_aside_and_never_overwritten(tmp_path: Path, content: bytes) -> None:
    written(tmp_path, 1, 2)
    (tmp_path / "journal-00000009.log").write_bytes(content)
    work = held(tmp_path)
    assert clicks(work) == [1, 2] and "set aside" in work.notes[0]
    written(tmp_path, 3)
    assert clicks(held(tmp_path)) == [1, 2, 3]
    assert (tmp_path / "journal-00000009.log.aside-0").read_bytes() == content


def hundredfold(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "action": {"click": 100 * body["action"]["click"]}} if "action" in body else body


def test_an_older_format_is_taken_over_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_records, "FORMAT", 0)
    written(tmp_path, 1, 2)
    before = log(tmp_path).read_bytes()
    monkeypatch.undo()
    monkeypatch.setattr(journal_records, "MIGRATIONS", {0: hundredfold})
    written(tmp_path, 3)
    assert clicks(held(tmp_path)) == [100, 200, 3]
    assert next(tmp_path.glob("*.format-0")).read_bytes() == before


def test_a_second_process_is_refused_with_a_sentence(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    with pytest.raises(JournalError, match="in use"):
        Journal.open(tmp_path)
    journal.close()
    Journal.open(tmp_path)[0].close()


def test_what_json_cannot_say_is_refused_at_once(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    for action in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(ValueError):
            journal.append(action)
    future = journal.append({"click": 1}, {"xyz": np.array([object()])})
    with pytest.raises(ValueError, match="numbers and text"):
        future.result(PATIENCE)
    journal.append({"click": 2}).result(PATIENCE)
    journal.close()
    assert clicks(held(tmp_path)) == [2]


class BadDisk(Disk):
    """Fails, or hangs, while it is told to."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.flows = threading.Event()
        self.flows.set()

    def sync(self, file: int) -> None:
        self.flows.wait(PATIENCE)
        super().sync(file)

    def write(self, file: int, at: int, data: bytes) -> None:
        if self.error:
            super().write(file, at, data[: len(data) // 2])  # a full disk takes a part
            raise self.error
        super().write(file, at, data)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_nothing_is_acknowledged_that_is_not_on_the_disk(tmp_path: Path, number: int) -> None:
    disk, told = BadDisk(), threading.Event()
    said: list[str] = []
    journal, _ = Journal.open(tmp_path, lambda text: (said.append(text), told.set())[0], disk)
    journal.append({"click": 0}).result(PATIENCE)
    disk.error = OSError(number, "no")
    futures = [journal.append({"click": n}) for n in (1, 2, 3)]
    assert told.wait(PATIENCE)
    snapshot = journal.snapshot({"clicks": 4})
    assert not any(future.done() for future in futures) and journal.trouble
    disk.error = None
    wait([*futures, snapshot], PATIENCE)
    assert all(future.exception(0) is None for future in futures) and not journal.trouble
    assert len(said) == 2 and "not acknowledged" in said[0] and "again" in said[1]
    journal.close()
    work = held(tmp_path)
    assert work.state == {"clicks": 4} or clicks(work) == [0, 1, 2, 3]


def test_a_stuck_disk_is_refused_with_a_bound(tmp_path: Path) -> None:
    disk = BadDisk()
    journal, _ = Journal.open(tmp_path, disk=disk)
    disk.flows.clear()
    futures = []
    with pytest.raises(JournalError, match="stuck"):
        for number in range(BACKLOG + 5):
            futures.append(journal.append({"click": number}))
    assert len(futures) == BACKLOG and not futures[0].done()
    disk.flows.set()
    assert journal.close(PATIENCE)
    assert len(held(tmp_path).actions) == BACKLOG


def test_closing_on_a_full_disk_ends_and_says_what_is_not_there(tmp_path: Path) -> None:
    disk = BadDisk()
    journal, _ = Journal.open(tmp_path, disk=disk)
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    future = journal.append({"click": 1})
    assert not journal.close(0.3)
    with pytest.raises(JournalError, match="No space left"):
        future.result(PATIENCE)
    with pytest.raises(JournalError, match="closed"):
        journal.append({"click": 2})


def test_a_folder_taken_away_is_made_again_with_everything(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "work"
    journal, _ = Journal.open(folder, said.append)
    journal.append({"click": 1}, {"xyz": np.ones((4, 3))}).result(PATIENCE)
    journal.append({"click": 2}).result(PATIENCE)
    shutil.rmtree(folder)
    journal.append({"click": 3}).result(PATIENCE)
    assert any("taken away" in text for text in said)
    journal.close()
    journal, work = Journal.open(folder)
    assert clicks(work) == [1, 2, 3] and work.clouds[0]
    np.testing.assert_array_equal(journal.load(work.clouds[0])["xyz"], np.ones((4, 3)))
    journal.close()


def test_a_folder_that_cannot_be_made_does_not_stop_a_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal, work = Journal.open(tmp_path / "file" / "work")
    future = journal.append({"click": 1})
    assert not journal.close(0.2) and work.state is None
    with pytest.raises(JournalError, match="could not be written"):
        future.result(PATIENCE)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_snapshot_falls_due(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    journal.append({"click": 0}).result(PATIENCE)
    assert not journal.due
    for number in range(5):
        journal.append({"capture": number}, {"xyz": np.full((2, 3), number)}).result(PATIENCE)
    assert journal.due
    journal.snapshot({"captures": 5}, {"xyz": np.full((2, 3), 4)}).result(PATIENCE)
    assert not journal.due
    journal.close()
