"""Tiny data in the true layout of every kind that is read, large enough to train on: some blocks on a floor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.io.journal import Journal

Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # xyz float32 (N, 3), rgb uint8 (N, 3), instance int (N,)


def blocks(seed: int, scale: float = 1.0) -> Points:
    """A floor and two coloured blocks on it, 3 m wide times the scale."""
    rng = np.random.default_rng(seed)
    floor = np.c_[rng.uniform(0, 3, (700, 2)), np.zeros(700)]
    parts = [floor, *(rng.uniform(0, 0.6, (250, 3)) + [x, rng.uniform(0.5, 2), 0.02] for x in (0.4, 1.8))]
    instance = np.repeat([0, 1, 2], [700, 250, 250])
    colours = rng.integers(0, 255, (3, 3), np.uint8)[instance]
    return (np.concatenate(parts) * scale).astype(np.float32), colours, instance


def ply(
    path: Path, columns: Mapping[str, tuple[str, np.ndarray]], faces: list[tuple[list[int], int]] | None = None
) -> Path:
    """A binary PLY with fields of the given PLY types; faces are quads or triangles with an object_id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(next(iter(columns.values()))[1])
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property {kind} {name}" for name, (kind, _) in columns.items()]
    if faces is not None:
        header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "property int object_id"]
    types = {"float": "<f4", "uchar": "u1", "int": "<i4"}
    rows = np.zeros(count, [(name, types[kind]) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        rows[name] = values
    body = rows.tobytes()
    for corners, owner in faces or []:
        body += np.uint8(len(corners)).tobytes() + np.array([*corners, owner], "<i4").tobytes()
    path.write_bytes("\n".join([*header, "end_header", ""]).encode() + body)
    return path


def fields(xyz: np.ndarray, rgb: np.ndarray, names: str = "red green blue") -> dict[str, tuple[str, np.ndarray]]:
    """Columns of a PLY."""
    columns = {axis: ("float", xyz[:, k]) for k, axis in enumerate("xyz")}
    return columns | {name: ("uchar", rgb[:, k]) for k, name in enumerate(names.split())}


def scannet(root: Path) -> str:
    """Meshes, over-segmentations, aggregations, table and lists."""
    for k, name in enumerate(("scene0000_00", "scene0011_00")):
        xyz, rgb, instance = blocks(k)
        scene = root / "scans" / name
        ply(scene / f"{name}_vh_clean_2.ply", fields(xyz, rgb) | {"alpha": ("uchar", rgb[:, 0])})
        segments = {"segIndices": (instance * 7).tolist()}
        (scene / f"{name}_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
        groups = [{"id": g, "objectId": g, "segments": [7 * (g + 1)], "label": "office chair"} for g in range(2)]
        (scene / f"{name}.aggregation.json").write_text(json.dumps({"sceneId": name, "segGroups": groups}))
    (root / "scannetv2_val.txt").write_text("scene0011_00\n")
    (root / "scannetv2_train.txt").write_text("scene0000_00\n")
    rows = "id\traw_category\tcategory\tnyu40id\tnyu40class\n1\toffice chair\tchair\t5\tchair\n"
    (root / "scannetv2-labels.combined.tsv").write_text(rows)
    return f"scannet20:{root}"


def s3dis(root: Path) -> str:
    """A text file an instance."""
    for k, area in enumerate(("Area_1", "Area_5")):
        xyz, rgb, instance = blocks(k)
        notes = root / area / "office_1" / "Annotations"
        notes.mkdir(parents=True)
        for number, name in enumerate(("floor_1", "chair_1", "table_1")):
            own = instance == number
            np.savetxt(notes / f"{name}.txt", np.c_[xyz[own], rgb[own]], fmt="%.3f %.3f %.3f %d %d %d")
    return str(root)


def semantickitti(root: Path) -> str:
    """Sweeps and packed labels."""
    for k, sequence in enumerate(("00", "08")):
        xyz, _, instance = blocks(k, 8.0)
        folder = root / "dataset" / "sequences" / sequence
        (folder / "velodyne").mkdir(parents=True)
        (folder / "labels").mkdir()
        np.column_stack([xyz, xyz[:, 0]]).astype("<f4").tofile(folder / "velodyne" / "000000.bin")
        np.where(instance > 0, 10 | instance << 16, 40).astype("<u4").tofile(folder / "labels" / "000000.label")
    return str(root)


def kitti360(root: Path) -> str:
    """Windows of the static scene, and both lists."""
    top = root / "data_3d_semantics" / "train"
    for k, (window, part) in enumerate((("0000000002_0000000385", "train"), ("0000000372_0000000610", "val"))):
        xyz, rgb, instance = blocks(k, 8.0)
        number = np.where(instance > 0, 26000 + instance, 7000)
        columns = fields(xyz, rgb) | {"semantic": ("int", number // 1000), "instance": ("int", number)}
        where = "2013_05_28_drive_0000_sync/static/" + window + ".ply"
        ply(top / where, columns)
        (top / f"2013_05_28_drive_{part}.txt").write_text(f"data_3d_semantics/train/{where}\n")
    return str(top)


def replica(root: Path) -> str:
    """Semantic meshes, whose faces are owned by objects."""
    for k in range(2):
        xyz, rgb, instance = blocks(k)
        faces = [([i, i + 1, i + 2], int(instance[i])) for i in range(0, len(xyz) - 2, 3)]
        mesh = ply(root / f"room_{k}" / "habitat" / "mesh_semantic.ply", fields(xyz, rgb), faces)
        names = ("undefined", "chair", "table")
        objects = [{"id": number, "class_id": number, "class_name": name} for number, name in enumerate(names)]
        (mesh.parent / "info_semantic.json").write_text(json.dumps({"objects": objects}))
    return str(root)


def partnet(root: Path) -> str:
    """Shapes with sampled points."""
    for k in range(2):
        xyz, _, instance = blocks(k, 0.33)
        shape = root / "data_v0" / str(170 + k)
        (shape / "point_sample").mkdir(parents=True)
        np.savetxt(shape / "point_sample" / "pts-10000.txt", np.c_[xyz, xyz])
        np.savetxt(shape / "point_sample" / "label-10000.txt", instance + 1, fmt="%d")
        tree = [{"id": 0, "name": "chair", "children": [{"id": n + 1, "name": f"part{n}"} for n in range(3)]}]
        (shape / "result_after_merging.json").write_text(json.dumps(tree))
    return str(root)


def agile3d(root: Path) -> str:
    """AGILE3D's list of multi-object samples."""
    entries = {}
    for k in range(2):
        xyz, rgb, instance = blocks(k)
        ply(root / "scans" / f"scene{k}.ply", fields(xyz, rgb, "R G B") | {"label": ("int", instance)})
        entries[f"scene{k}_obj_2"] = {"obj": {"1": 2, "2": 1}, "clicks": {}}
    (root / "val_list.json").write_text(json.dumps(entries))
    return str(root)


def own(root: Path) -> str:
    """A PLY, a PCD, an npz."""
    for k, suffix in enumerate(("ply", "pcd", "npz")):
        xyz, rgb, instance = blocks(k)
        if suffix == "npz":
            np.savez(root / "scan2.npz", xyz_mm=(1000 * xyz).astype(np.int32), label=instance)
        else:
            write_cloud(root / f"scan{k}.{suffix}", Cloud(xyz, rgb, None, instance.astype(np.int32)))
    return str(root)


def session(root: Path) -> str:
    """The journals of two pieces of work."""
    for k in range(2):
        xyz, rgb, instance = blocks(k)
        journal, _ = Journal.open(root / f"work{k}" / "journal")
        arrays = {"xyz": xyz, "rgb": rgb, "masks.labels": instance.astype(np.int32)}
        journal.snapshot({"session": {}}, arrays).result(10)
        journal.close()
    return str(root)


def bag(root: Path) -> str:
    """A bag of four labelled clouds, as `iseg3d bag` writes them, beside a topic of other clouds."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from iseg3d_ros.io.bags import CLOUD, typestore

    store = typestore()
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("instance", "<i4")])
    with Writer(root / "labelled", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, names in (("/labelled", dtype.names), ("/a_raw", dtype.names[:3])):
            connection = writer.add_connection(topic, CLOUD, typestore=store)
            for k in range(4):
                message = _message(store.types, np.dtype([(name, dtype[name]) for name in names]), k)
                writer.write(connection, k, store.serialize_cdr(message, CLOUD))
    return str(root / "labelled")


def _message(types: Mapping[str, type], dtype: np.dtype, seed: int) -> object:
    xyz, _, instance = blocks(seed)
    rows = np.zeros(len(xyz), dtype)
    for name, values in zip(dtype.names or (), (*xyz.T, instance), strict=False):
        rows[name] = values
    kinds = {"<f4": 7, "<i4": 5}
    fields_of_points = [
        types["sensor_msgs/msg/PointField"](name=name, offset=4 * k, datatype=kinds[dtype[name].str], count=1)
        for k, name in enumerate(dtype.names or ())
    ]
    stamp = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    return types["sensor_msgs/msg/PointCloud2"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="map"), height=1, width=len(rows),
        fields=fields_of_points, is_bigendian=False, point_step=dtype.itemsize, row_step=dtype.itemsize * len(rows),
        data=np.frombuffer(rows.tobytes(), np.uint8), is_dense=True,
    )  # fmt: skip


LAYOUTS: dict[str, Callable[[Path], str]] = {
    f.__name__: f for f in (scannet, s3dis, semantickitti, kitti360, replica, partnet, agile3d, own, session, bag)
}
