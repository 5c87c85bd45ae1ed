"""From parameters to a model; saved work that is damaged. In this process, without DDS."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import Session
from iseg3d_ros.interaction.storage import Snapshot, Storage, Writer, _read_cloud, _write_cloud
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.models.adaptation import Adapted
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.checkpoint import save
from iseg3d_ros.ros.model_loading import load_model
from iseg3d_ros.ros.segmenter_node import session_folder
from iseg3d_ros.ros.settings import SegmenterSettings


def shown() -> CurrentCloud:
    xyz = np.random.default_rng(0).uniform(-0.3, 0.3, (2000, 3)).astype(np.float32)
    return CurrentCloud(
        Points(xyz, np.full((2000, 3), 9, np.uint8), None, np.arange(2000) * 2, (1, 4000)), "map", 7, None
    )


def test_adaptation_is_a_parameter(tmp_path: Path) -> None:
    save(tmp_path / "tiny.safetensors", build(settings_of("interobject3d", "tiny")))
    settings = SegmenterSettings(weights=str(tmp_path / "tiny.safetensors"), device="cpu", voxel_size=0.05, adapt=True)
    said: list[str] = []
    model = load_model(settings, said.append, said.append).model
    assert isinstance(model.predictor.network, Adapted) and "tiny is ready" in said[-1]
    cloud = shown()
    points = [tuple(float(v) for v in cloud.points.xyz[i]) for i in (0, 50, 99)]
    marks = [Click(points[0], "a"), Click(points[1], ""), Click(points[2], "a")]  # type: ignore[arg-type]
    masks = model.segment_cloud(cloud, marks, ["a"])
    assert masks.labels[0] == 1 and masks.labels[50] == 0
    with pytest.raises(ValueError, match="no weights that could adapt"):
        load_model(SegmenterSettings(model="random_walker", adapt=True), said.append, said.append)
    with pytest.raises(FileNotFoundError, match="where there is no file"):
        load_model(SegmenterSettings(weights="/nowhere"), said.append, said.append)


def test_saved_clouds_read_back(tmp_path: Path) -> None:
    cloud, place = shown(), Click((1.0, 2.0, 3.0), "cup")
    _write_cloud(tmp_path / "a.npz", cloud, {place: Click((4.0, 5.0, 6.0), "cup")})
    again, places = _read_cloud(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.points.xyz, cloud.points.xyz)
    np.testing.assert_array_equal(again.points.kept, cloud.points.kept)
    assert (again.frame, again.stamp, again.points.shape) == ("map", 7, (1, 4000))
    assert places == {place: Click((4.0, 5.0, 6.0), "cup")}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", b"{}"])
def test_damaged_work_is_said_and_left(tmp_path: Path, content: bytes) -> None:
    said: list[str] = []
    settings = SegmenterSettings(session_directory=str(tmp_path))
    saving = Storage(session_folder(settings, "/robot/segmenter"), said.append)
    session = Session(None)  # type: ignore[arg-type]
    assert saving.resume(session) is None
    assert "no saved work" in said[-1] and saving.folder == tmp_path / "robot_segmenter"
    saving.folder.mkdir()
    (saving.folder / "last.npz").write_bytes(content)
    (saving.folder / "last.json").write_text("{")
    assert saving.resume(session) is None
    assert "beginning anew" in said[-1]
    _write_cloud(saving.folder / "last.npz", shown(), {})
    assert saving.resume(session) is None
    assert "beginning anew" in said[-1] and not session.objects


def snapshot() -> Snapshot:
    return Snapshot(shown(), {}, Session(None))  # type: ignore[arg-type]


def test_a_slow_disk_keeps_nobody_waiting_and_the_newest_work_is_written() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    written: list[tuple[Snapshot, Snapshot | None]] = []

    def slow(now: Snapshot, before: Snapshot | None) -> bool:
        begun.set()
        goes_on.wait(60)
        written.append((now, before))
        return len(written) > 1  # the first one fails

    writer, all_of_them = Writer(slow), [snapshot() for _ in range(4)]
    writer.offer(all_of_them[0])
    assert begun.wait(10)
    for later in all_of_them[1:]:
        writer.offer(later)
    assert not written, "offering waits for the disk"
    goes_on.set()
    writer.finish()
    assert written == [(all_of_them[0], None), (all_of_them[3], None)], "what failed counts as not written"


def test_a_snapshot_stays_as_it_is() -> None:
    session = Session(None)  # type: ignore[arg-type]
    session.add("cup")
    session.click((0.0, 0.0, 0.0))

    kept = Snapshot.of(session, shown(), {})
    session.undo()
    session.remove(session.active)
    assert len(kept.session.clicks) == 1 and kept.session.objects[0].name == "cup"
    kept.session.undo()
    assert not kept.session.clicks
