"""Exports, read back by readers that are not ours; and what is there already stays, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, read_cloud
from iseg3d_ros.data.open import open_data
from iseg3d_ros.io.bags import typestore
from iseg3d_ros.io.exports import FORMATS, ExportedObject, ExportFolder, LabelledResult, export, format_of

NAMES = ("cup", "a \"lorry\",\nend_header DATA ü")


def result(objects: bool = True) -> LabelledResult:
    """A floor, a cube at (5, 2, 0.5) and a long box turned by 30 degrees, with NaN among them."""
    rng = np.random.default_rng(0)
    floor = rng.uniform([-3, -3, 0], [3, 3, 0.01], (300, 3))
    cube = rng.uniform(-0.5, 0.5, (400, 3)) + [5, 2, 0.5]
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    lorry = rng.uniform([-3, -1, -1], [3, 1, 1], (3000, 3)) @ turn.T + [10, -4, 1]
    xyz = np.concatenate([floor, cube, lorry]).astype(np.float32)
    labels = np.repeat([0, 1, 3], [300, 400, 3000]).astype(np.int32)
    xyz[0] = np.nan
    rgb = rng.integers(0, 256, xyz.shape).astype(np.uint8)
    values = rng.uniform(0, 1, (3, len(xyz))).astype(np.float32)
    named = (ExportedObject(1, NAMES[0], "mug"), ExportedObject(3, NAMES[1], "truck")) if objects else ()
    return LabelledResult(Cloud(xyz, rgb, values[0], labels), named, values[1], values[2])


def objects_of(lines: list[str]) -> list[dict]:
    return [json.loads(line.split("object ", 1)[1]) for line in lines if "object {" in line]


def same_objects(objects: list[dict]) -> None:
    assert [(item["label"], item["name"], item["class"]) for item in objects] == [
        (1, NAMES[0], "mug"), (3, NAMES[1], "truck")
    ]  # fmt: skip
    np.testing.assert_allclose(objects[0]["box"]["centre"], [5, 2, 0.5], atol=0.05)
    np.testing.assert_allclose(sorted(objects[1]["box"]["size"]), [2, 2, 6], atol=0.15)


def test_ply_by_plyfile(tmp_path: Path) -> None:
    plyfile = pytest.importorskip("plyfile", reason="plyfile is not installed")
    given = result()
    export(tmp_path / "a.ply", "ply", given)
    file = plyfile.PlyData.read(str(tmp_path / "a.ply"))
    vertex = file["vertex"]
    assert (np.asarray(vertex["label"]) == given.labels).all()
    assert (np.asarray(vertex["red"]) == given.cloud.rgb[:, 0]).all()
    np.testing.assert_array_equal(np.asarray(vertex["uncertainty"]), given.uncertainty)
    np.testing.assert_array_equal(np.asarray(vertex["x"]), given.cloud.xyz[:, 0])
    same_objects(objects_of(file.comments))


def test_pcd_by_open3d(tmp_path: Path) -> None:
    o3d = pytest.importorskip("open3d", reason="open3d is not installed")
    given = result()
    export(tmp_path / "a.pcd", "pcd", given)
    points = o3d.t.io.read_point_cloud(str(tmp_path / "a.pcd"), remove_nan_points=False).point
    np.testing.assert_array_equal(points.positions.numpy(), given.cloud.xyz)
    assert (points["label"].numpy()[:, 0] == given.labels).all()
    np.testing.assert_array_equal(points["uncertainty"].numpy()[:, 0], given.uncertainty)
    header = (tmp_path / "a.pcd").read_bytes().split(b"\nDATA binary")[0].decode()
    same_objects(objects_of(header.splitlines()))


@pytest.mark.parametrize("name", ["las", "laz"])
def test_las_by_laspy(tmp_path: Path, name: str) -> None:
    laspy = pytest.importorskip("laspy", reason="laspy is not installed")
    if name == "laz":
        pytest.importorskip("lazrs", reason="lazrs is not installed")
    given = result()
    export(tmp_path / f"a.{name}", name, given)
    las = laspy.read(str(tmp_path / f"a.{name}"))
    there = np.isfinite(given.cloud.xyz).all(axis=1)
    np.testing.assert_allclose(las.xyz, given.cloud.xyz[there], atol=1e-4)
    assert (las["instance"] == given.labels[there]).all()
    np.testing.assert_array_equal(las["uncertainty"], given.uncertainty[there])
    assert (np.asarray(las.red) >> 8 == given.cloud.rgb[there, 0]).all()
    record = next(item for item in las.header.vlrs if item.user_id == "iseg3d")
    content = json.loads(record.record_data_bytes())
    same_objects(content["objects"])
    assert set(np.asarray(las.classification)[given.labels[there] == 3]) == {content["classes"]["truck"]}
    assert set(np.asarray(las.classification)[given.labels[there] == 0]) == {1}


def test_e57_by_pye57(tmp_path: Path) -> None:
    pye57 = pytest.importorskip("pye57", reason="pye57 is not installed")
    given = result()
    export(tmp_path / "a.e57", "e57", given)
    file = pye57.E57(str(tmp_path / "a.e57"))
    assert file.scan_count == 3
    assert file.get_header(1)["name"].value() == "1 cup (mug)"
    cube = file.read_scan_raw(1)
    np.testing.assert_allclose(cube["cartesianX"], given.cloud.xyz[given.labels == 1, 0])
    assert (cube["colorGreen"] == given.cloud.rgb[given.labels == 1, 1]).all()
    file.close()


def test_npz_by_numpy(tmp_path: Path) -> None:
    given = result()
    export(tmp_path / "a.npz", "npz", given)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert list(file["object_names"]) == list(NAMES) and list(file["object_labels"]) == [1, 3]
        np.testing.assert_allclose(file["box_centre"][0], [5, 2, 0.5], atol=0.05)
        np.testing.assert_array_equal(file["uncertainty"], given.uncertainty)


def test_semantickitti(tmp_path: Path) -> None:
    given = result()
    with ExportFolder(tmp_path / "out", "semantickitti") as folder:
        folder.add(given)
        folder.add(given)
    sequence = tmp_path / "out" / "sequences" / "00"
    packed = np.fromfile(sequence / "labels" / "000001.label", np.uint32)  # as semantic-kitti-api reads it
    assert (packed >> 16 == given.labels).all()
    assert set(packed[given.labels == 3] & 0xFFFF) == {18} and set(packed[given.labels == 1] & 0xFFFF) == {99}
    scan = np.fromfile(sequence / "velodyne" / "000001.bin", np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(scan[:, 3], given.cloud.intensity)
    same_objects(json.loads((tmp_path / "out" / "export.json").read_text())["clouds"][1])


def test_kitti_by_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    export(tmp_path / "out", "kitti", result())
    training = tmp_path / "out" / "training"
    rows = pandas.read_csv(training / "label_2" / "000000.txt", sep=" ", header=None)
    assert rows.shape == (2, 15) and list(rows[0]) == ["mug", "truck"]
    calib = dict(line.split(": ") for line in (training / "calib" / "000000.txt").read_text().splitlines())
    to_camera = np.array(calib["Tr_velo_to_cam"].split(), float).reshape(3, 4)
    height, width, length, x, y, z, turn = rows.iloc[1, 8:].astype(float)
    # KITTI's development kit: corners from h, w, l about the bottom's middle, turned about the camera's y axis.
    corners = np.array([[a * length / 2, -b * height, c * width / 2] for a in (-1, 1) for b in (0, 1) for c in (-1, 1)])
    cos, sin = np.cos(turn), np.sin(turn)
    corners = corners @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T + [x, y, z]
    back = (corners - to_camera[:, 3]) @ to_camera[:, :3]
    given = result()
    lorry = given.cloud.xyz[given.labels == 3]
    np.testing.assert_allclose(back.min(0), lorry.min(0), atol=0.15)
    np.testing.assert_allclose(back.max(0), lorry.max(0), atol=0.15)


def test_pointcept(tmp_path: Path) -> None:
    given = result()
    export(tmp_path / "out", "pointcept", given)
    scene = {path.stem: np.load(path) for path in (tmp_path / "out" / "scene000000").glob("*.npy")}
    assert set(np.unique(scene["instance"])) == {-1, 0, 2} and set(np.unique(scene["segment"])) == {-1, 0, 1}
    assert (tmp_path / "out" / "scene000000" / "classes.txt").read_text() == "mug\ntruck\n"
    assert scene["coord"].shape == scene["color"].shape == (3700, 3)


def test_mcap_by_rosbags_and_as_a_scan(tmp_path: Path) -> None:
    """A recording of one cloud: read by rosbags, as labelled data, and as a scan to go on with."""
    highlevel = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed")
    given, path = result(), tmp_path / "a.mcap"
    export(path, "mcap", given)
    with highlevel.AnyReader([path], default_typestore=typestore()) as reader:
        read = {c.topic: reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()}
    assert read["/labelled"].width == len(given.labels) and read["/labelled"].header.frame_id == "map"
    assert not read["/labelled"].is_dense
    same_objects(json.loads(read["/objects"].data))
    cloud, there = open_data(path)[0].cloud, np.isfinite(given.cloud.xyz).all(1)
    np.testing.assert_array_equal(cloud.instance, np.array([0, 1, 0, 2])[given.labels[there]])  # without gaps
    np.testing.assert_array_equal(cloud.xyz, given.cloud.xyz[there])
    np.testing.assert_array_equal(cloud.rgb, given.cloud.rgb[there])


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if not form.folder])
def test_bare_results_are_written_and_nothing_is_written_over(tmp_path: Path, name: str) -> None:
    for package in {"las": ["laspy"], "laz": ["laspy", "lazrs"], "e57": ["pye57"],
                    "mcap": ["rosbags"]}.get(name, []):
        pytest.importorskip(package, reason=f"{package} is not installed")
    path = tmp_path / f"a.{name}"
    given = result(objects=False)
    export(path, name, LabelledResult(Cloud(given.cloud.xyz, None, None, given.labels), ()))
    first = path.read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        export(path, name, result())
    assert path.read_bytes() == first
    export(path, name, result(), overwrite=True)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    if name in ("ply", "pcd", "npz"):
        assert (read_cloud(path).labels == given.labels).all()


def test_a_package_that_is_missing_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install laspy"):
        export(tmp_path / "a.las", "las", result())
    with pytest.raises(ValueError, match=r"\.ply, .* folders semantickitti"):
        format_of(Path("a.xyz"))


def test_only_an_exported_folder_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError):
            export(out, "kitti", result(), overwrite)
    export(tmp_path / "new", "kitti", result())
    with pytest.raises(FileExistsError, match="--overwrite"):
        export(tmp_path / "new", "kitti", result())
    export(tmp_path / "new", "pointcept", result(), overwrite=True)
    assert (tmp_path / "new" / "scene000000").is_dir() and not (tmp_path / "new" / "training").exists()
    (tmp_path / "new" / "mine.txt").write_text("notes")
    with pytest.raises(FileExistsError, match=r"mine\.txt"):
        export(tmp_path / "new", "kitti", result(), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out"]


def test_a_name_taken_meanwhile_loses_nothing(tmp_path: Path) -> None:
    place = ExportFolder(tmp_path / "o", "kitti")
    with pytest.raises(OSError, match=r"everything is in .*\.part") as error, place as folder:
        folder.add(result())
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "other").write_text("x")
    part = Path(str(error.value).rsplit(" is in ", 1)[1].rstrip("."))
    assert (part / "training" / "label_2" / "000000.txt").is_file() and (tmp_path / "o" / "other").is_file()


KILLED = """
import os, signal, sys
from pathlib import Path
from iseg3d_ros.io import exports, export_place
sys.path.insert(0, {here!r})
from test_exports import result
what, out = sys.argv[1], Path(sys.argv[2])
die = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
if what == "file":
    export_place._sync = die  # all is written, the name is not taken
    exports.export(out, "ply", result(), overwrite=True)
elif what == "folder":
    with exports.ExportFolder(out, "kitti", overwrite=True) as folder:
        folder.add(result())
        die()
else:
    rename, count = os.rename, []
    export_place.os.rename = lambda *a: die() if count else (count.append(1), rename(*a))
    exports.export(out, "kitti", result(), overwrite=True)
"""


@pytest.mark.parametrize("what", ["file", "folder", "between the renames"])
def test_killed_in_between(tmp_path: Path, what: str) -> None:
    out = tmp_path / ("a.ply" if what == "file" else "out")
    export(out, "ply" if what == "file" else "kitti", result())
    before = {path.name: path.read_bytes() for path in ([out] if what == "file" else out.rglob("*")) if path.is_file()}
    code = KILLED.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code, what, str(out)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    if what == "between the renames":  # for that moment the name is free, and both are on the disk
        old, new = next(tmp_path.glob(".out.*.old")), next(tmp_path.glob(".out.*.part"))
        assert (new / "export.json").is_file()
        out = old
    after = {path.name: path.read_bytes() for path in ([out] if what == "file" else out.rglob("*")) if path.is_file()}
    assert after == before


@pytest.mark.parametrize("kind", ["ply", "pcd", "npz"])
def test_variance_goes_along_where_a_network_sampled(tmp_path: Path, kind: str) -> None:
    given = result()
    varied = replace(given, variance=given.probability * 2)
    for name, content in (("plain", given), ("varied", varied)):
        export(tmp_path / f"{name}.{kind}", kind, content)
    assert b"variance" not in (tmp_path / f"plain.{kind}").read_bytes()
    assert b"variance" in (tmp_path / f"varied.{kind}").read_bytes()
    if kind == "npz":
        with np.load(tmp_path / "varied.npz") as file:
            np.testing.assert_array_equal(file["variance"], varied.variance)
