"""The store that keeps work: what is acknowledged, what is there again, what damage does. With a pretend predictor."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from counting import cloud_of
from stored_work import Work, mutate

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.stored_arrays import cloud_arrays
from iseg3d_ros.interaction.stored_arrays import cloud_of as cloud_from
from iseg3d_ros.io import journal as journal_module
from iseg3d_ros.io.disk import Disk
from iseg3d_ros.io.pointcloud2_read import Points


def worked(folder: Path) -> Work:
    work = Work(folder)
    work.take(cloud_of())
    work.session.add("cup", id="cup")
    work.click(0.0)
    work.click(1.0)
    with work.session.step():
        work.session.add("größe")
        work.click(2.0, "object_2")
    work.click(3.0, "")
    work.session.rename("cup", "mug")
    work.session.undo()
    work.session.undo()
    work.session.select("cup")
    return work


def test_after_a_kill_everything_is_there(tmp_path: Path) -> None:
    work = worked(tmp_path)
    work.kill()
    again = Work(tmp_path)
    assert again.everything() == work.everything()
    assert again.resumed is not None and again.resumed.held
    assert again.stage.shown is not None and work.stage.shown is not None
    np.testing.assert_array_equal(again.stage.shown.points.xyz, work.stage.shown.points.xyz)
    assert (again.stage.shown.frame, again.stage.shown.stamp) == ("map", 7)
    again.session.add()
    assert again.session.active == "object_3", "ids are not used twice, over a restart neither"
    again.kill()
    assert Work(tmp_path).everything() == again.everything()


def test_nothing_is_acknowledged_before_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = worked(tmp_path)
    assert work.store.wait(10) == ""
    free, sync = threading.Event(), Disk.sync

    def slow(self: Disk, file: int) -> None:
        free.wait(10)
        sync(self, file)

    monkeypatch.setattr(Disk, "sync", slow)
    work.click(5.0)
    told: list[str] = []
    work.store.when_kept(told.append)
    assert "not on the disk" in work.store.wait(0.1) and told == []
    free.set()
    assert work.store.wait(10) == "" and told == [""]


def test_a_full_disk_is_told_tried_again_and_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, write, full = worked(tmp_path), Disk.write, [True]
    assert work.store.wait(10) == ""

    def writing(self: Disk, file: int, at: int, data: bytes) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        write(self, file, at, data)

    monkeypatch.setattr(Disk, "write", writing)
    work.click(5.0)
    assert "No space left" in work.store.wait(0.5)
    assert any("not acknowledged" in sentence for sentence in work.said)
    full[0] = False
    assert work.store.wait(10) == ""
    assert any("can be written again" in sentence for sentence in work.said)
    work.kill()
    assert Work(tmp_path).everything() == work.everything()


def test_a_stuck_disk_refuses_the_click_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = worked(tmp_path)
    monkeypatch.setattr(Disk, "sync", lambda self, file: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    monkeypatch.setattr(journal_module, "BACKLOG", 3)
    before = 0
    with pytest.raises(RuntimeError, match="wait to be written"):
        for k in range(10):
            before = len(work.session.clicks)
            work.click(10.0 + k)
    assert len(work.session.clicks) == before


def test_states_replace_actions_and_carry_the_masks(tmp_path: Path) -> None:
    work = worked(tmp_path)
    labels = work.segment()
    work.store.close(work.session)
    again = Work(tmp_path)
    assert again.everything() == work.everything()
    np.testing.assert_array_equal(again.segment(), labels)
    assert again.predictor.asked == [] and again.predictor.encoded == 0, "masks of the same model are not computed anew"
    assert again.stage.shown is not None
    up = again.stage.shown.upwards
    assert up is not None and up.tolist() == [0.0, 0.0, 1.0]
    again.click(9.0)
    again.segment()
    again.session.undo()
    again.segment()
    assert again.predictor.asked == [4, 3], "after a click everything is the present model's"


def test_masks_of_other_weights_are_said_to_be(tmp_path: Path) -> None:
    work = worked(tmp_path)
    work.segment()
    work.store.close(work.session)
    again = Work(tmp_path, hash="b")
    again.segment()
    assert again.predictor.asked == [] and any("other weights" in sentence for sentence in again.said)


def test_beginning_anew_forgets_what_was_only_with_the_first_action(tmp_path: Path) -> None:
    work = worked(tmp_path)
    work.kill()
    idle = Work(tmp_path, resume=False)
    idle.store.open()
    idle.kill()
    new = Work(tmp_path, resume=False)
    new.store.open()
    new.take(cloud_of())
    new.session.add("plate", id="plate")
    new.kill()
    assert [item.id for item in Work(tmp_path).session.objects] == ["plate"]


def test_a_cloud_goes_with_the_first_click_on_it(tmp_path: Path) -> None:
    """As in a live scene: the cloud is another at every click, and the earlier clicks have moved with it."""
    work = worked(tmp_path)
    moved = CurrentCloud(Points(cloud_of().points.xyz + 1, None, None, None, (1, 10)), "odom", 8, None)
    work.stage.shown = moved
    work.stage.places = {click: Click((7.0, 7.0, 7.0), click.id) for click in work.session.clicks[:2]}
    work.session.select("object_2")
    work.click(4.0)
    work.kill()
    again = Work(tmp_path)
    assert again.stage.shown is not None and again.stage.shown.frame == "odom"
    assert again.stage.places == work.stage.places


def test_switched_off_and_on_again_it_keeps_all(tmp_path: Path) -> None:
    work, on = worked(tmp_path), [False]
    work.store._wanted = lambda: on[0]
    work.click(5.0)
    on[0] = True
    work.click(6.0)
    work.kill()
    assert Work(tmp_path).everything() == work.everything()


def test_two_processes_share_a_folder_without_harm(tmp_path: Path) -> None:
    first = worked(tmp_path)
    second = Work(tmp_path)
    assert second.resumed is None and any("in use by another process" in sentence for sentence in second.said)
    second.take(cloud_of())
    second.session.add("plate", id="plate")
    second.kill()
    first.kill()
    assert Work(tmp_path).everything() == first.everything()


def test_an_object_whose_making_was_damaged_comes_back_with_its_click(tmp_path: Path) -> None:
    work = worked(tmp_path)
    work.session.add("vase", id="vase")
    work.click(6.0, "vase")
    work.kill()
    file = next((tmp_path / "journal").glob("*.log"))
    file.write_bytes(file.read_bytes().replace(b'"name":"vase"', b'"name":"base"'))
    again = Work(tmp_path)
    assert [item.id for item in again.session.objects] == ["cup", "object_2", "vase"]
    assert again.session.clicks == work.session.clicks and any("damaged and missing" in s for s in again.said)


def test_a_thousand_mutated_stores_stop_no_start_and_change_nothing_in_silence(tmp_path: Path) -> None:
    work = worked(tmp_path / "whole")
    work.segment()
    work.store.rest(work.session, now=True)
    work.click(8.0)
    work.kill()
    whole, files = work.everything(), sorted((tmp_path / "whole" / "journal").iterdir())
    rng, changed = random.Random(0), 0
    for number in range(1000):
        place = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", place)
        mutate(place / "journal" / rng.choice(files).name, rng)
        again = Work(place)
        differs = again.everything() != whole
        changed += differs
        assert not differs or len(again.said) > 1, f"{number}: changed in silence"
        again.take(cloud_of())  # and it can be worked with
        again.session.add()
        assert again.store.wait(10) == ""
        again.kill()
        shutil.rmtree(place)
    assert changed > 50


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("xyz", np.zeros((10, 2), np.float32)), ("xyz", np.full((10, 3), np.nan, np.float32)),
        ("xyz", np.zeros((10, 3), np.int64)), ("rgb", np.zeros((9, 3), np.uint8)), ("rgb", np.zeros((10, 3), float)),
        ("kept", np.arange(10) + 5), ("kept", np.zeros(3, int)), ("shape", np.array([3, 3])), ("up", np.zeros(3)),
        ("shape", np.array(3)), ("clicks", np.zeros((3, 6))), ("stamp", np.array("x")),
    ],
)  # fmt: skip
def test_a_cloud_that_cannot_be_segmented_is_refused(name: str, values: np.ndarray) -> None:
    with pytest.raises(ValueError):
        cloud_from(cloud_arrays(cloud_of(), {}) | {name: values})


def test_clouds_read_back_as_they_were() -> None:
    points = Points(cloud_of().points.xyz, np.full((10, 3), 9, np.uint8), None, np.arange(10) * 2, (1, 20))
    place = Click((1.0, 2.0, 3.0), "cup")
    cloud = CurrentCloud(points, "map", 7, np.array([0.0, 0.0, 1.0]))
    again, places = cloud_from(cloud_arrays(cloud, {place: Click((4.0, 5.0, 6.0), "cup")}))
    np.testing.assert_array_equal(again.points.kept, points.kept)  # type: ignore[arg-type]
    assert (again.frame, again.stamp, again.points.shape) == ("map", 7, (1, 20))
    assert places == {place: Click((4.0, 5.0, 6.0), "cup")}


def test_work_on_a_file_keeps_no_cloud(tmp_path: Path) -> None:
    work = Work(tmp_path, keeps_clouds=False)
    work.session.add("cup", id="cup")
    work.click(0.0)
    work.session.undo()
    work.kill()
    assert [path.suffix for path in sorted((tmp_path / "journal").iterdir())] == [".log", ""]
    again = Work(tmp_path, keeps_clouds=False)
    again.session.redo()
    assert again.stage.places.keys() == {Click((0.0, 0.0, 0.0), "cup")} and len(again.session.clicks) == 1
