"""What the player and `iseg3d bag` read: sequences, bags; and what `iseg3d bag` writes. Without ROS."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.commands import main
from iseg3d_ros.data import recordings
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.interaction.object_messages import OBJECTS
from iseg3d_ros.interaction.view import SEEN
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import read_field, read_points

rosbags = pytest.importorskip("rosbags.rosbag2", reason="rosbags is not installed")
from iseg3d_ros.io.bags import CLOUD, TF, Bag, typestore  # noqa: E402

XYZ = np.random.default_rng(0).uniform(1, 2, (50, 3)).astype(np.float32)


def test_kitti(tmp_path: Path) -> None:
    (tmp_path / "velodyne").mkdir()
    for number in range(3):
        write_cloud(tmp_path / "velodyne" / f"{number:06d}.bin", Cloud(XYZ + number, None, np.ones(50, np.float32)))
    (tmp_path / "times.txt").write_text("0\n0.1\n0.25\n")
    camera = [np.c_[np.eye(3), [0, 0, z]].reshape(-1) for z in (0, 1, 2)]  # drives along the camera's z
    np.savetxt(tmp_path / "poses.txt", camera)
    (tmp_path / "calib.txt").write_text("P0: 1\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    frames = recordings.frames_of(tmp_path)
    np.testing.assert_allclose(frames[2].pose, [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], atol=1e-9)
    assert [time for time, _ in recordings.schedule(frames, 0)] == [0, SECOND // 10, SECOND // 4]
    assert [time for time, _ in recordings.schedule(frames, 2.0)] == [0, SECOND // 2, SECOND]
    assert recordings.period(frames, 2.0) == 3 * SECOND // 2
    np.testing.assert_allclose(frames[1].read().xyz, XYZ + 1)


def test_nuscenes(tmp_path: Path) -> None:
    tables = tmp_path / "v1.0-mini"
    tables.mkdir()
    (tmp_path / "sweeps" / "LIDAR_TOP").mkdir(parents=True)
    names = [f"sweeps/LIDAR_TOP/{i}.pcd.bin" for i in range(2)]
    for name in names:
        np.c_[XYZ, np.ones(50), np.zeros(50)].astype("<f4").tofile(tmp_path / name)
    rows = [
        {"token": i, "ego_pose_token": i, "calibrated_sensor_token": "s", "timestamp": 1000 - i, "filename": name}
        for i, name in enumerate(names)
    ]
    (tables / "sample_data.json").write_text(json.dumps(rows))
    poses = [{"token": i, "translation": [i, 0, 0], "rotation": [1, 0, 0, 0]} for i in range(2)]
    (tables / "ego_pose.json").write_text(json.dumps(poses))
    sensor = [{"token": "s", "translation": [0, 0, 1.8], "rotation": [1, 0, 0, 0]}]
    (tables / "calibrated_sensor.json").write_text(json.dumps(sensor))
    frames = recordings.frames_of(tmp_path)
    assert [frame.path.name for frame in frames] == ["1.pcd.bin", "0.pcd.bin"]
    pose = frames[0].pose
    assert pose is not None and pose[:3, 3].tolist() == [1, 0, 1.8]
    np.testing.assert_allclose(frames[0].read().xyz, XYZ)


def test_folders_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing at"):
        recordings.frames_of(tmp_path / "absent")
    with pytest.raises(ValueError, match="holds no clouds"):
        recordings.frames_of(tmp_path)
    for name in ("b.ply", "a.ply"):
        write_cloud(tmp_path / name, Cloud(XYZ))
    assert [frame.path.name for frame in recordings.frames_of(tmp_path)] == ["a.ply", "b.ply"]


def scene(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table with a cube that moves 2 cm a cloud."""
    rng = np.random.default_rng(number)
    table = np.c_[rng.uniform(-0.4, 0.4, (6000, 2)), rng.normal(0, 0.0005, 6000)]
    cube, side = rng.uniform(-0.05, 0.05, (2000, 3)), rng.integers(0, 3, 2000)
    cube[np.arange(2000), side] = np.sign(cube[np.arange(2000), side]) * 0.05
    xyz = np.r_[table, cube + [0.02 * number, 0, 0.055]].astype(np.float32)
    return (
        xyz,
        np.r_[np.full((6000, 3), 120), np.full((2000, 3), [200, 0, 0])].astype(np.uint8),
        np.arange(8000) >= 6000,
    )


def write_bag(path: Path, count: int = 4) -> None:
    """Clouds of a sensor that drives 1 m a cloud, with its transforms."""
    store = typestore()
    types = store.types
    stamp_type, header_type = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    with rosbags.Writer(path, version=9, storage_plugin=rosbags.StoragePlugin.MCAP) as writer:
        points = writer.add_connection("/points", CLOUD, typestore=store)
        transforms = writer.add_connection("/tf", TF, typestore=store)
        for number in range(count):
            time = (100 + number) * SECOND
            header = header_type(stamp=stamp_type(sec=100 + number, nanosec=0), frame_id="sensor")
            vector = types["geometry_msgs/msg/Vector3"](x=float(number), y=0.0, z=0.0)
            turn = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
            item = types["geometry_msgs/msg/TransformStamped"](
                header=header_type(stamp=header.stamp, frame_id="map"),
                child_frame_id="sensor",
                transform=types["geometry_msgs/msg/Transform"](translation=vector, rotation=turn),
            )
            writer.write(transforms, time, store.serialize_cdr(types[TF](transforms=[item]), TF))
            xyz, rgb, _ = scene(number)
            buffer = clouds.plain(xyz - np.float32([number, 0, 0]), rgb)
            fields = [
                types["sensor_msgs/msg/PointField"](name=n, offset=o, datatype=t, count=1)
                for n, o, t in clouds.fields_of(buffer.points.dtype)
            ]
            message = types[CLOUD](
                header=header, height=1, width=8000, fields=fields, is_bigendian=False, point_step=16,
                row_step=16 * 8000, data=np.frombuffer(buffer.data, np.uint8), is_dense=True,
            )  # fmt: skip
            writer.write(points, time, store.serialize_cdr(message, CLOUD))


@pytest.mark.parametrize("suffix", ["", ".mcap"])
def test_bag_in_bag_out(tmp_path: Path, suffix: str, capsys: Any) -> None:
    write_bag(tmp_path / "in")
    source = tmp_path / "in"
    if suffix:
        source = next((tmp_path / "in").glob("*.mcap")).rename(tmp_path / "in.mcap")
    clicks = [
        {"point": [0.0, 0.0, 0.105], "object": "cup", "frame": "map"},
        {"point": [0.3, 0.3, 0.0], "object": "", "frame": "map", "time": 1.0},
    ]
    (tmp_path / "clicks.json").write_text(json.dumps(clicks))
    words = ["bag", str(source), str(tmp_path / f"out{suffix}"), "--clicks", str(tmp_path / "clicks.json")]
    options = ["--model", "random_walker", "--voxel-size", "0.02", "--fixed-frame", "map", "--export", "semantickitti"]
    assert main([*words, *options, "--export-folder", str(tmp_path / "kitti")]) == 0
    with Bag(tmp_path / f"out{suffix}") as bag:
        assert bag.topics(CLOUD) == {"/points/labelled": 4} and bag.topics(TF) == {"/tf": 4}
        for number, record in enumerate(bag.messages("/points/labelled")):
            message = bag.decode(record)
            mask, truth = read_field(message, "instance") == 1, scene(number)[2]
            assert (mask & truth).sum() / (mask | truth).sum() > 0.7
            assert len(read_points(message)) == 8000 and message.header.frame_id == "sensor"
        assert bag.topics(OBJECTS) == {"/points/objects": 4}
        last = bag.decode(list(bag.messages("/points/objects"))[-1])
        cup, mask = last.objects[0], mask  # of the last cloud
        assert (cup.id, cup.index, cup.state) == ("cup", 1, SEEN) and cup.points == mask.sum()
        xyz = read_points(message).xyz[mask]
        np.testing.assert_allclose([cup.box_min.x, cup.box_max.z], [xyz[:, 0].min(), xyz[:, 2].max()], atol=1e-6)
        np.testing.assert_allclose([cup.size.x, cup.size.y, cup.size.z], 0.1, atol=0.06)
        assert len(cup.clicks) == 1 and last.header == message.header and last.model == "random_walker"
    sequence = tmp_path / "kitti" / "sequences" / "00"
    labels = np.fromfile(sequence / "labels" / "000003.label", np.uint32)
    assert len(labels) == 8000 and len(read_cloud(sequence / "velodyne" / "000003.bin")) == 8000
    assert main([*words, *options]) == 1
    assert "is there already" in capsys.readouterr().err


def many(folder: Path) -> list[str]:
    """Two bags with their clicks; the words to segment them."""
    for name, count in (("first", 2), ("second", 3)):
        write_bag(folder / "bags" / name, count)
        (folder / "clicks").mkdir(exist_ok=True)
        content = [{"point": [0.0, 0.0, 0.105], "object": "cup", "frame": "map"}]
        (folder / "clicks" / f"{name}.json").write_text(json.dumps(content))
    options = ["--model", "random_walker", "--voxel-size", "0.02", "--fixed-frame", "map"]
    return ["bag", str(folder / "bags"), "--clicks", str(folder / "clicks"), *options]


def masks(path: Path) -> list[bytes]:
    """Of every cloud of a bag."""
    with Bag(path) as bag:
        return [bag.decode(record).data.tobytes() for record in bag.messages("/points/labelled")]


def test_a_folder_of_bags_goes_on_where_it_was(tmp_path: Path, capsys: Any) -> None:
    words, out = many(tmp_path), tmp_path / "out"
    assert main([*words, str(out)]) == 0
    assert [len(masks(out / f"{name}.mcap")) for name in ("first", "second")] == [2, 3]
    (out / "second.mcap").unlink()
    assert main([*words, str(out)]) == 0
    assert "2 bags, 1 of them new" in capsys.readouterr().err
    (tmp_path / "clicks" / "first.json").unlink()
    assert main([*words, str(out)]) == 1 and "no first.json" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_cluster_makes_the_same_of_a_folder_of_bags(tmp_path: Path, two_workers: None) -> None:
    words = many(tmp_path)
    assert main([*words, str(tmp_path / "here")]) == 0 == main([*words, str(tmp_path / "there"), "--ray"])
    for name in ("first", "second"):
        assert masks(tmp_path / "here" / f"{name}.mcap") == masks(tmp_path / "there" / f"{name}.mcap")


def test_an_export_has_a_folder_of_its_own_and_loses_nothing(tmp_path: Path, capsys: Any) -> None:
    write_bag(tmp_path / "in", 1)
    (tmp_path / "clicks.json").write_text('[{"point": [0, 0, 0.105], "object": "cup"}]')
    words = ["bag", str(tmp_path / "in"), str(tmp_path / "out"), "--clicks", str(tmp_path / "clicks.json")]
    words += ["--model", "random_walker", "--voxel-size", "0.02", "--export", "semantickitti"]
    assert main([*words, "--export-folder", str(tmp_path / "out")]) == 1
    assert "at once" in capsys.readouterr().err
    mine = tmp_path / "out_semantickitti"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert main(words) == 1
    assert "is there already" in capsys.readouterr().err and not (tmp_path / "out").exists()
    mine.rename(tmp_path / "mine")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objects"]["cup"] > 0
    assert (tmp_path / "out").is_dir() and (mine / "sequences" / "00" / "labels" / "000000.label").is_file()
    assert json.loads((mine / "export.json").read_text())["clouds"][0][0]["name"] == "cup"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clicks.json", "in", "mine", "out", mine.name]


def test_bad_clicks_and_bags(tmp_path: Path, capsys: Any) -> None:
    clicks = tmp_path / "clicks.json"
    write_bag(tmp_path / "in", 1)
    for content, words in (
        ("{", "holds no clicks"),
        ("[]", "nothing to segment"),
        ('[{"point": [1, 2]}]', "holds no clicks"),
    ):
        clicks.write_text(content)
        assert main(["bag", str(tmp_path / "in"), str(tmp_path / "out"), "--clicks", str(clicks)]) == 1
        assert words in capsys.readouterr().err
    clicks.write_text('[{"point": [0, 0, 0.1], "object": "a"}]')
    for bag, words in ((tmp_path / "none", "no bag at"), (clicks, "cannot be read as a bag")):
        assert main(["bag", str(bag), str(tmp_path / "out"), "--clicks", str(clicks)]) == 1
        assert words in capsys.readouterr().err
    words = ["bag", str(tmp_path / "in"), str(tmp_path / "out"), "--clicks", str(clicks), "--topic", "/nothing"]
    assert main(words) == 1
    assert "no clouds on /nothing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
