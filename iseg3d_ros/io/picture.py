"""A picture of a labelled cloud, without a display: points splatted into a depth buffer, with eye-dome lighting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.preprocessing.scene import kind_of
from iseg3d_ros.preprocessing.up_direction import find_up, rotation_to_z

PALETTE = np.array(
    [
        [230, 75, 53], [0, 135, 190], [0, 160, 105], [245, 165, 0], [145, 80, 180], [240, 110, 170], [90, 190, 220],
        [150, 190, 40], [165, 95, 50], [60, 80, 200], [215, 190, 60], [0, 120, 120],
    ],
    np.uint8,
)  # fmt: skip
PAPER = 252  # of 255: the background
MOST_POINTS = 1_500_000
SAMPLES = 2  # a side: the picture is drawn larger and reduced, which smooths edges
TINT = 0.72  # how much of an object's colour covers the cloud's own
OWN = 0.15  # how much of its own colour remains to what is no object: a blue wall is not to pass for an object


@dataclass(frozen=True)
class Camera:
    """A pinhole: `rotation` world → camera (x right, y down, z forward); focal length, centre, size in pixels."""

    eye: NDArray[np.float64]
    rotation: NDArray[np.float64]
    focal: float
    centre: NDArray[np.float64]
    width: int
    height: int

    def project(self, points: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel coordinates (n, 2) and depths (n,)."""
        seen = (points - self.eye) @ self.rotation.T
        depth = np.maximum(seen[:, 2], 1e-6)
        return seen[:, :2] * (self.focal / depth)[:, None] + self.centre, seen[:, 2]


def write_picture(
    path: str | os.PathLike[str],
    xyz: np.ndarray,
    rgb: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    clicks: Sequence[Click] = (),
    up: Sequence[float] | None = None,
    size: tuple[int, int] = (1280, 860),
) -> None:
    """Draw the cloud, its objects in colours of their own and the clicks as marks, into a PNG or JPEG file."""
    image = picture(xyz, rgb, labels, clicks, up, size)
    form = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(Path(path).suffix.lower())
    if form is None:
        raise ValueError(f"{path}: pictures are .png or .jpg.")
    from PIL import Image

    with replacing(path) as stream:
        Image.fromarray(image).save(stream, form)


def picture(
    xyz: np.ndarray,
    rgb: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    clicks: Sequence[Click] = (),
    up: Sequence[float] | None = None,
    size: tuple[int, int] = (1280, 860),
) -> NDArray[np.uint8]:
    """The same as an array (height, width, 3)."""
    good = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    if len(good) == 0:
        raise ValueError("There is no point to draw.")
    chosen = good[:: max(1, -(-len(good) // MOST_POINTS))]
    kind = kind_of(xyz[chosen])
    upright = rotation_to_z(find_up(xyz[chosen]) if up is None else np.asarray(up))
    points = xyz[chosen].astype(np.float64) @ upright.T
    camera = _camera(points, kind, size[0] * SAMPLES, size[1] * SAMPLES)
    colours = _colours(points, None if rgb is None else rgb[chosen], None if labels is None else labels[chosen])
    shown = _below_ceiling(points, kind)
    image = _draw(camera, points[shown], colours[shown])
    marks = [(np.asarray(click.point, np.float64) @ upright.T, int(click.object)) for click in clicks]
    return _reduced(_marked(image, camera, marks), size)


def _camera(points: NDArray[np.float64], kind: str, width: int, height: int) -> Camera:
    """From where the sensor was, if it was to one side, otherwise from a corner; at an angle that shows the ground."""
    low, high = np.percentile(points, [1, 99], axis=0)
    middle = (low + high) / 2
    aside = -middle[:2] if np.abs(middle[:2]).max() > 0.25 * (high - low)[:2].max() else np.array([-0.6, -0.8])
    azimuth = np.arctan2(aside[1], aside[0])
    elevation = np.radians({"tabletop": 40, "room": 42, "street": 30}[kind])
    back = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    rotation = np.stack([right, -np.cross(back, right), -back])
    eye = middle + back * 1.8 * max(float(np.linalg.norm(high - low)), 1e-3)
    sample = points[:: max(1, len(points) // 20000)]
    bulk = sample[((sample >= low) & (sample <= high)).all(axis=1)]
    seen = (bulk if len(bulk) else sample) @ rotation.T - rotation @ eye
    flat = seen[:, :2] / seen[:, 2:]
    focal = float((np.array([width, height]) * 0.9 / np.maximum(np.ptp(flat, axis=0), 1e-3)).min())
    centre = np.array([width, height]) / 2 - focal * (flat.min(axis=0) + flat.max(axis=0)) / 2
    return Camera(eye, rotation, focal, centre, width, height)


def _below_ceiling(points: NDArray[np.float64], kind: str) -> NDArray[np.bool_]:
    """Rooms are drawn without their ceilings, which would hide them."""
    if kind != "room":
        return np.ones(len(points), bool)
    low, high = np.percentile(points[:, 2], [1, 99])
    return points[:, 2] < (low + 0.85 * (high - low) if high - low > 2.2 else np.inf)


def _colours(points: NDArray[np.float64], rgb: np.ndarray | None, labels: np.ndarray | None) -> NDArray[np.float32]:
    if rgb is None:
        low, high = np.percentile(points[:, 2], [2, 98])
        grey = 120 + 90 * np.clip((points[:, 2] - low) / max(high - low, 1e-6), 0, 1)
        base = np.repeat(grey[:, None], 3, axis=1).astype(np.float32)
    else:
        base = rgb.astype(np.float32)
    if labels is None:
        return base
    grey = base.mean(axis=1, keepdims=True)
    calm = OWN * base + (1 - OWN) * (0.75 * grey + 50)  # what is no object steps back
    tint = PALETTE[(labels - 1) % len(PALETTE)] * (0.55 + 0.45 * grey / max(float(np.percentile(grey, 95)), 1.0))
    return np.where((labels > 0)[:, None], TINT * tint + (1 - TINT) * base, calm).astype(np.float32)


def _draw(camera: Camera, points: NDArray[np.float64], colours: NDArray[np.float32]) -> NDArray[np.uint8]:
    pixel, depth = camera.project(points)
    inside = (depth > 0) & (pixel > -20).all(axis=1) & (pixel < [camera.width + 20, camera.height + 20]).all(axis=1)
    pixel, depth, colours = pixel[inside], depth[inside], colours[inside]
    order = np.argsort(-depth)  # far to near: where several fall on a pixel, the last one written is the nearest
    cells, depth, colours = np.rint(pixel[order]).astype(np.int64), depth[order], colours[order]
    buffer = np.full((camera.height, camera.width), np.inf)
    image = np.full((camera.height, camera.width, 3), PAPER, np.float32)
    for dx, dy in _disc(_radius(camera, cells)):
        x, y = cells[:, 0] + dx, cells[:, 1] + dy
        seen = np.flatnonzero((x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height))
        seen = seen[depth[seen] < buffer[y[seen], x[seen]]]
        buffer[y[seen], x[seen]] = depth[seen]
        image[y[seen], x[seen]] = colours[seen]
    return np.clip(image * _dome(buffer)[:, :, None], 0, 255).astype(np.uint8)


def _radius(camera: Camera, pixel: NDArray[np.int64]) -> float:
    """Splats just large enough to close surfaces: from the median distance of points on the picture."""
    coarse = np.unique(pixel // 8, axis=0)
    return float(np.clip(1.3 * np.sqrt(len(coarse) * 64 / max(len(pixel), 1)), 1.2, 7 * camera.width / 2560))


def _disc(radius: float) -> list[tuple[int, int]]:
    reach = range(-int(radius), int(radius) + 1)
    return [(x, y) for x in reach for y in reach if x * x + y * y <= radius * radius]


def _dome(buffer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eye-dome lighting (Boucheny 2009): a pixel is darker, the more its neighbours stand before it."""
    depth = np.log2(np.where(np.isfinite(buffer), buffer, 1e6))
    hidden = np.zeros_like(depth)
    for reach in (2, 5):
        for dx, dy in ((reach, 0), (-reach, 0), (0, reach), (0, -reach)):
            hidden += np.clip(depth - np.roll(depth, (dy, dx), (0, 1)), 0, 0.03)
    shade = np.exp(-9.0 * hidden)
    return np.where(np.isfinite(buffer), 0.25 + 0.75 * shade, 1.0)


def _marked(
    image: NDArray[np.uint8], camera: Camera, marks: Sequence[tuple[NDArray[np.float64], int]]
) -> NDArray[np.uint8]:
    """Clicks as discs in their object's colour, on the background as dark discs with a bar."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    radius = camera.width / 160
    for place, label in marks:
        (pixel,), (depth,) = camera.project(place[None])
        if depth <= 0:
            continue
        x, y = pixel
        fill = tuple(int(c) for c in PALETTE[(label - 1) % len(PALETTE)]) if label else (50, 50, 50)
        for grow, colour in ((1.5, (20, 20, 20)), (1.3, (255, 255, 255)), (0.9, fill)):
            pen.ellipse([x - radius * grow, y - radius * grow, x + radius * grow, y + radius * grow], fill=colour)
        bar = radius * 0.5
        pen.line([x - bar, y, x + bar, y], fill=(255, 255, 255), width=int(radius / 3) + 1)
        if label:
            pen.line([x, y - bar, x, y + bar], fill=(255, 255, 255), width=int(radius / 3) + 1)
    return np.asarray(canvas)


def _reduced(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
