"""Scene files: what was written is read, and what is damaged is named."""

import dataclasses
import os

import numpy as np
import pytest

from iseg3d_ros.data.folder import LabelledCloud, SceneFolder, read_header, read_scene, write_scene


def cloud(name="a", count=100, rgb=True, intensity=False, split="train", kind="room"):
    rng = np.random.default_rng(0)
    return LabelledCloud(name, rng.normal(size=(count, 3)).astype(np.float32),
                         rng.integers(0, 256, (count, 3)).astype(np.uint8) if rgb else None,
                         rng.random(count).astype(np.float32) if intensity else None,
                         rng.integers(0, 4, count).astype(np.int32), ("chair", "table", "wall"), kind,
                         np.array([1, 2, 3], np.float32), split)


@pytest.mark.parametrize("count", [0, 1, 101])
@pytest.mark.parametrize("rgb,intensity", [(True, False), (False, True), (True, True), (False, False)])
def test_what_is_written_is_read(tmp_path, rgb, intensity, count):
    before = cloud(count=count, rgb=rgb, intensity=intensity)
    write_scene(tmp_path / "a.scene", before)
    after = read_scene(tmp_path / "a.scene")
    for field in dataclasses.fields(LabelledCloud):
        x, y = getattr(before, field.name), getattr(after, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
        else:
            assert x == y
    assert [p.name for p in tmp_path.iterdir()] == ["a.scene"]


def test_a_folder_sorts_filters_and_names_what_is_damaged(tmp_path):
    write_scene(tmp_path / "b.scene", cloud("b"))
    write_scene(tmp_path / "a.scene", cloud("a", split="val"))
    write_scene(tmp_path / "c.scene", cloud("c", kind="street"))
    (tmp_path / "d.scene").write_bytes((tmp_path / "b.scene").read_bytes()[:-7])
    (tmp_path / "e.scene").write_bytes(b"foreign")
    everything = SceneFolder(tmp_path)
    assert [s.name for s in everything] == ["a", "b", "c"]
    assert len(everything.broken) == 2 and "d.scene" in everything.broken[0] and "cut off" in everything.broken[0]
    assert [s.name for s in SceneFolder(tmp_path, split="train")[:]] == ["b", "c"]
    assert [s.name for s in SceneFolder(tmp_path, split="val")] == ["a"]
    assert [s.name for s in SceneFolder(tmp_path, kind="street")] == ["c"]
    with pytest.raises(ValueError, match="no folder"):
        SceneFolder(tmp_path / "nowhere")


def test_damaged_headers_and_labels_are_refused(tmp_path):
    path = tmp_path / "a.scene"
    write_scene(path, cloud())
    good = path.read_bytes()
    for old, new in [(b'"points":100', b'"points":1e9'), (b'"points"', b'"pints!"'),
                     (b'"kind":"room"', b'"kind":    17')]:
        path.write_bytes(good.replace(old, new))
        with pytest.raises(ValueError, match=r"a\.scene"):
            read_scene(path)
    offset = read_header_offset(tmp_path, good)
    broken = bytearray(good)
    broken[offset + 1200:offset + 1202] = b"\x63\x00"
    path.write_bytes(broken)
    with pytest.raises(ValueError, match="instance 99"):
        read_scene(path)


def read_header_offset(tmp_path, content):
    (tmp_path / "good.scene").write_bytes(content)
    return read_header(tmp_path / "good.scene")["offset"]


@pytest.mark.parametrize("change,message", [
    ({"instance": np.full(100, 9, np.int32)}, "1 to 3"), ({"instance": np.full(100, -1, np.int32)}, "from -1"),
    ({"xyz": np.full((100, 3), np.nan, np.float32)}, "finite"), ({"rgb": np.zeros((5, 3), np.uint8)}, "rgb")])
def test_bad_clouds_are_not_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_scene(tmp_path / "a.scene", dataclasses.replace(cloud(), **change))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        os.symlink("/dev/full", tmp_path / ".x.part")
        return os.open(tmp_path / ".x.part", os.O_WRONLY), str(tmp_path / ".x.part")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(OSError, match=r"a\.scene: could not be written"):
        write_scene(tmp_path / "a.scene", cloud(count=100_000))
    assert not list(tmp_path.iterdir())
