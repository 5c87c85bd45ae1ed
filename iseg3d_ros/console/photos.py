"""Camera images beside a cloud as a page shows them: the picture, which object each of its cells shows, and where."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from iseg3d_ros.console import wire
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, Place
from iseg3d_ros.geometry.camera_view import CameraView
from iseg3d_ros.io.camera_images import CameraImage

CELLS = 240  # across an image, in which its masks are told
MOST = 1_000_000  # points that are looked for in an image
WIDEST = 1280  # pixels of an image that is sent
NOTHING = 65_535  # the label of a cell that shows no point
_versions, _keys = itertools.count(1), itertools.count(1)


class Photos:
    """The images of one cloud; every method may be called from any thread."""

    def __init__(self, images: Sequence[CameraImage], cloud: CloudUpdate, offered: bool = False) -> None:
        self.version = next(_versions)
        self._photos, self._cloud, self._offered = [_Photo(each, cloud) for each in images], cloud, offered

    def __len__(self) -> int:
        return len(self._photos)

    def described(self, origin: np.ndarray) -> dict[str, Any]:
        """What a page is told of them; poses are in its coordinates, those of the cloud less `origin`."""
        rows = []
        for photo in self._photos:
            camera, pose = photo.image.camera, photo.image.pose.copy()
            pose[:3, 3] -= origin
            rows.append({
                "key": photo.key, "name": photo.image.name, "width": camera.width, "height": camera.height,
                "pose": pose.ravel().tolist(), "fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy,
            })  # fmt: skip
        return {"kind": "photos", "version": self.version, "photos": rows, "offered": self._offered}

    def jpeg(self, key: int) -> bytes | None:
        """The picture; None where there is none of that key."""
        return next((photo.jpeg for photo in self._photos if photo.key == key), None)

    def masks(self, number: int, labels: LabelsUpdate | None) -> bytes | None:
        """The label of each cell, and how far away (metres) what it shows is."""
        if not 0 <= number < len(self._photos):
            return None
        rows, depth = self._photos[number].grid
        values = np.zeros(len(self._cloud.xyz), np.uint16)
        if labels is not None and labels.serial == self._cloud.serial and len(labels.labels) == len(values):
            values = labels.labels.astype(np.uint16)
        seen = np.where(rows < 0, NOTHING, values[np.maximum(rows, 0)]).astype(np.uint16)
        tall, wide = rows.shape
        head = {"kind": "masks", "version": self.version, "number": number, "wide": wide, "tall": tall}
        return wire.frame(head, label=seen.ravel(), depth=depth.ravel())

    def place(self, number: int, u: float, v: float) -> Place:
        """The point that a pixel shows; ValueError where it shows none."""
        if not 0 <= number < len(self._photos):
            raise ValueError("The image that was clicked on has been replaced: click again.")
        x, y, z = (float(value) for value in self._cloud.xyz[self._photos[number].at(u, v)])
        return x, y, z


class _Photo:
    """One image; what is worked out of it is kept."""

    def __init__(self, image: CameraImage, cloud: CloudUpdate) -> None:
        self.key = next(_keys)  # of all desks
        self.image, self._cloud, self._lock = image, cloud, threading.Lock()

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            return self._grid

    @property
    def jpeg(self) -> bytes:
        with self._lock:
            return self._jpeg

    def at(self, u: float, v: float) -> int:
        with self._lock:
            rows, view = self._seen
        try:
            return int(rows[view.at(u, v)])
        except ValueError as error:
            raise ValueError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error

    @cached_property
    def _seen(self) -> tuple[np.ndarray, CameraView]:
        good = np.flatnonzero(np.isfinite(self._cloud.xyz).all(axis=1))
        rows = good[:: max(1, -(-len(good) // MOST))]
        return rows, CameraView(self._cloud.xyz[rows], self.image.camera, self.image.pose)

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        rows, view = self._seen
        camera = self.image.camera
        wide = min(CELLS, camera.width)
        seen, depth = view.grid(wide, max(1, round(wide * camera.height / camera.width)))
        return np.where(seen < 0, -1, rows[np.maximum(seen, 0)] if len(rows) else -1), depth

    @cached_property
    def _jpeg(self) -> bytes:
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(self.image.read()))
        if picture.width > WIDEST:
            picture = picture.resize((WIDEST, max(1, round(picture.height * WIDEST / picture.width))))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=85)
        return stream.getvalue()
