"""A folder of scans and the classes of its objects, without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import table
from works import walker

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.bench import Bench, Person
from iseg3d_ros.console.categories import read_category_file
from iseg3d_ros.console.folder_backend import FolderWork
from iseg3d_ros.console.protocol import AddClick, Carry, Classify, OpenScan, Remove, Rename, Review, TakeOver, Undo
from iseg3d_ros.console.scans import scans_of
from iseg3d_ros.console.updates import JobsUpdate, LabelsUpdate, LinkUpdate, Mailbox, Message, StateUpdate
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, typestore
from iseg3d_ros.predictor import Predictor

PATIENCE = 120.0


class Reader:
    """What a page would have heard."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.jobs, self.state, self.link = JobsUpdate((), 0), StateUpdate(), LinkUpdate(False)
        self.labels = LabelsUpdate(0, np.zeros(0), np.zeros(0), np.zeros(0))
        self.refused: list[str] = []

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
                    case LabelsUpdate():
                        self.labels = update
                    case Message(text, True):
                        self.refused.append(text)


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
        work = FolderWork(Bench(scans_of([tmp_path]), load, "", tmp_path / "out"))
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


def test_objects_are_carried_over_where_it_is_wished(tmp_path: Path) -> None:
    for number in range(3):
        xyz, rgb, _ = table(number)
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz + np.float32(0.004 * number), rgb))

    def opened() -> tuple[FolderWork, Reader]:
        work = FolderWork(Bench(scans_of([tmp_path]), walker, "", tmp_path / "out"))
        return work, Reader(work.subscribe())

    work, reader = opened()
    reader.until(lambda: reader.link.connected and bool(reader.state.model))
    for place in ((0.0, 0.0, 0.105), (0.35, 0.1, 0.105)):
        work.send(AddClick(Click(place, ""), new=True))
    reader.until(lambda: len(reader.state.objects) == 2)
    work.send(Rename("object_2", "blue cube"))
    work.send(Classify("object_2", "box"))
    reader.until(lambda: reader.state.objects[1].category == "box")
    work.send(Carry(True))
    work.send(OpenScan(1))
    reader.until(lambda: reader.jobs.current == 1 and len(reader.state.objects) == 2)
    assert reader.jobs.carries
    first, second = reader.state.objects
    assert (second.id, second.name, second.category) == ("object_2", "blue cube", "box")
    truth = table(1)[2]
    for item, number in ((first, 1), (second, 2)):
        mine, right = reader.labels.labels == item.index, truth == number
        assert (mine & right).sum() / (mine | right).sum() > 0.7
    work.send(Remove("object_1"))
    reader.until(lambda: len(reader.state.objects) == 1)
    work.send(OpenScan(0))
    reader.until(lambda: reader.jobs.current == 0 and len(reader.state.objects) == 2)
    work.send(OpenScan(1))
    reader.until(lambda: reader.jobs.current == 1 and bool(reader.state.model))
    assert len(reader.state.objects) == 1, "what was done there already stays"
    work.send(Carry(False))
    work.send(OpenScan(2))
    reader.until(lambda: reader.jobs.current == 2 and reader.link.connected and bool(reader.state.model))
    assert not reader.state.objects
    work.close()
    work, reader = opened()
    reader.until(lambda: bool(reader.jobs.jobs) and reader.jobs.current == 2)
    assert [job.objects for job in reader.jobs.jobs] == [2, 1, 0] and not reader.jobs.carries
    work.close()


def test_every_scan_gets_a_picture_and_another_one_with_its_objects(tmp_path: Path) -> None:
    for number in range(2):
        xyz, rgb, _ = table(number)
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz, rgb))
    (tmp_path / "2.ply").write_text("no cloud")
    work = FolderWork(Bench(scans_of([tmp_path]), walker, "", tmp_path / "out"))
    reader = Reader(work.subscribe())
    reader.until(lambda: [job.picture > 0 for job in reader.jobs.jobs] == [True, True, False])
    before = work.picture(0)
    assert before is not None and before.startswith(b"\x89PNG") and work.picture(2) is work.picture(9) is None
    work.send(AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    reader.until(lambda: len(reader.state.objects) == 1)
    version = reader.jobs.jobs[0].picture
    work.send(OpenScan(1))
    reader.until(lambda: reader.jobs.jobs[0].picture != version)
    assert work.picture(0) != before
    work.close()


def cloud_message(types: Any, xyz: np.ndarray, rgb: np.ndarray) -> Any:
    """A PointCloud2 as a bag holds it."""
    buffer, known = clouds.plain(xyz, rgb), types.types
    kind, size = buffer.points.dtype, len(buffer.points)
    fields = [
        known["sensor_msgs/msg/PointField"](name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in clouds.fields_of(kind)
    ]
    header = known["std_msgs/msg/Header"](stamp=known["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id="map")
    return known[CLOUD](
        header=header, height=1, width=size, fields=fields, is_bigendian=False, point_step=kind.itemsize,
        row_step=kind.itemsize * size, data=np.frombuffer(buffer.data, np.uint8), is_dense=True,
    )  # fmt: skip


def test_the_clouds_of_a_bag_are_scans(tmp_path: Path) -> None:
    rosbag2, types = pytest.importorskip("rosbags.rosbag2"), typestore()
    xyz, rgb, _ = table()
    with rosbag2.Writer(tmp_path / "bag", version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/points", CLOUD, typestore=types)
        for number in range(2):
            message = cloud_message(types, xyz + np.float32(number), rgb)
            writer.write(connection, (5 + number) * 10**8, types.serialize_cdr(message, CLOUD))
    scans = scans_of([tmp_path / "bag"])
    assert [scan.name for scan in scans] == ["000000 · 0.000 s", "000001 · 0.100 s"]
    second = scans[1].read()
    assert np.allclose(second.xyz, xyz + 1) and (second.rgb == rgb).all()
    with pytest.raises(ValueError, match="/other"):
        scans_of([tmp_path / "bag"], topic="/other")
    work = FolderWork(Bench(scans, walker, "", tmp_path / "out"))
    reader = Reader(work.subscribe())
    reader.until(lambda: reader.link.connected and bool(reader.state.model))
    work.send(AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    reader.until(lambda: reader.jobs.jobs[0].objects == 1)
    work.close()


def test_a_scan_is_one_persons_until_it_is_taken_over(tmp_path: Path) -> None:
    for number in range(3):
        xyz, rgb, _ = table(number)
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz, rgb))
    bench = Bench(scans_of([tmp_path]), walker, "", tmp_path / "out")
    anna, ben = (FolderWork(bench, Person(id, name), present=True) for id, name in (("1", "Anna"), ("2", "Ben")))
    ann, her = Reader(anna.subscribe()), Reader(ben.subscribe())
    ann.until(lambda: ann.link.connected and bool(ann.state.model))
    ben.send(OpenScan(0))
    her.until(lambda: her.jobs.jobs and her.jobs.current == 0 and not her.jobs.mine and bool(her.state.model))
    assert her.jobs.jobs[0].holder == "Anna" and her.jobs.jobs[0].since > 0 and ann.jobs.mine
    ben.send(AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    her.until(lambda: bool(her.refused))
    assert "Anna has had this scan since" in her.refused[-1]
    anna.send(AddClick(Click((0.0, 0.0, 0.105), ""), new=True))
    her.until(lambda: len(her.state.objects) == 1)  # what she does is seen
    ben.send(TakeOver("lunch"))
    ann.until(lambda: not ann.jobs.mine)
    assert "Ben has taken 0.ply over: lunch" in ann.refused and ann.jobs.jobs[0].holder == "Ben"
    anna.send(Undo())
    ann.until(lambda: "Ben has had" in ann.refused[-1])
    ben.send(OpenScan(2))
    ann.until(lambda: ann.jobs.jobs[0].holder == "" and ann.jobs.jobs[2].holder == "Ben")
    anna.send(OpenScan(0))
    ann.until(lambda: ann.jobs.mine and len(ann.state.objects) == 1)
    anna.present = False  # she has closed her browser: her scan is whoever's opens it
    ben.send(OpenScan(0))
    her.until(lambda: her.jobs.current == 0 and her.jobs.mine)
    anna.close()
    ben.close()
    again = FolderWork(Bench(scans_of([tmp_path]), walker, "", tmp_path / "out"), Person("1", "Anna"))
    ann = Reader(again.subscribe())
    ann.until(lambda: bool(ann.jobs.jobs) and ann.jobs.mine)
    assert ann.jobs.current == 0, "everybody comes back to their own scan"
    again.close()


def test_labels_beside_the_scans_are_taken_and_damaged_ones_are_said(tmp_path: Path) -> None:
    xyz, rgb, truth = table()
    (tmp_path / "labels").mkdir()
    for number in range(2):
        write_cloud(tmp_path / f"{number}.ply", Cloud(xyz, rgb))
    write_cloud(tmp_path / "labels" / "0.label", Cloud(xyz, None, None, truth))
    (tmp_path / "labels" / "1.label").write_bytes(b"short")
    work = FolderWork(Bench(scans_of([tmp_path], tmp_path / "labels"), walker, "", tmp_path / "out"))
    reader = Reader(work.subscribe())
    reader.until(lambda: len(reader.state.objects) == 2)
    work.send(OpenScan(1))
    reader.until(lambda: reader.jobs.current == 1 and bool(reader.state.model) and reader.refused)
    assert not reader.state.objects and "Without its labels" in reader.refused[0]
    work.close()


def test_a_folder_without_scans_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scan"):
        Bench(scans_of([tmp_path]), walker, "", tmp_path)


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
