"""The shell of a room: walls, floor and ceiling, each one thing even where others stand before it or hang on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.preprocessing.up_direction import dominant_plane

Floats = NDArray[np.float64]

SAMPLED_VOXELS = 5000  # voxels on which planes are looked for
MAX_PLANES = 16
HALF_THICK_VOXELS = 0.7  # voxel edges to either side
MIN_NORMAL_COSINE = np.cos(np.radians(18))
MAX_SHARE_BEHIND = 0.04  # share of the cloud that may lie behind a wall, seen through a door or a window


def room_planes_of(means: Floats, normals: Floats, size: float, least: float) -> NDArray[np.int64]:
    """Number of the outer plane that each voxel lies in, from 0 on; -1 in none. `least`: its area in square metres."""
    surface, number = np.full(len(means), -1, np.int64), 0
    left = np.random.default_rng(0).permutation(len(means))[:SAMPLED_VOXELS]
    sought = max(least / size**2 * len(left) / max(len(means), 1), 3)  # voxels of the sample
    for _ in range(MAX_PLANES):
        plane = dominant_plane(means[left], normals[left], np.array([0.0, 0.0, 1.0]), 0.0, HALF_THICK_VOXELS * size)
        if plane is None or plane.share * len(left) < sought:
            break
        height = means @ plane.normal - plane.offset
        if min((height > 2 * size).mean(), (height < -2 * size).mean()) < MAX_SHARE_BEHIND:
            inside = (np.abs(height) < HALF_THICK_VOXELS * size) & (np.abs(normals @ plane.normal) > MIN_NORMAL_COSINE)
            surface[inside & (surface < 0)] = number
            number += 1
        left = left[np.abs(height[left]) > HALF_THICK_VOXELS * size]
    return surface


def usual_colours(surface: NDArray[np.int64], colours: Floats) -> Floats:
    """How far each voxel's colour, its channels summed, is from its surface's median; zero in none."""
    away = np.zeros(len(surface))
    for number in range(surface.max(initial=-1) + 1):
        inside = surface == number
        away[inside] = np.abs(colours[inside] - np.median(colours[inside], axis=0)).sum(axis=1)
    return away


def is_room(surface: NDArray[np.int64], normals: Floats) -> bool:
    """Whether walls make up a good part of what was seen: a room, and not a street with a house beside it."""
    return bool(((surface >= 0) & (np.abs(normals[:, 2]) < 0.3)).mean() > 0.1)
