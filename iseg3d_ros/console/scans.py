"""The scans of a job: cloud files, those in folders, RGB-D frames, and the clouds of a bag; with camera images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from iseg3d_ros.cloud import READABLE, Cloud, read_cloud
from iseg3d_ros.console.label_import import GivenLabels, labels_of
from iseg3d_ros.geometry.transforms import SECOND
from iseg3d_ros.io.bag_images import BagCameras
from iseg3d_ros.io.bags import CLOUD, Bag
from iseg3d_ros.io.camera_images import CameraImage, images_beside, rgbd_frames
from iseg3d_ros.io.pointcloud2_read import read_points

BAGS = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class Scan:
    """One of the list: its name, how its cloud is read, and, if any, its labels to begin with and images."""

    name: str
    read: Callable[[], Cloud]
    labels: Callable[[Cloud], GivenLabels | None] = lambda cloud: None
    images: Callable[[], tuple[CameraImage, ...]] = tuple


def scans_of(places: Sequence[Path], labels: Path | None = None, topic: str = "") -> list[Scan]:
    """The cloud files and bags that were named, and the cloud files in the folders that were named, in order.

    `labels`: a file of labels, or a folder of files with the scans' names. `topic`: of a bag, the first with clouds
    where none is named; without clouds its depth images make them.
    """
    found: list[Scan] = []
    for place in places:
        if is_bag(place):
            found += _scans_of_bag(place, topic)
        elif frames := rgbd_frames(place):
            found += [Scan(frame.name, frame.read, images=frame.images) for frame in frames]
        elif place.is_dir():
            place = place / "velodyne" if (place / "velodyne").is_dir() else place
            files = sorted(path for path in place.iterdir() if path.suffix.lower() in READABLE)
            found += [_scan_of_file(path, labels) for path in files]
        else:
            found.append(_scan_of_file(place, labels))
    return found


def is_bag(place: Path) -> bool:
    """Whether a place is a recording: a folder as rosbag2 makes it, or a file of one."""
    return (place / "metadata.yaml").is_file() or place.suffix.lower() in BAGS


def _scan_of_file(path: Path, labels: Path | None) -> Scan:
    return Scan(path.name, lambda: read_cloud(path), lambda cloud: labels_of(cloud, path, labels),
                lambda: images_beside(path))  # fmt: skip


def _scans_of_bag(path: Path, topic: str) -> list[Scan]:
    cameras = BagCameras(path)
    with Bag(path) as bag:
        depth = cameras.depth if not topic and not bag.topics(CLOUD) else None
        start = bag.start
        if depth is None:
            topic = bag.cloud_topic(topic)
            times = [record.time for record in bag.messages(topic)]
    if depth is not None:
        return [
            Scan(name, partial(cameras.cloud, depth, time), images=partial(cameras.images_of, depth, time))
            for name, time in _named(cameras.times(depth), start)
        ]
    clouds = [(name, BagCloud(path, topic, time, cameras)) for name, time in _named(times, start)]
    return [Scan(name, cloud.read, images=cloud.images) for name, cloud in clouds]


def _named(times: Sequence[int], start: int) -> list[tuple[str, int]]:
    return [(f"{number:06d} · {(time - start) / 1e9:.3f} s", time) for number, time in enumerate(times)]


@dataclass(frozen=True)
class BagCloud:
    """One cloud of a bag's topic."""

    path: Path
    topic: str
    time: int
    cameras: BagCameras

    def read(self) -> Cloud:
        """Its points."""
        points = read_points(self._message())
        if not len(points):
            raise ValueError(f"The cloud of {self.path} at {self.time} ns holds no points.")
        return Cloud(points.xyz, points.rgb, points.intensity)

    def images(self) -> tuple[CameraImage, ...]:
        """What the bag's cameras saw of it."""
        if not self.cameras.cameras:
            return ()
        header = self._message().header
        stamp = header.stamp.sec * SECOND + header.stamp.nanosec
        return self.cameras.beside(header.frame_id.lstrip("/"), self.time, stamp)

    def _message(self) -> Any:
        with Bag(self.path) as bag:
            return bag.decode(next(bag.messages(self.topic, since=self.time)))
