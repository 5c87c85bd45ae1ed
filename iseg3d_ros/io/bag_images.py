"""The cameras of a bag: their images nearest to a cloud, and clouds of depth images, without ROS."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.geometry.rgbd import DEPTHS, Camera, camera_of, colour_bytes, depth_metres, unproject
from iseg3d_ros.geometry.transforms import SECOND, TransformTree
from iseg3d_ros.io.bags import Bag, Record
from iseg3d_ros.io.camera_images import FAR, MILLIMETRE, NEAR, CameraImage
from iseg3d_ros.io.columns import Cloud

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
SLOP = SECOND // 5  # nanoseconds between a cloud and its image, at most


@dataclass(frozen=True)
class BagCamera:
    """One topic of images, with the calibration that belongs to it."""

    topic: str
    camera: Camera
    frame: str
    is_depth: bool


class BagCameras:
    """Found once; images are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with Bag(path) as bag:
            infos = {topic: bag.decode(first) for topic in bag.topics(INFO) for first in islice(bag.messages(topic), 1)}
            self.cameras = [found for topic in sorted({**bag.topics(IMAGE), **bag.topics(COMPRESSED)})
                            if (found := _camera(bag, topic, infos))]  # fmt: skip

    @property
    def depth(self) -> BagCamera | None:
        """The first topic of depth images."""
        return next((each for each in self.cameras if each.is_depth), None)

    def times(self, camera: BagCamera) -> list[int]:
        """When its images were recorded."""
        with Bag(self._path) as bag:
            return [record.time for record in bag.messages(camera.topic)]

    def beside(self, frame: str, time: int, stamp: int) -> tuple[CameraImage, ...]:
        """The colour images nearest to a cloud, of which the bag says where their cameras are."""
        found = []
        for camera in (each for each in self.cameras if not each.is_depth):
            message = self._nearest(camera, time)
            pose = None if message is None else self._pose(frame, stamp, camera, message)
            if message is not None and pose is not None:
                found.append(_image(camera, message, pose))
        return tuple(found)

    def cloud(self, depth: BagCamera, time: int) -> Cloud:
        """The cloud of a depth image, coloured where a camera in the same frame saw it."""
        message = self._nearest(depth, time)
        if message is None:
            raise ValueError(f"{self._path} holds no depth image at {time} ns.")
        seen = self._registered(depth, time)
        colour = None if seen is None else _pixels(seen[1])
        xyz, rgb = unproject(depth_metres(message, MILLIMETRE), colour, depth.camera, 1, NEAR, FAR, False)
        return Cloud(xyz, rgb)

    def images_of(self, depth: BagCamera, time: int) -> tuple[CameraImage, ...]:
        """The colour images beside the cloud of a depth image."""
        message, seen = self._nearest(depth, time), self._registered(depth, time)
        if seen is not None:
            return (_image(*seen, np.eye(4)),)
        return () if message is None else self.beside(depth.frame, time, _stamp(message))

    def _registered(self, depth: BagCamera, time: int) -> tuple[BagCamera, Any] | None:
        """The colour camera in the depth camera's frame, and what it saw."""
        for camera in self.cameras:
            if not camera.is_depth and camera.frame == depth.frame and (message := self._nearest(camera, time)):
                return camera, message
        return None

    def _nearest(self, camera: BagCamera, time: int) -> Any | None:
        with Bag(self._path) as bag:
            near = list(_until(bag.messages(camera.topic, since=time - SLOP), time + SLOP))
            return bag.decode(min(near, key=lambda record: abs(record.time - time))) if near else None

    def _pose(self, frame: str, stamp: int, camera: BagCamera, message: Any) -> np.ndarray | None:
        """Where a camera was in a cloud's frame; None where the bag does not say."""
        tree, frames = self._tree, (frame, camera.frame)
        if frames[0] == frames[1]:
            return np.eye(4)
        fixed = tree.root(frame)
        for times in ((stamp, _stamp(message)), (0, 0)):
            try:
                return np.linalg.inv(tree.lookup(fixed, frame, times[0])) @ tree.lookup(fixed, camera.frame, times[1])
            except LookupError:
                continue
        return None

    @cached_property
    def _tree(self) -> TransformTree:
        with Bag(self._path) as bag:
            return bag.transforms()


def _until(records: Iterator[Record], end: int) -> Iterator[Record]:
    for record in records:
        if record.time > end:
            return
        yield record


def _camera(bag: Bag, topic: str, infos: dict[str, Any]) -> BagCamera | None:
    """A topic of images; None without a calibration, or where its images are of another kind."""
    first = next(islice(bag.messages(topic), 1), None)
    if first is None or not infos:
        return None
    message = bag.decode(first)
    frame = message.header.frame_id.lstrip("/")
    same = [name for name, info in infos.items() if info.header.frame_id.lstrip("/") == frame] or list(infos)
    info = infos[max(same, key=lambda name: len(os.path.commonprefix([name, topic])))]
    try:
        camera = camera_of(info)
        is_depth = getattr(message, "encoding", "") in DEPTHS
        if not is_depth:
            _pixels(message)
    except ValueError:
        return None
    return BagCamera(topic, camera, frame, is_depth)


def _image(camera: BagCamera, message: Any, pose: np.ndarray) -> CameraImage:
    pixels = _pixels(message)
    height, width = pixels.shape[:2]
    return CameraImage(camera.topic, camera.camera.scaled(width, height), pose, lambda: pixels)


def _pixels(message: Any) -> np.ndarray:
    return colour_bytes(message) if hasattr(message, "encoding") else unpacked(bytes(message.data))


def unpacked(data: bytes) -> np.ndarray:
    """uint8 (height, width, 3) of a sensor_msgs/CompressedImage's bytes; ValueError where they are no image."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"the compressed image cannot be read: {error}") from error


def _stamp(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * SECOND + int(stamp.nanosec)
