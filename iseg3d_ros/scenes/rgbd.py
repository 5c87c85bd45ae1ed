"""An RGB-D camera: depth noise, disparity steps, flying pixels, missing returns, light, colour beside the depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.render import Composition, Hits, pinhole

Array = NDArray[np.float64]
BASELINE = 0.075  # metres between a Kinect's projector and camera
FOCAL_640 = 525.0  # its focal length at a width of 640 pixels


@dataclass(frozen=True)
class Camera:
    """A sensor's habits; `noise` 1 is a Kinect v1, 0.3 a good time-of-flight or stereo camera."""

    width: int = 400
    height: int = 300
    noise: float = 1.0
    reach: float = 4.0  # metres
    edge_loss: float = 0.35  # share of the pixels at depth edges that return nothing
    flying: float = 0.25  # share of them that float between the surfaces
    shadow: bool = False  # what its projector, aside of it, does not light, returns nothing
    wobble: float = 0.0  # metres at one metre by which the depth errs in broad waves (lens, calibration)

    @property
    def focal(self) -> float:
        """Pixels, at this width."""
        return FOCAL_640 * self.width / 640


@dataclass(frozen=True)
class Light:
    """One direction of light over ambient light, the camera's white balance, gain and colour noise."""

    direction: Array
    ambient: float
    gain: float
    balance: Array
    grain: float


@dataclass(frozen=True)
class View:
    """The points that one look returned."""

    xyz: Array
    rgb: Array  # 0..1
    label: NDArray[np.int32]


def camera(rng: np.random.Generator, width: int = 400) -> Camera:
    """A camera like those on robots: most often a Kinect or its peers, sometimes a better one."""
    noise = float(rng.choice([0.3, 0.7, 1.0, 1.0]))
    return Camera(
        width, width * 3 // 4, noise, edge_loss=rng.uniform(0.1, 0.5), flying=rng.uniform(0.0, 0.25),
        shadow=noise > 0.5 and rng.random() < 0.85, wobble=noise * rng.uniform(0, 0.003),
    )  # fmt: skip


def light(rng: np.random.Generator) -> Light:
    """Light from above, somewhat aside."""
    direction = np.array([*rng.normal(0, 0.5, 2), 1.0])
    return Light(
        direction / np.linalg.norm(direction), rng.uniform(0.35, 0.8), rng.uniform(0.7, 1.25),
        1 + rng.normal(0, 0.08, 3), rng.uniform(0.01, 0.04),
    )  # fmt: skip


def look(world: Composition, eye: Array, target: Array, sensor: Camera, lit: Light, rng: np.random.Generator) -> View:
    """One view: where it stands, what it sees, with the sensor's faults."""
    rays = pinhole(eye, target, sensor.width, sensor.height, sensor.focal, rng.normal(0, 0.03))
    hits = world.cast(rays)
    towards = rays[:, 3:].astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", towards, towards))
    facing = np.abs(np.einsum("ij,ij->i", towards, hits.normal)) / length
    edge = depth_edges(hits.t.reshape(sensor.height, sensor.width)).ravel()
    depth = _noisy(hits.t.astype(np.float64), facing, sensor, rng) * _waves(sensor, rng)
    depth = _flying(depth, edge, sensor, rng)
    kept = _returned(hits, facing, edge, sensor, rng)
    if sensor.shadow:
        kept &= ~projector_shadow(hits.t.reshape(sensor.height, sensor.width), sensor.focal).ravel()
    colour = _coloured(hits, sensor, lit, rng)
    xyz = rays[:, :3] + towards * np.where(kept, depth, 0)[:, None]
    return View(xyz[kept], colour[kept], np.maximum(hits.label[kept], 0))


def depth_edges(depth: NDArray[np.float32], step: float = 0.02) -> NDArray[np.bool_]:
    """Pixels beside a jump in depth of more than `step` (per metre of distance)."""
    near = np.where(np.isfinite(depth), depth, 99.0)
    edge = np.zeros(depth.shape, bool)
    down = np.abs(np.diff(near, axis=0)) > step * np.minimum(near[1:], near[:-1])
    across = np.abs(np.diff(near, axis=1)) > step * np.minimum(near[:, 1:], near[:, :-1])
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge


def fuse(views: Sequence[View], cell: float, rng: np.random.Generator, drift: float = 0.002) -> View:
    """Several views as one cloud: each a little off, thinned to one point a cell."""
    moved = [View(v.xyz + (rng.normal(0, drift, 3) if k else 0), v.rgb, v.label) for k, v in enumerate(views)]
    xyz, rgb, label = (np.concatenate([getattr(v, name) for v in moved]) for name in ("xyz", "rgb", "label"))
    kept = one_a_cell(xyz, cell)
    return View(xyz[kept], rgb[kept], label[kept])


def exposed(rgb: Array, rng: np.random.Generator, low: float = 0.3, high: float = 0.6) -> Array:
    """As cameras do: the mean brightness brought to a usual one."""
    mean = float(rgb.mean()) if len(rgb) else 0.0
    return np.clip(rgb * rng.uniform(low, high) / max(mean, 0.05), 0, 1)


def one_a_cell(xyz: Array, cell: float) -> NDArray[np.int64]:
    """Indices of the first point in every cell of a grid, in their order."""
    place = np.floor((xyz - xyz.min(0)) / cell).astype(np.int64) if len(xyz) else np.zeros((0, 3), np.int64)
    key = (place[:, 0] << 42) | (place[:, 1] << 21) | place[:, 2]
    return np.sort(np.unique(key, return_index=True)[1])


def _noisy(depth: Array, facing: Array, sensor: Camera, rng: np.random.Generator) -> Array:
    """Axial noise grows with the square of the distance (Nguyen 2012), and depth comes in steps of disparity."""
    away = np.where(np.isfinite(depth), depth, 99.0)
    sigma = (0.0008 + 0.0016 * np.clip(away - 0.4, 0, 9) ** 2) / np.clip(facing, 0.35, 1)
    away = away + sensor.noise * sigma * rng.normal(size=len(away))
    if sensor.noise < 0.5:
        return away
    disparity = FOCAL_640 * BASELINE / away
    return FOCAL_640 * BASELINE / np.maximum(np.round(disparity * 8) / 8, 1e-3)


def _waves(sensor: Camera, rng: np.random.Generator) -> Array:
    """Factors on the depth, slowly changing over the image."""
    rows, columns = np.arange(sensor.height)[:, None] / sensor.width, np.arange(sensor.width)[None] / sensor.width
    (a, b), phase = rng.uniform(-15, 15, (2, 2)), rng.uniform(0, 2 * np.pi, 2)
    wave = np.sin(a[0] * rows + a[1] * columns + phase[0]) + np.sin(b[0] * rows + b[1] * columns + phase[1])
    return (1 + 0.5 * sensor.wobble * wave).ravel()


def projector_shadow(depth: NDArray[np.float32], focal: float) -> NDArray[np.bool_]:
    """Pixels hidden from a projector at the camera's right: something further right stands in their light."""
    width = depth.shape[1]
    seen = np.arange(width) - focal * BASELINE / np.maximum(depth, 0.1)  # the pixel's column as the projector sees it
    nearest = np.minimum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return seen > nearest + 0.75


def _flying(depth: Array, edge: NDArray[np.bool_], sensor: Camera, rng: np.random.Generator) -> Array:
    """Some edge pixels mix the depths of both sides."""
    shift = rng.integers(-1, 2, 2)
    other = np.roll(depth.reshape(sensor.height, sensor.width), shift, (0, 1)).ravel()
    floating = edge & (rng.random(len(depth)) < sensor.flying) & (other < sensor.reach)
    return np.where(floating, depth + (other - depth) * rng.random(len(depth)), depth)


def _returned(
    hits: Hits, facing: Array, edge: NDArray[np.bool_], sensor: Camera, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Near enough, not grazing, not too dark, not lost at an edge, and not in one of a few blind spots."""
    chance = rng.random(len(facing))
    dark = hits.rgb @ np.ones(3, np.float32) < 0.18
    kept = np.isfinite(hits.t) & (hits.t > 0.3) & (hits.t < sensor.reach) & (facing > 0.08)
    kept &= (chance > 0.01 + 0.2 * dark) & ~(edge & (rng.random(len(edge)) < sensor.edge_loss))
    image = kept.reshape(sensor.height, sensor.width)
    for _ in range(rng.integers(0, 4)):
        row, column, side = rng.integers(0, sensor.height), rng.integers(0, sensor.width), rng.integers(2, 12)
        image[row : row + side, column : column + side] = False
    return kept


def _coloured(hits: Hits, sensor: Camera, lit: Light, rng: np.random.Generator) -> Array:
    """Shaded, unevenly lit, shifted by a pixel or two against the depth, at times blurred, grainy."""
    shade = lit.ambient + (1 - lit.ambient) * np.abs(hits.normal @ lit.direction)
    tint = (shade * lit.gain)[:, None] * lit.balance
    image = (hits.rgb * tint.astype(np.float32)).reshape(sensor.height, sensor.width, 3)
    fall = 1 + 0.2 * rng.normal() * (np.arange(sensor.width) / sensor.width - 0.5)
    image = image * fall.astype(np.float32)[None, :, None]
    image = np.roll(image, rng.integers(-2, 3, 2), (0, 1))
    if rng.random() < 0.5:
        image = (image + np.roll(image, 1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)) / 4
    grain = np.float32(lit.grain) * rng.standard_normal((len(hits.t), 3), np.float32)
    return np.clip(image.reshape(-1, 3) + grain, 0, 1)
