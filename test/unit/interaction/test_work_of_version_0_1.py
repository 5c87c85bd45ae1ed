"""Work that version 0.1 saved is taken over, and never changed."""

from __future__ import annotations

import json
import random
from pathlib import Path

from counting import cloud_of
from stored_work import Work, mutate

from iseg3d_ros.interaction.stored_arrays import cloud_arrays, write_arrays

OLD = {
    "format": 1, "past": [], "future": [],
    "state": {"objects": [{"id": "cup", "name": "cup"}], "clicks": [{"point": [0, 0, 0], "id": "cup"}],
              "active": "cup", "made": 1},
}  # fmt: skip


def old_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "last.json").write_text(json.dumps(OLD))
    write_arrays(folder / "last.npz", cloud_arrays(cloud_of(), {}))


def test_work_of_version_0_1_is_taken_over_and_kept(tmp_path: Path) -> None:
    old_files(tmp_path)
    work = Work(tmp_path)
    assert work.session.active == "cup" and work.stage.shown is not None
    work.segment()
    assert work.predictor.asked == [1], "it has no masks"
    work.click(4.0)
    work.kill()
    assert json.loads((tmp_path / "last.json").read_text()) == OLD
    again = Work(tmp_path)
    assert again.everything() == work.everything() and again.stage.shown is not None


def test_damaged_files_of_version_0_1_stop_no_start(tmp_path: Path) -> None:
    rng = random.Random(1)
    for number in range(300):
        folder = tmp_path / str(number)
        old_files(folder)
        path = folder / rng.choice(["last.json", "last.npz"])
        mutate(path, rng)
        before = path.read_bytes()
        work = Work(folder)
        if work.resumed is None:
            assert "stays as it is" in work.said[-1]
        else:
            work.segment()
        assert path.read_bytes() == before
        work.kill()
