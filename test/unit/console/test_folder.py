"""A folder of scans and the classes of its objects, without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tables import table

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.categories import read_category_file
from iseg3d_ros.console.folder_backend import FolderWork, scans_of
from iseg3d_ros.console.protocol import AddClick, OpenScan, Review
from iseg3d_ros.console.updates import JobsUpdate, LinkUpdate, Mailbox, StateUpdate
from iseg3d_ros.predictor import Predictor

PATIENCE = 120.0


class Reader:
    """What a page would have heard."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.jobs, self.state, self.link = JobsUpdate((), 0), StateUpdate(), LinkUpdate(False)

    def until(self, condition: Callable[[], bool]) -> None:
        """Reads until it holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end
            for update in self._mailbox.take(0.2)[0]:
                match update:
                    case JobsUpdate():
                        self.jobs = update
                    case StateUpdate():
                        self.state = update
                    case LinkUpdate():
                        self.link = update


def test_scans_are_gone_through_and_remembered(tmp_path: Path) -> None:
    for number in range(3):
        xyz, rgb, _ = table(number)
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz, rgb))
    (tmp_path / "notes.txt").write_text("no cloud")
    loads = []

    def load(model: str, size: float) -> Predictor:
        loads.append(model)
        return Predictor.load("random_walker", "cpu", 0.02)

    def opened() -> tuple[FolderWork, Reader]:
        work = FolderWork(scans_of([tmp_path]), load, "", tmp_path / "out")
        return work, Reader(work.subscribe())

    work, reader = opened()
    reader.until(lambda: reader.link.connected and bool(reader.state.model))
    work.send(AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    reader.until(lambda: reader.jobs.jobs[0].objects == 1)
    work.send(Review("done"))
    work.send(OpenScan(1))
    reader.until(lambda: reader.jobs.current == 1 and reader.link.connected and bool(reader.state.model))
    assert not reader.state.objects and [job.review for job in reader.jobs.jobs] == ["done", "", ""]
    work.send(OpenScan(0))
    reader.until(lambda: reader.jobs.current == 0 and len(reader.state.objects) == 1)
    work.close()
    assert len(loads) == 1, "the model is loaded once for all scans"
    work, reader = opened()
    reader.until(lambda: len(reader.state.objects) == 1)
    assert [(job.objects, job.review) for job in reader.jobs.jobs] == [(1, "done"), (0, ""), (0, "")]
    work.close()


def test_a_folder_without_scans_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scan"):
        FolderWork(scans_of([tmp_path]), lambda *_: Predictor.load("random_walker"), "", tmp_path)


def test_classes_have_names_colours_and_keys(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text("- {name: chair, colour: [1, 2, 3], key: q}\n- table\n")
    chair, other = read_category_file(file)
    assert (chair.name, chair.colour, chair.key) == ("chair", (1, 2, 3), "q") and other.name == "table"


@pytest.mark.parametrize(
    "text",
    ["chair", "[]", "- {name: a, color: red}", "- {name: a, colour: [1, 2]}", "- a\n- a", "- 3", "- [", "- {key: a}"],
)
def test_other_class_files_are_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="classes.yaml"):
        read_category_file(file)
