"""The scans of a job: cloud files, those in folders, and the clouds of a bag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from iseg3d_ros.cloud import READABLE, Cloud, read_cloud
from iseg3d_ros.console.label_import import GivenLabels, labels_of
from iseg3d_ros.io.bags import Bag
from iseg3d_ros.io.pointcloud2_read import read_points

BAGS = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class Scan:
    """One of the list: its name, and how its cloud is read, and the labels that it begins with, if any."""

    name: str
    read: Callable[[], Cloud]
    labels: Callable[[Cloud], GivenLabels | None] = lambda cloud: None


def scans_of(places: Sequence[Path], labels: Path | None = None, topic: str = "") -> list[Scan]:
    """The cloud files and bags that were named, and the cloud files in the folders that were named, in order.

    `labels`: a file of labels, or a folder of files with the scans' names. `topic`: of a bag, the first with clouds
    where none is named.
    """
    found: list[Scan] = []
    for place in places:
        if is_bag(place):
            found += _scans_of_bag(place, topic)
        elif place.is_dir():
            files = sorted(path for path in place.iterdir() if path.suffix.lower() in READABLE)
            found += [_scan_of_file(path, labels) for path in files]
        else:
            found.append(_scan_of_file(place, labels))
    return found


def is_bag(place: Path) -> bool:
    """Whether a place is a recording: a folder as rosbag2 makes it, or a file of one."""
    return (place / "metadata.yaml").is_file() or place.suffix.lower() in BAGS


def _scan_of_file(path: Path, labels: Path | None) -> Scan:
    return Scan(path.name, lambda: read_cloud(path), lambda cloud: labels_of(cloud, path, labels))


def _scans_of_bag(path: Path, topic: str) -> list[Scan]:
    with Bag(path) as bag:
        topic, start = bag.cloud_topic(topic), bag.start
        times = [record.time for record in bag.messages(topic)]
    names = [f"{number:06d} · {(time - start) / 1e9:.3f} s" for number, time in enumerate(times)]
    return [Scan(name, _reader(path, topic, time)) for name, time in zip(names, times, strict=True)]


def _reader(path: Path, topic: str, time: int) -> Callable[[], Cloud]:
    def read() -> Cloud:
        with Bag(path) as bag:
            record = next(bag.messages(topic, since=time))
            points = read_points(bag.decode(record))
        if not len(points):
            raise ValueError(f"The cloud of {path} at {time} ns holds no points.")
        return Cloud(points.xyz, points.rgb, points.intensity)

    return read
