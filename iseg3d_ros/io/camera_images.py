"""Images of cameras beside clouds in files: a list of our own, KITTI's layout, and folders of RGB-D frames.

Beside `scan.ply`, `scan.cameras.json` lists its images:

    [{"image": "front.jpg", "fx": 525, "fy": 525, "cx": 319.5, "cy": 239.5,
      "pose": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}]

`pose` takes the camera's coordinates (x right, y down, z forward) into the cloud's; images are rectified.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.geometry.rgbd import Camera, unproject
from iseg3d_ros.io.columns import Cloud

IMAGES = (".png", ".jpg", ".jpeg")
LIST = ".cameras.json"
NEAR, FAR = 0.05, 20.0  # metres within which depth counts
MILLIMETRE = 0.001


@dataclass(frozen=True, eq=False)
class CameraImage:
    """An image beside a cloud: its camera, as large as the image, and the camera's pose in the cloud's frame.

    `read` gives uint8 (height, width, 3).
    """

    name: str
    camera: Camera
    pose: np.ndarray
    read: Callable[[], np.ndarray]


def images_beside(path: Path) -> tuple[CameraImage, ...]:
    """The images of a cloud's file; ValueError where what stands beside it cannot be understood."""
    listed = path.with_name(path.stem + LIST)
    if listed.is_file():
        return tuple(_listed(listed))
    if path.parent.name == "velodyne":
        return tuple(_kitti(path))
    return ()


def read_image(path: Path) -> np.ndarray:
    """uint8 (height, width, 3)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error


def _file(path: Path, name: str, focal: Sequence[float], pose: np.ndarray) -> CameraImage:
    """`focal`: fx, fy, cx, cy in pixels of this image."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
    fx, fy, cx, cy = (float(value) for value in focal)
    pose = np.asarray(pose, np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all() or not (fx > 0 and fy > 0):
        raise ValueError(f"{path}: a camera needs fx and fy above 0 and a pose of 4 x 4 numbers.")
    return CameraImage(name, Camera(fx, fy, cx, cy, width, height), pose, lambda: read_image(path))


def _listed(path: Path) -> Iterator[CameraImage]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows:
            focal = [row[name] for name in ("fx", "fy", "cx", "cy")]
            yield _file(path.parent / row["image"], str(row["image"]), focal, row["pose"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not list cameras as docs/console.md says: {error}") from error


def _kitti(path: Path) -> Iterator[CameraImage]:
    """image_2, image_3 beside velodyne, with the calibration of a sequence (calib.txt) or of this scan."""
    root = path.parent.parent
    calibration = next((file for file in (root / "calib" / f"{path.stem}.txt", root / "calib.txt") if file.is_file()),
                       None)  # fmt: skip
    for number in (2, 3):
        image = next((file for end in IMAGES if (file := root / f"image_{number}" / f"{path.stem}{end}").is_file()),
                     None)  # fmt: skip
        if image is None or calibration is None:
            continue
        rows = _matrices(calibration)
        to_camera = np.eye(4)
        to_camera[:3] = rows.get("Tr", rows.get("Tr_velo_to_cam", np.eye(4)[:3])).reshape(3, 4)
        turn = np.eye(4)
        turn[:3, :3] = rows.get("R0_rect", np.eye(3)).reshape(3, 3)
        projection = rows[f"P{number}"].reshape(3, 4)
        aside = np.eye(4)
        aside[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
        focal = (projection[0, 0], projection[1, 1], projection[0, 2], projection[1, 2])
        yield _file(image, f"image_{number}", focal, np.linalg.inv(aside @ turn @ to_camera))


def _matrices(path: Path) -> dict[str, np.ndarray]:
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
    try:
        return {name.strip(): np.array(values.split(), float) for name, _, values in lines}
    except ValueError as error:
        raise ValueError(f"{path} is no calibration of KITTI: {error}") from error


@dataclass(frozen=True)
class RgbdFrame:
    """A colour and a depth image of one look."""

    name: str
    colour: Path
    depth: Path
    camera: dict[str, Any]
    pose: np.ndarray | None

    def read(self) -> Cloud:
        """The cloud, in the camera's frame, or where its pose is known in the world's."""
        from PIL import Image

        with Image.open(self.depth) as image:
            depth = np.asarray(image).astype(np.float32) * np.float32(self.camera["depth_scale"])
        if depth.ndim != 2:
            raise ValueError(f"{self.depth} is no depth image: one channel of 16 bits is expected.")
        camera = _scaled(self.camera["depth"], depth.shape[1], depth.shape[0])
        xyz, rgb = unproject(depth, read_image(self.colour), camera, 1, NEAR, FAR, False)
        pose = self._pose
        return Cloud((xyz @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32), rgb)

    def images(self) -> tuple[CameraImage, ...]:
        """The colour image."""
        fx, fy, cx, cy = (self.camera["colour"][name] for name in ("fx", "fy", "cx", "cy"))
        whole = _file(self.colour, self.colour.name, (fx, fy, cx, cy), self._pose)
        wide, tall = whole.camera.width, whole.camera.height
        return (CameraImage(whole.name, _scaled(self.camera["colour"], wide, tall), whole.pose, whole.read),)

    @property
    def _pose(self) -> np.ndarray:
        return np.eye(4) if self.pose is None else self.pose


def _scaled(told: dict[str, float], wide: int, tall: int) -> Camera:
    size = (int(told.get("width", wide)), int(told.get("height", tall)))
    return Camera(told["fx"], told["fy"], told["cx"], told["cy"], *size).scaled(wide, tall)


def rgbd_frames(folder: Path) -> list[RgbdFrame]:
    """The frames of a folder with `color` (or `rgb`) and `depth`, of images of the same names; none where it is none.

    `camera.json` (fx, fy, cx, cy, width, height, depth_scale in metres a unit) or ScanNet's `intrinsic/` says what the
    camera is, `pose/NAME.txt` where it stood: 4 x 4, camera to world.
    """
    colours = next((folder / name for name in ("color", "rgb") if (folder / name).is_dir()), None)
    if colours is None or not (folder / "depth").is_dir():
        return []
    depths = {path.stem: path for path in (folder / "depth").iterdir() if path.suffix.lower() == ".png"}
    pairs = [path for path in colours.iterdir() if path.suffix.lower() in IMAGES and path.stem in depths]
    camera = _intrinsics(folder)
    return [RgbdFrame(path.stem, path, depths[path.stem], camera, _pose_of(folder, path.stem))
            for path in sorted(pairs, key=_in_order)]  # fmt: skip


def _in_order(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdigit() else 0, path.stem)


def _intrinsics(folder: Path) -> dict[str, Any]:
    told = folder / "camera.json"
    if told.is_file():
        try:
            row = json.loads(told.read_text(encoding="utf-8"))
            one = {name: float(row[name]) for name in ("fx", "fy", "cx", "cy", "width", "height")}
            return {"colour": one, "depth": one, "depth_scale": float(row.get("depth_scale", MILLIMETRE))}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{told} must hold fx, fy, cx, cy, width and height: {error}") from error
    files = {name: folder / "intrinsic" / f"intrinsic_{word}.txt" for name, word in
             (("colour", "color"), ("depth", "depth"))}  # fmt: skip
    if not all(path.is_file() for path in files.values()):
        raise ValueError(f"{folder} holds colour and depth, but says nothing of the camera: write {told}.")
    read = {name: np.loadtxt(path) for name, path in files.items()}
    cameras = {name: {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2]} for name, k in read.items()}
    return {**cameras, "depth_scale": MILLIMETRE}


def _pose_of(folder: Path, name: str) -> np.ndarray | None:
    path = folder / "pose" / f"{name}.txt"
    if not path.is_file():
        return None
    pose = np.loadtxt(path)
    if pose.shape != (4, 4):
        raise ValueError(f"{path} holds no pose of 4 x 4 numbers.")
    return pose
