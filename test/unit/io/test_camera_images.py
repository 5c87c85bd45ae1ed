"""Images of cameras beside clouds: lists of our own, KITTI's layout, RGB-D folders and bags give the same picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tables import photograph, table

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.photos import NOTHING, Photos
from iseg3d_ros.console.scans import Scan, scans_of
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate
from iseg3d_ros.geometry.transforms import quaternion
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.bags import CLOUD, TF, typestore

XYZ, RGB, TRUTH = table()
IMAGE, DEPTH, CAMERA = photograph(XYZ, RGB)
POSE = np.array(CAMERA["pose"])
K = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])


def listed(folder: Path) -> Scan:
    """A cloud with a list of cameras beside it."""
    write_cloud(folder / "scan.ply", Cloud(XYZ, RGB))
    Image.fromarray(IMAGE).save(folder / "front.png")
    (folder / "scan.cameras.json").write_text(json.dumps([{"image": "front.png", **CAMERA}]))
    return scans_of([folder])[0]


def kitti(folder: Path) -> Scan:
    """A sequence as KITTI's odometry has it."""
    for name in ("velodyne", "image_2"):
        (folder / name).mkdir()
    np.column_stack([XYZ, np.zeros(len(XYZ))]).astype("<f4").tofile(folder / "velodyne" / "000000.bin")
    Image.fromarray(IMAGE).save(folder / "image_2" / "000000.png")
    rows = {"P2": np.column_stack([K, K @ [0.1, 0, 0]]), "Tr": np.linalg.inv(POSE)[:3]}
    rows["Tr"][:, 3] -= [0.1, 0, 0]  # the left camera, of which the second stands aside
    text = "".join(f"{name}: {' '.join(f'{v:.9f}' for v in values.ravel())}\n" for name, values in rows.items())
    (folder / "calib.txt").write_text(text)
    return scans_of([folder])[0]


def rgbd(folder: Path) -> Scan:
    """Colour and depth images."""
    for name in ("color", "depth", "pose"):
        (folder / name).mkdir()
    Image.fromarray(IMAGE).save(folder / "color" / "7.png")
    Image.fromarray(np.rint(1000 * DEPTH).astype(np.uint16)).save(folder / "depth" / "7.png")
    np.savetxt(folder / "pose" / "7.txt", POSE)
    told = {name: CAMERA[name] for name in ("fx", "fy", "cx", "cy")}
    (folder / "camera.json").write_text(json.dumps({**told, "width": 320, "height": 240}))
    return scans_of([folder])[0]


def bag(folder: Path, depth: bool = False) -> Scan:
    """A recording of a camera, with a LiDAR's cloud, or with depth."""
    from rosbags.rosbag2 import Writer

    store = typestore()
    types = store.types
    zero = types["builtin_interfaces/msg/Time"](1, 0)

    def header(frame: str) -> Any:
        return types["std_msgs/msg/Header"](zero, frame)

    def image(encoding: str, values: np.ndarray) -> Any:
        step = values.strides[0]
        data = np.frombuffer(values.tobytes(), np.uint8)
        return types["sensor_msgs/msg/Image"](header("camera"), 240, 320, encoding, 0, step, data)

    region = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    p = np.column_stack([K, np.zeros(3)]).ravel()
    info = types["sensor_msgs/msg/CameraInfo"](
        header("camera"), 240, 320, "", np.zeros(0), K.ravel(), np.eye(3).ravel(), p, 0, 0, region)  # fmt: skip
    points = clouds.plain(XYZ, RGB).points
    fields = [types["sensor_msgs/msg/PointField"](*field, 1) for field in clouds.fields_of(points.dtype)]
    data, size = np.frombuffer(points.tobytes(), np.uint8), points.dtype.itemsize
    cloud = types[CLOUD](header("base"), 1, len(points), fields, False, size, len(data), data, True)
    x, y, z, w = quaternion(POSE[:3, :3])
    place, turn = types["geometry_msgs/msg/Vector3"](*POSE[:3, 3]), types["geometry_msgs/msg/Quaternion"](x, y, z, w)
    stands = types["geometry_msgs/msg/Transform"](place, turn)
    tf = types[TF]([types["geometry_msgs/msg/TransformStamped"](header("base"), "camera", stands)])
    messages = {"/camera/image_rect": image("rgb8", IMAGE), "/camera/camera_info": info, "/tf_static": tf}
    if depth:
        messages["/camera/depth"] = image("16UC1", np.rint(1000 * DEPTH).astype("<u2"))
    else:
        messages["/points"] = cloud
    with Writer(folder / "bag", version=9) as writer:
        for number, (topic, message) in enumerate(messages.items()):
            connection = writer.add_connection(topic, message.__msgtype__, typestore=store)
            raw = store.serialize_cdr(message, message.__msgtype__)
            writer.write(connection, 1_000_000_000 + 1000 * number, raw)
    return scans_of([folder / "bag"])[0]


@pytest.mark.parametrize("made", [listed, kitti, rgbd, bag, lambda folder: bag(folder, True)],
                         ids=["list", "kitti", "rgbd", "bag", "rgbd bag"])  # fmt: skip
def test_an_image_shows_the_objects_of_its_cloud(made: Callable[[Path], Scan], tmp_path: Path) -> None:
    scan = made(tmp_path)
    cloud, images = scan.read(), scan.images()
    assert len(images) == 1 and images[0].read().shape == (240, 320, 3)
    own_frame = len(cloud) != len(XYZ) and np.allclose(images[0].pose, np.eye(4))  # depth of a camera without a pose
    if not own_frame:
        np.testing.assert_allclose(images[0].pose, POSE, atol=1e-4)
    photos = Photos(images, update := CloudUpdate(1, cloud.xyz, cloud.rgb))
    jpeg = photos.jpeg(photos.described(np.zeros(3))["photos"][0]["key"])
    assert jpeg is not None and jpeg.startswith(b"\xff\xd8")
    seen = K @ (np.linalg.inv(POSE) @ [0.0, 0.0, 0.105, 1.0])[:3]  # the red cube's top
    u, v = seen[0] / seen[2], seen[1] / seen[2]
    place = np.array(photos.place(0, u, v))
    in_world = (POSE @ [*place, 1.0])[:3] if own_frame else place
    assert np.linalg.norm(in_world - [0, 0, 0.105]) < 0.02
    near = np.linalg.norm(cloud.xyz - place, axis=1) < 0.03
    values = np.zeros(len(near), np.float32)
    masks = photos.masks(0, LabelsUpdate(update.serial, near.astype(np.int32), values, values))
    assert masks is not None
    shown = cells(masks)
    assert shown[int(v * shown.shape[0] / 240), int(u * shown.shape[1] / 320)] == 1
    assert set(np.unique(shown)) == {0, 1, NOTHING} and (shown == 1).sum() < 0.05 * shown.size
    with pytest.raises(ValueError, match="nothing at the pixel"):
        photos.place(0, 2.0, 2.0)


def cells(frame: bytes) -> np.ndarray:
    """The labels of a frame with masks, as a page reads them."""
    size = int.from_bytes(frame[:4], "little")
    head = json.loads(frame[4 : 4 + size])
    return np.frombuffer(frame, np.uint16, head["wide"] * head["tall"], 4 + size).reshape(head["tall"], head["wide"])


def test_what_is_wrong_beside_a_cloud_is_said(tmp_path: Path) -> None:
    scan = listed(tmp_path)
    for content in ("{", "[{}]", json.dumps([{"image": "front.png", **CAMERA, "pose": [[1]]}])):
        (tmp_path / "scan.cameras.json").write_text(content)
        with pytest.raises(ValueError, match=r"scan\.cameras\.json|front\.png"):
            scan.images()
    (tmp_path / "color").mkdir()
    (tmp_path / "depth").mkdir()
    with pytest.raises(ValueError, match=r"camera\.json"):
        scans_of([tmp_path])
