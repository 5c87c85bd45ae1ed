"""What the player plays: cloud files, folders, KITTI and nuScenes sequences. Bags are in bags.py. No ROS here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.cloud import READABLE, Cloud, read_cloud
from iseg3d_ros.geometry.transforms import SECOND, matrix


@dataclass(frozen=True)
class Frame:
    """One cloud of a sequence: where it is read, when it was taken (ns; None: not known), the sensor's pose."""

    path: Path
    stamp: int | None = None
    pose: np.ndarray | None = None

    def read(self) -> Cloud:
        """The cloud."""
        if self.path.suffix == ".scene":
            from iseg3d_ros.data.folder import read_scene

            scene = read_scene(self.path)
            return Cloud(np.asarray(scene.xyz), scene.rgb, scene.intensity, np.asarray(scene.instance))
        if self.path.name.endswith(".pcd.bin"):  # nuScenes: x y z intensity ring
            numbers = np.fromfile(self.path, "<f4")
            if len(numbers) % 5:
                raise ValueError(f"{self.path} is no nuScenes sweep: its size is no multiple of 20 bytes")
            values = numbers.reshape(-1, 5)
            return Cloud(values[:, :3].copy(), None, values[:, 3].copy(), None)
        return read_cloud(self.path)


def frames_of(path: Path) -> list[Frame]:
    """The frames of a file or folder, in order of time."""
    if not path.exists():
        raise FileNotFoundError(f"there is nothing at {path}: set the parameter path to what is to be played")
    if path.is_file():
        return [Frame(path)]
    if tables := sorted(path.glob("v1.0-*")):
        return _nuscenes(path, tables[0])
    if (path / "velodyne").is_dir():
        return _kitti(path)
    files = sorted(file for file in path.iterdir() if file.suffix in (*READABLE, ".scene"))
    if not files:
        raise ValueError(f"{path} holds no clouds: known are {', '.join(READABLE)}, KITTI and nuScenes sequences")
    return [Frame(file) for file in files]


def _kitti(path: Path) -> list[Frame]:
    """velodyne/*.bin with times.txt and poses.txt (of the left camera; calib.txt brings them to the scanner)."""
    files = sorted((path / "velodyne").glob("*.bin"))
    if not files:
        raise ValueError(f"{path / 'velodyne'} holds no .bin files")
    times = _rows(path / "times.txt", 1)
    poses = _rows(path / "poses.txt", 12)
    if poses is None:
        poses = _rows(path.parent.parent / "poses" / f"{path.name}.txt", 12)
    calibration = _calibration(path / "calib.txt")
    frames = []
    for index, file in enumerate(files):
        stamp = int(times[index, 0] * SECOND) if times is not None and index < len(times) else None
        pose = None
        if poses is not None and index < len(poses):
            pose = np.vstack([poses[index].reshape(3, 4), [0, 0, 0, 1]])
            pose = np.linalg.inv(calibration) @ pose @ calibration
        frames.append(Frame(file, stamp, pose))
    return frames


def _calibration(file: Path) -> np.ndarray:
    """Tr of calib.txt: scanner to camera; the identity without the file."""
    if file.is_file():
        for line in file.read_text().splitlines():
            if line.startswith("Tr"):
                return np.vstack([np.array(line.split(":")[1].split(), float).reshape(3, 4), [0, 0, 0, 1]])
    return np.eye(4)


def _rows(file: Path, columns: int) -> np.ndarray | None:
    if not file.is_file():
        return None
    values = np.loadtxt(file, ndmin=2)
    if values.shape[1] != columns:
        raise ValueError(f"{file} has {values.shape[1]} numbers a line, not {columns}")
    return values


def _nuscenes(root: Path, tables: Path) -> list[Frame]:
    """Every LIDAR_TOP sweep of a nuScenes folder, by time, with the scanner's pose in the map."""
    poses = {item["token"]: item for item in _table(tables, "ego_pose")}
    sensors = {item["token"]: item for item in _table(tables, "calibrated_sensor")}
    sweeps = [item for item in _table(tables, "sample_data") if "LIDAR_TOP" in item["filename"]]
    frames = []
    for sweep in sorted(sweeps, key=lambda item: item["timestamp"]):
        if (root / sweep["filename"]).is_file():
            pose = _pose(poses[sweep["ego_pose_token"]]) @ _pose(sensors[sweep["calibrated_sensor_token"]])
            frames.append(Frame(root / sweep["filename"], int(sweep["timestamp"]) * 1000, pose))
    if not frames:
        raise ValueError(f"{root} names LIDAR_TOP sweeps, but none of their files is there")
    return frames


def _table(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text())
    return rows


def _pose(item: dict[str, Any]) -> np.ndarray:
    w, x, y, z = item["rotation"]
    return matrix(np.array([*item["translation"], x, y, z, w], float))


def schedule(frames: Sequence[Frame], rate: float) -> Iterator[tuple[int, Frame]]:
    """When each frame is due, nanoseconds from the start: at a rate, or (0) as far apart as its own stamps."""
    stamps = [frame.stamp for frame in frames]
    if rate > 0 or any(stamp is None for stamp in stamps) or len(frames) < 2:
        step = SECOND / (rate or 10.0)
        yield from ((int(i * step), frame) for i, frame in enumerate(frames))
        return
    first = stamps[0] or 0
    yield from (((frame.stamp or 0) - first, frame) for frame in frames)


def period(frames: Sequence[Frame], rate: float) -> int:
    """Nanoseconds from the first frame to its repetition: one step behind the last frame."""
    due = [time for time, _ in schedule(frames, rate)]
    return due[-1] + (due[-1] - due[-2] if len(due) > 1 else int(SECOND / (rate or 10.0)))
