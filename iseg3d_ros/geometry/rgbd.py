"""A colour and a depth image to points, without ROS: rays once a camera, then one multiplication a coordinate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from iseg3d_ros import limits
from iseg3d_ros.geometry.lens import Lens, lens_of

COLOURS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "8UC3": (2, 1, 0)}
CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "8UC3": 3, "mono8": 1, "8UC1": 1}
DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


@dataclass(frozen=True)
class Camera:
    """A pinhole camera, of rectified images where it has no lens that bends them."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    lens: Lens | None = None

    def pixels(self, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, row and depth of points (N, 3) in its own frame; NaN where the lens's model does not reach."""
        x, y, z = xyz.T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x, y = x / z, y / z
            if self.lens is not None:
                x, y = self.lens.distorted(x, y)
            return self.fx * x + self.cx, self.fy * y + self.cy, z

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera with another number of pixels."""
        x, y = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * x - 0.5, (self.cy + 0.5) * y - 0.5
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=cx, cy=cy, width=width, height=height)


def camera_of(info: Any, rectified: bool = True) -> Camera:
    """From sensor_msgs/CameraInfo: the rectified projection P where it is given, otherwise K; of raw images K and D."""
    p, k = list(info.p), list(info.k)
    fx, fy, cx, cy = (p[0], p[5], p[2], p[6]) if rectified and p[0] > 0 else (k[0], k[4], k[2], k[5])
    if not (fx > 0 and fy > 0 and np.isfinite([fx, fy, cx, cy]).all()) or info.width == 0 or info.height == 0:
        raise ValueError("camera_info holds no calibration (focal length or size 0): calibrate the camera first")
    if info.width * info.height > limits.PIXELS:
        raise ValueError(f"camera_info tells of {info.width} x {info.height} pixels; at most {limits.PIXELS} are taken")
    return Camera(fx, fy, cx, cy, int(info.width), int(info.height), None if rectified else lens_of(info))


def image(message: Any, channels: int, kind: str) -> np.ndarray:
    """A sensor_msgs/Image as (height, width, channels), a view of its bytes."""
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    row = message.width * channels * dtype.itemsize
    step = message.step or row
    if step < row or len(message.data) < (message.height - 1) * step + row:
        raise ValueError(
            f"the image is truncated: {message.width} x {message.height} {message.encoding} needs "
            f"{row * message.height} bytes, it holds {len(message.data)} with rows of {step}"
        )
    shape = (message.height, message.width, channels)
    return np.ndarray(shape, dtype, message.data, 0, (step, channels * dtype.itemsize, dtype.itemsize))


def depth_metres(message: Any, scale: float) -> np.ndarray:
    """float32 (height, width); `scale` is metres per unit of integer depths."""
    kind = DEPTHS.get(message.encoding)
    if kind is None:
        raise ValueError(f"depth images of encoding '{message.encoding}' are not known: use {' or '.join(DEPTHS)}")
    values = image(message, 1, kind)[:, :, 0]
    return values.astype(np.float32) * np.float32(scale if kind == "u2" else 1.0)


def colour_bytes(message: Any) -> np.ndarray:
    """uint8 (height, width, 3)."""
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f"colour images of encoding '{message.encoding}' are not known: use {', '.join(CHANNELS)}")
    values = image(message, channels, "u1")
    return np.repeat(values, 3, axis=2) if channels == 1 else values[:, :, COLOURS[message.encoding]]


def mask_of(message: Any) -> np.ndarray:
    """bool (height, width) of an image whose pixels that are not 0 show an object."""
    kinds = {"mono8": "u1", "8UC1": "u1", "mono16": "u2", "16UC1": "u2", "32SC1": "i4", "32FC1": "f4"}
    if message.encoding not in kinds:
        raise ValueError(f"masks of encoding '{message.encoding}' are not known: use {', '.join(kinds)}")
    shown: np.ndarray = image(message, 1, kinds[message.encoding])[:, :, 0] > 0
    return shown


@lru_cache(maxsize=4)
def rays(camera: Camera, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """x/z for every column and y/z for every row that is used."""
    x = (np.arange(0, camera.width, stride, dtype=np.float32) - camera.cx) / camera.fx
    y = (np.arange(0, camera.height, stride, dtype=np.float32) - camera.cy) / camera.fy
    return x.astype(np.float32), y.astype(np.float32)


def unproject(
    depth: np.ndarray, colour: np.ndarray | None, camera: Camera, stride: int, near: float, far: float, organised: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """xyz float32 (N, 3) in the optical frame and rgb uint8 (N, 3): returns only, or every pixel with NaN holes."""
    height, width = depth.shape
    if (camera.width, camera.height) != (width, height):
        camera = camera.scaled(width, height)
    x, y = rays(camera, stride)
    z = depth[::stride, ::stride]
    with np.errstate(invalid="ignore"):
        seen = (z >= max(near, 1e-6)) & (z <= far)
    if organised:
        z = np.where(seen, z, np.float32(np.nan))
        xyz = np.stack([z * x, z * y[:, None], z]).reshape(3, -1).T
    else:
        z = z[seen]
        rows, columns = np.nonzero(seen)
        xyz = np.stack([z * x[columns], z * y[rows], z]).T
    if colour is None:
        return xyz, None
    pixels = _at(colour, height, width)[::stride, ::stride]
    return xyz, pixels.reshape(-1, 3) if organised else pixels[seen]


def _at(colour: np.ndarray, height: int, width: int) -> np.ndarray:
    """The colour image at the depth image's size: the nearest pixel."""
    if colour.shape[:2] == (height, width):
        return colour
    rows = ((np.arange(height) + 0.5) * colour.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * colour.shape[1] / width).astype(int)
    return colour[rows][:, columns]
