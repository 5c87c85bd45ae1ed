"""Readers of the public data sets, on tiny files written here in exactly their formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import REALSET, needs_realset
from data_layouts import ply

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.data.open import open_data
from iseg3d_ros.data.sample import Sample

XYZ = np.arange(36, dtype=np.float32).reshape(12, 3) / 10
RGB = np.arange(36, dtype=np.uint8).reshape(12, 3)


def _points(names: str = "red green blue") -> dict[str, tuple[str, np.ndarray]]:
    columns = {axis: ("float", XYZ[:, k]) for k, axis in enumerate("xyz")}
    return columns | {name: ("uchar", RGB[:, k]) for k, name in enumerate(names.split())}


def _counts(sample: Sample) -> list[int]:
    return np.bincount(sample.cloud.instance, minlength=len(sample.cloud.classes) + 1).tolist()


def _scannet(root: Path) -> Path:
    for name in ("scene0000_00", "scene0011_00"):
        scene = root / "scans" / name
        ply(scene / f"{name}_vh_clean_2.ply", _points() | {"alpha": ("uchar", RGB[:, 0])})
        segments = [7, 7, 7, 9, 9, 9, 9, 12, 12, 30, 30, 30]
        (scene / f"{name}_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": segments}))
        groups = [
            {"id": 0, "objectId": 0, "segments": [7], "label": "office chair"},
            {"id": 1, "objectId": 1, "segments": [9, 12], "label": "ball"},
            {"id": 2, "objectId": 2, "segments": [30], "label": "books"},
        ]
        (scene / f"{name}.aggregation.json").write_text(json.dumps({"sceneId": name, "segGroups": groups}))
    (root / "scannetv2_val.txt").write_text("scene0011_00\n")
    (root / "scannetv2_train.txt").write_text("scene0000_00\n")
    rows = ["id\traw_category\tcategory\tnyu40id\tnyu40class", "1\toffice chair\tchair\t5\tchair",
            "2\tball\tball\t40\totherprop", "3\tbooks\tbook\t23\tbooks"]  # fmt: skip
    (root / "scannetv2-labels.combined.tsv").write_text("\n".join(rows) + "\n")
    return root


def test_scannet_in_both_views_and_official_splits(tmp_path: Path) -> None:
    root = _scannet(tmp_path)
    samples = open_data(root)
    assert [s.name for s in samples] == ["scene0011_00"]
    assert samples[0].cloud.classes == ("chair", "otherprop", "books")
    assert _counts(samples[0]) == [0, 3, 6, 3]
    np.testing.assert_array_equal(samples[0].cloud.rgb, RGB)
    assert _counts(open_data(f"scannet20:{root}")[0]) == [9, 3]  # a ball and books are not among the twenty
    assert open_data(root, split="train")[0].name == "scene0000_00"
    assert open_data(root / "scans" / "scene0000_00")[0].name == "scene0000_00"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("scene0011_00_vh_clean_2.0.010000.segs.json", '{"segIndices": [1, 2]}', "12 vertices"),
        ("scene0011_00_vh_clean_2.0.010000.segs.json", '{"segIndices": [1,', "no JSON"),
        ("scene0011_00.aggregation.json", '{"segGroups": [{"id": 0}]}', "aggregation.json is damaged"),
        ("scene0011_00_vh_clean_2.ply", "ply\n", "truncated"),
    ],
)
def test_damaged_scannet_files_are_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    root = _scannet(tmp_path)
    (root / "scans" / "scene0011_00" / name).write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        open_data(root)[0]
    assert name in str(caught.value)


def test_scannet_without_its_table_says_what_is_missing(tmp_path: Path) -> None:
    root = _scannet(tmp_path)
    (root / "scannetv2-labels.combined.tsv").unlink()
    with pytest.raises(ValueError, match="combined.tsv is missing"):
        open_data(root)


def test_s3dis_takes_area_5(tmp_path: Path) -> None:
    for area in ("Area_1", "Area_5"):
        notes = tmp_path / area / "office_1" / "Annotations"
        notes.mkdir(parents=True)
        (notes / "chair_1.txt").write_text("1.0 2.0 3.0 10 20 30\n1.5 2.0 3.0 10 20 30\n")
        (notes / "chair_2.txt").write_text("4.0 2.0 3.0 255 255 0\n")
        (notes / "wall_1.txt").write_bytes(b"0.0 0.0 -1e-1 1 2\x10 3\n")  # a control byte, as in a released file
    samples = open_data(tmp_path)
    assert [s.name for s in samples] == ["Area_5/office_1"]
    cloud = samples[0].cloud
    assert cloud.classes == ("chair", "chair", "wall") and _counts(samples[0]) == [0, 2, 1, 1]
    np.testing.assert_allclose(cloud.xyz[3], [0, 0, -0.1])
    assert cloud.rgb is not None and cloud.rgb[2].tolist() == [255, 255, 0]
    (tmp_path / "Area_5/office_1/Annotations/chair_2.txt").write_text("4.0 2.0 3.0 255\n")
    with pytest.raises(ValueError, match=r"chair_2\.txt is truncated"):
        samples[0]


def test_semantickitti_validates_on_sequence_08(tmp_path: Path) -> None:
    for sequence in ("00", "08"):
        folder = tmp_path / "dataset" / "sequences" / sequence
        (folder / "velodyne").mkdir(parents=True)
        (folder / "labels").mkdir()
        np.column_stack([XYZ, XYZ[:, 0]]).astype("<f4").tofile(folder / "velodyne" / "000000.bin")
        packed = np.array([40] * 4 + [10 | 1 << 16] * 3 + [30 | 1 << 16] * 2 + [252 | 2 << 16] * 3, "<u4")
        packed.tofile(folder / "labels" / "000000.label")
    samples = open_data(tmp_path)
    assert [s.name for s in samples] == ["08/000000"]
    assert samples[0].cloud.classes == ("car", "person", "moving-car") and _counts(samples[0]) == [4, 3, 2, 3]
    assert samples[0].cloud.rgb is None and samples[0].cloud.intensity is not None
    assert open_data(tmp_path, split="train")[0].name == "00/000000"
    (tmp_path / "dataset/sequences/08/labels/000000.label").write_bytes(b"1234")
    with pytest.raises(ValueError, match=r"000000\.label holds 1 labels"):
        samples[0]


def test_kitti360_windows(tmp_path: Path) -> None:
    drive = tmp_path / "data_3d_semantics" / "train" / "2013_05_28_drive_0000_sync" / "static"
    instance = np.array([7000] * 4 + [11001] * 4 + [26002] * 4)
    columns = _points() | {"semantic": ("int", instance // 1000), "instance": ("int", instance)}
    columns["x"] = ("float", XYZ[:, 0] + 4000)
    for window in ("0000000002_0000000385", "0000000372_0000000610"):
        ply(drive / f"{window}.ply", columns | {"visible": ("uchar", RGB[:, 0]), "confidence": ("float", XYZ[:, 0])})
    listed = "data_3d_semantics/train/2013_05_28_drive_0000_sync/static/0000000372_0000000610.ply\n"
    (drive.parents[1] / "2013_05_28_drive_val.txt").write_text(listed)
    samples = open_data(drive.parents[1])
    assert [s.name for s in samples] == ["2013_05_28_drive_0000_sync/0000000372_0000000610"]
    assert samples[0].cloud.classes == ("building", "car") and _counts(samples[0]) == [4, 4, 4]
    assert samples[0].cloud.xyz.max() < 10  # moved to its lowest corner


def test_replica_objects_come_from_faces(tmp_path: Path) -> None:
    faces = [([0, 1, 2, 3], 4), ([4, 5, 6, 7], 0), ([8, 9, 10, 11], 9)]
    mesh = ply(tmp_path / "room_0" / "habitat" / "mesh_semantic.ply", _points(), faces)
    objects = [{"id": 4, "class_id": 20, "class_name": "chair"}, {"id": 0, "class_id": 0, "class_name": "undefined"},
               {"id": 9, "class_id": 93, "class_name": "wall"}]  # fmt: skip
    (mesh.parent / "info_semantic.json").write_text(json.dumps({"objects": objects}))
    (sample,) = open_data(tmp_path)
    assert sample.name == "room_0" and sample.cloud.classes == ("chair", "wall") and _counts(sample) == [4, 4, 4]
    mesh.write_bytes(mesh.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"mesh_semantic\.ply is truncated"):
        open_data(tmp_path)[0]


def test_partnet_stands_up(tmp_path: Path) -> None:
    shape = tmp_path / "data_v0" / "173"
    (shape / "point_sample").mkdir(parents=True)
    np.savetxt(shape / "point_sample" / "pts-10000.txt", np.column_stack([XYZ, XYZ]))
    np.savetxt(shape / "point_sample" / "label-10000.txt", np.repeat([2, 5], 6), fmt="%d")
    tree = [{"id": 0, "name": "chair", "children": [{"id": 2, "name": "chair_seat"}, {"id": 5, "name": "leg"}]}]
    (shape / "result_after_merging.json").write_text(json.dumps(tree))
    (sample,) = open_data(tmp_path)
    assert sample.cloud.classes == ("chair_seat", "leg") and _counts(sample) == [0, 6, 6]
    np.testing.assert_allclose(sample.cloud.xyz[1], [XYZ[1, 0], -XYZ[1, 2], XYZ[1, 1]])
    (shape / "point_sample" / "label-10000.txt").write_text("2\n2\nx\n")
    with pytest.raises(ValueError, match=r"label-10000\.txt is damaged"):
        open_data(tmp_path)[0]


def _agile3d(root: Path) -> Path:
    label = np.array([-1] * 3 + [4] * 3 + [9] * 6)
    ply(root / "scans" / "scene0011_00.ply", _points("R G B") | {"label": ("int", label)})
    entry = {"obj": {"1": 9, "2": 4}, "clicks": {"1": 7, "2": 3}}
    (root / "val_list.json").write_text(json.dumps({"scene0011_00_obj_2": entry}))
    (root / "single").mkdir()
    np.save(root / "single" / "object_ids.npy", np.array([["scene0011_00", "4"]]))
    (root / "single" / "object_classes.txt").write_text("chair\n")
    return root


def test_agile3d_multi_object_samples(tmp_path: Path) -> None:
    (sample,) = open_data(_agile3d(tmp_path))
    assert sample.name == "scene0011_00_obj_2" and sample.objects == (1, 2)
    assert sample.cloud.instance.tolist() == [0] * 3 + [2] * 3 + [1] * 6
    np.testing.assert_array_equal(sample.cloud.rgb, RGB)


def test_agile3d_single_objects_on_scans_and_crops(tmp_path: Path) -> None:
    root = _agile3d(tmp_path)
    (sample,) = open_data(root / "single")
    assert sample.objects == (1,) and sample.cloud.classes == ("chair",) and sample.cloud.instance.sum() == 3
    crop = root / "single" / "crops" / "scene0011_00" / "scene0011_00_crop_4.ply"
    ply(crop, _points("R G B") | {"label": ("int", np.arange(12) % 2)})
    (sample,) = open_data(root / "single" / "object_ids.npy")
    assert sample.cloud.instance.sum() == 6


def test_agile3d_lists_are_never_unpickled(tmp_path: Path) -> None:
    root = _agile3d(tmp_path)
    np.save(root / "single" / "object_ids.npy", np.array([["a", 1]], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"object_ids\.npy is damaged, or holds Python objects"):
        open_data(root / "single")


def test_agile3d_names_what_is_missing(tmp_path: Path) -> None:
    root = _agile3d(tmp_path)
    (root / "val_list.json").write_text(json.dumps({"scene0011_00_obj_1": {"obj": {"1": 77}}}))
    with pytest.raises(ValueError, match="no point of object 77"):
        open_data(root)[0]
    (root / "scans" / "scene0011_00.ply").unlink()
    with pytest.raises(ValueError, match=r"scene0011_00\.ply is missing"):
        open_data(root)[0]


def test_own_clouds_with_settings(tmp_path: Path) -> None:
    labels = np.repeat([0, 3, 8], 4).astype(np.int32)
    write_cloud(tmp_path / "a.ply", Cloud(XYZ, RGB, None, labels))
    np.savez(tmp_path / "b.npz", xyz_mm=(XYZ * 1000).astype(np.int32), label=labels)
    plain = open_data(tmp_path)
    assert [s.name for s in plain] == ["a", "b"]
    assert plain[1].cloud.rgb is None and _counts(plain[1]) == [4, 4, 4]
    np.testing.assert_allclose(plain[0].cloud.xyz, plain[1].cloud.xyz, atol=1e-6)
    settings = {"up": "-y", "units": "cm", "colour": False, "background": [8], "classes": {"3": "chair"}}
    (tmp_path / "iseg3d.json").write_text(json.dumps(settings))
    sample = open_data(tmp_path)[0]
    assert sample.cloud.classes == ("chair",) and _counts(sample) == [8, 4] and sample.cloud.rgb is None
    np.testing.assert_allclose(sample.cloud.xyz[1], np.array([XYZ[1, 0], XYZ[1, 2], -XYZ[1, 1]]) / 100, rtol=1e-5)


@pytest.mark.parametrize(
    "settings, words",
    [('{"upp": "z"}', "upp is not understood"), ('{"up": "w"}', "up is"), ("{", "no JSON"), ("[]", "no table"),
     ('{"classes": {"a": "b"}}', "invalid literal")],
)  # fmt: skip
def test_bad_settings_are_named(tmp_path: Path, settings: str, words: str) -> None:
    write_cloud(tmp_path / "a.ply", Cloud(XYZ, None, None, np.ones(12, np.int32)))
    (tmp_path / "iseg3d.json").write_text(settings)
    with pytest.raises(ValueError, match=words) as caught:
        open_data(tmp_path)
    assert "iseg3d.json" in str(caught.value)


def test_own_clouds_need_labels(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", Cloud(XYZ, RGB))
    with pytest.raises(ValueError, match=r"a\.ply has no labels"):
        open_data(tmp_path)[0]


def test_made_scenes_and_slices(tmp_path: Path) -> None:
    cloud = LabelledCloud("s", XYZ, RGB, None, np.ones(12, np.int32), ("cup",), "tabletop", np.zeros(3, np.float32))
    write_scene(tmp_path / "s.scene", cloud)
    samples = open_data(tmp_path)
    assert len(samples) == 1 and samples[:1][0].cloud.classes == ("cup",) and samples[-1].objects == ()
    with pytest.raises(IndexError):
        samples[1]
    assert open_data(tmp_path / "s.scene")[0].name == "s"


def test_nothing_known_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no data that is recognised"):
        open_data(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        open_data(tmp_path / "absent")
    with pytest.raises(ValueError, match="'scannet' of data is unknown"):
        open_data(tmp_path, kind="scannet")


@needs_realset
def test_real_scenes_open_where_they_are() -> None:
    samples = open_data(REALSET / "tabletop")
    assert len(samples) == 24
    assert samples[0].cloud.rgb is not None and 2 <= len(samples[0].cloud.classes) <= 16


def test_the_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "own_data.md"
    monkeypatch.chdir(tmp_path)
    exec(page.read_text().split("```python\n")[1].split("```")[0], {})
    assert open_data(tmp_path / "my_scans")[0].cloud.classes == ("box", "can")
