"""Augmentation of a labelled crop: turns, flips, tilts, scales, noise, thinning, and colours that cannot be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.training.config import AugmentConfig

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def geometry(xyz: Floats, size: float, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Yaw over the full circle, a flip, a small tilt, a scale and sensor noise of a fraction of a voxel."""
    turn = _yaw(rng.uniform(0, 2 * np.pi)) @ _tilt(np.radians(config.tilt_degrees), rng)
    turn = turn * rng.uniform(*config.scale)
    turn[:, 0] *= rng.choice([-1.0, 1.0])
    moved = xyz @ turn.T.astype(np.float32)
    return moved + rng.normal(0, rng.uniform(0, config.noise) * size, moved.shape).astype(np.float32)


def thin(count: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which points stay: a random share of at most `drop_points` goes."""
    kept: NDArray[np.bool_] = rng.random(count, dtype=np.float32) >= rng.uniform(0, config.drop_points)
    return kept


def colour(rgb: Bytes | None, config: AugmentConfig, rng: np.random.Generator) -> Bytes | None:
    """Gain and offset per channel, gamma, grey at times, noise; or no colour at all."""
    if rgb is None or rng.random() < config.colour_dropout:
        return None
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
