"""Augmentation of a labelled crop: turns, flips, tilts, scales, noise, thinning, and colours that cannot be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iseg3d_ros.training.config import AugmentConfig

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Labels = NDArray[np.int32]
BRIDGED = 40_000  # points among which neighbours of other objects are looked for
CUT = 0.2  # share of the objects whose end is cut off where labels are not exact
COLOURED = 60_000  # points whose colours are known where colours are moved


def geometry(xyz: Floats, size: float, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Yaw over the full circle, a flip, a small tilt, a scale and sensor noise of a fraction of a voxel."""
    turn = _yaw(rng.uniform(0, 2 * np.pi)) @ _tilt(np.radians(config.tilt_degrees), rng)
    if config.any_up and rng.random() < config.any_up:
        turn = turn @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn = turn * rng.uniform(*config.scale)
    turn[:, 0] *= rng.choice([-1.0, 1.0])
    moved = bent(xyz @ turn.T.astype(np.float32), size, config, rng)
    return moved + rng.normal(0, rng.uniform(0, config.noise) * size, moved.shape).astype(np.float32)


def bent(xyz: Floats, size: float, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """A few long waves of small slope: walls and floors of real scans are not flat."""
    if config.elastic == 0 or rng.random() >= config.elastic:
        return xyz
    out = xyz.copy()
    for _ in range(4):
        length = size * 8 * 10 ** rng.random()
        wave = rng.normal(size=3)
        wave *= 2 * np.pi / length / np.linalg.norm(wave)
        push = rng.normal(size=3) * 0.012 * length * rng.random()
        height = np.sin(xyz @ wave.astype(np.float32) + np.float32(rng.uniform(0, 6.3)))
        out += height[:, None] * push.astype(np.float32)
    return out


def thin(count: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which points stay: a random share of at most `drop_points` goes."""
    kept: NDArray[np.bool_] = rng.random(count, dtype=np.float32) >= rng.uniform(0, config.drop_points)
    return kept


def relit(
    rgb: Bytes | None, xyz: Floats, instance: Labels, size: float, config: AugmentConfig, rng: np.random.Generator
) -> Bytes | None:
    """Colours as real scans have them (`tools/scene_gap.py` compares): patterns, lamps that fall off, sides turned
    away, shadows with edges, a cast, objects in the colours of a palette, and all of it a little beside its place."""
    if rgb is None or config.relight == 0 or rng.random() >= config.relight:
        return rgb
    values = rgb.astype(np.float32) / 255
    ids, index = np.unique(instance, return_inverse=True)
    counts = np.bincount(index)[:, None]
    means = np.stack([np.bincount(index, values[:, c]) for c in range(3)], 1) / counts
    palette = means[rng.integers(len(ids), size=3)]
    nearest = palette[np.linalg.norm(means[:, None] - palette, axis=2).argmin(1)]
    values += ((nearest - means) * rng.uniform(0, 1, (len(ids), 1)))[index].astype(np.float32)
    strength = rng.uniform(0.1, 1.0)
    lamps = 0.45 * _waves(xyz, 9 * size, rng) + 0.4 * _waves(xyz, 22 * size, rng)
    light = strength * (lamps + _turned(xyz, index, rng))
    light -= rng.uniform(0, 1.2) * (_waves(xyz, 12 * size, rng) > rng.uniform(0.5, 1.5))
    patterns = rng.uniform(0, 0.45, (len(ids), 1)) ** 2 / 0.45
    light += patterns[index, 0] * (_waves(xyz, 1.5 * size, rng) + _waves(xyz, 4 * size, rng))
    hues = rng.normal(0, 0.4, (len(ids), 3)) * patterns
    tint = hues[index] * _waves(xyz, 3 * size, rng)[:, None]
    warmth = rng.normal(0.08, 0.08) + rng.uniform(0, 0.15) * _waves(xyz, 14 * size, rng)
    cast = warmth[:, None] * np.array([1, 0, -1], np.float32)
    lit = (values * np.exp(np.minimum(light[:, None] + tint + cast, 1.0))).astype(np.float32)
    return (np.clip(_beside(lit, xyz, size * rng.uniform(0, 1.5), rng), 0, 1) * 255).astype(np.uint8)


def _turned(xyz: Floats, index: NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """Objects' far sides, darker: how far each point lies towards a lamp from its object's middle, in its spreads."""
    counts = np.bincount(index)
    along = (xyz @ rng.normal(0, 1, 3)).astype(np.float64)
    along -= (np.bincount(index, along) / counts)[index]
    spread = np.sqrt(np.bincount(index, along**2) / counts) + 1e-6
    return (0.35 * along / spread[index]).astype(np.float32)


def _beside(values: Floats, xyz: Floats, most: float, rng: np.random.Generator) -> Floats:
    """Colours of what lies a little beside, as where a camera's pose is not quite known."""
    away = rng.normal(0, 1, 3)
    shift = (away / np.linalg.norm(away) * most).astype(np.float32)
    known = np.sort(rng.permutation(len(xyz))[:COLOURED])
    shifted: Floats = values[known][cKDTree(xyz[known]).query(xyz + shift, workers=1)[1]]
    return shifted


def _waves(xyz: Floats, length: float, rng: np.random.Generator, count: int = 12) -> Floats:
    """A smooth field over space of mean square one, that changes within about `length`."""
    directions = rng.normal(0, 1 / (length * rng.uniform(0.6, 1.6)), (3, count)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    field = np.cos(xyz @ directions + phases) @ rng.normal(0, 1, count).astype(np.float32)
    return (field / np.sqrt((field**2).mean() + 1e-9)).astype(np.float32)


def bridged(
    xyz: Floats, rgb: Bytes | None, instance: Labels, size: float, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Floats, Bytes | None, Labels]:
    """Contacts as in a fused mesh: where objects are near, points between them, each of the object it begins at."""
    if config.bridge == 0 or rng.random() >= config.bridge:
        return xyz, rgb, instance
    asked = np.sort(rng.permutation(len(xyz))[:BRIDGED])
    tree, reach = cKDTree(xyz[asked]), size * rng.uniform(0.6, 2.0)
    away, near = tree.query(xyz[asked], k=12, distance_upper_bound=reach)
    other = np.isfinite(away)
    other &= instance[asked][np.where(other, near, 0)] != instance[asked][:, None]
    begin = np.flatnonzero(other.any(1))
    begin = begin[rng.random(len(begin)) < rng.uniform(0.4, 1.0)]
    end = asked[near[begin, other[begin].argmax(1)]]
    begin = asked[begin]
    shares = np.repeat(np.array([0.2, 0.45], np.float32), len(begin))[:, None]
    begin, end = np.tile(begin, 2), np.tile(end, 2)
    points = xyz[begin] + shares * (xyz[end] - xyz[begin])
    if rgb is not None:
        mixed = np.where(shares < 0.4, rgb[begin], 0.6 * rgb[begin] + 0.4 * rgb[end]).astype(np.uint8)
        rgb = np.concatenate([rgb, mixed])
    return np.concatenate([xyz, points]), rgb, np.concatenate([instance, instance[begin]])


def melted(xyz: Floats, size: float, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Edges and small things rounded as fusion rounds them: every point drawn towards the mean of what is about it."""
    if config.melt == 0 or rng.random() >= config.melt:
        return xyz
    places = np.floor(xyz / size).astype(np.int64)
    surface = len(np.unique(places @ np.array([1, 1 << 20, 1 << 40])))  # voxels that are taken
    asked = rng.permutation(len(xyz))[: int(surface * rng.uniform(1.5, 6))]
    _, near = cKDTree(xyz[asked]).query(xyz, k=min(8, len(asked)))
    about = xyz[asked][near.reshape(len(xyz), -1)].mean(1)
    moved: Floats = xyz + np.float32(rng.uniform(0.3, 0.9)) * (about - xyz)
    return moved


def mislabelled(
    points: Floats, instance: Labels, size: float, config: AugmentConfig, rng: np.random.Generator
) -> Labels:
    """Labels as people give them: borders a voxel beside their place, here to one side and there to the other, and ends
    of objects that a box has cut off."""
    if config.mislabel == 0 or rng.random() >= config.mislabel:
        return instance
    shift = rng.normal(0, 1, 3)
    shift *= size * rng.uniform(0.2, 1.4) / np.linalg.norm(shift)
    strength = np.clip(_waves(points, 10 * size, rng), -1.5, 1.5)[:, None]
    labels = instance[cKDTree(points).query(points + strength * shift.astype(np.float32), workers=1)[1]]
    for one in np.unique(labels[labels > 0]):
        if rng.random() < CUT:
            rows = np.flatnonzero(labels == one)
            side = rng.normal(0, 1, 3) if rng.random() < 0.6 else np.array([0, 0, -1.0])
            along = points[rows] @ (side / np.linalg.norm(side))
            labels[rows[along > along.max() - rng.uniform(0.02, 0.12) * np.ptp(along)]] = 0
    return labels


def as_scanned(
    xyz: Floats, instance: Labels, classes: tuple[str, ...], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Which points stay where a room is scanned as most are: without its ceiling, half of them no higher than some
    height between one's waist and above the doors; None where all stay."""
    ceilings = [number for number, name in enumerate(classes, 1) if "ceiling" in name.lower()]
    if not (ceilings or "wall" in classes) or rng.random() >= config.drop_ceiling:
        return None
    kept: NDArray[np.bool_] = ~np.isin(instance, ceilings)
    if rng.random() < 0.5 and "wall" in classes:
        kept &= xyz[:, 2] < np.quantile(xyz[:, 2], 0.02) + rng.uniform(1.0, 2.4)
    return kept


def colour(rgb: Bytes | None, config: AugmentConfig, rng: np.random.Generator) -> Bytes | None:
    """Gain and offset per channel, gamma, grey at times, noise; or no colour at all."""
    if rgb is None or rng.random() < config.colour_dropout:
        return None
    if config.colour_jitter == 0:
        return rgb
    values = rgb.astype(np.float32) / 255
    if rng.random() < 0.1:
        values = np.repeat(values.mean(1, keepdims=True), 3, 1)
    jitter = config.colour_jitter
    gain = 1 + rng.uniform(-jitter, jitter) + rng.normal(0, jitter / 4, 3)
    values = np.clip(values, 0, 1) ** rng.uniform(1 - jitter, 1 + 2 * jitter) * gain + rng.normal(0, jitter / 6, 3)
    values += rng.normal(0, rng.uniform(0, 0.04), values.shape)
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def _yaw(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _tilt(most: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn by up to about `most` about a random horizontal axis: an up direction is never known exactly."""
    x, y = rng.normal(0, most / 2, 2)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    return about_x @ about_y
