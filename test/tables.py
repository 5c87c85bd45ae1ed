"""A table top with two cubes and a stool, for tests that need no ROS."""

from __future__ import annotations

import numpy as np


def table(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """xyz float32, rgb uint8, truth (0 table, 1 red cube at the middle, 2 blue cube at (0.35, 0.1))."""
    rng = np.random.default_rng(seed)
    parts, colours, truth = [np.c_[rng.uniform(-0.6, 0.6, (20000, 2)), np.zeros(20000)]], [(120, 120, 120)], [0]
    for label, (x, y, colour) in enumerate([(0, 0, (200, 30, 30)), (0.35, 0.1, (30, 30, 200))], 1):
        cube, face = rng.uniform(-0.05, 0.05, (4000, 3)), rng.integers(0, 3, 4000)
        cube[np.arange(4000), face] = np.sign(cube[np.arange(4000), face]) * 0.05
        parts.append(cube + [x, y, 0.055])
        colours.append(colour)
        truth.append(label)
    counts = [len(part) for part in parts]
    rgb = np.repeat(np.array(colours, np.uint8), counts, axis=0)
    return np.concatenate(parts).astype(np.float32), rgb, np.repeat(truth, counts).astype(np.int32)


def stool() -> tuple[np.ndarray, np.ndarray]:
    """A seat on one leg, on a floor that goes on: points, and 0 floor, 1 seat, 2 leg."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-1, 1, (8000, 2)), np.zeros(8000)]
    seat = np.c_[rng.uniform(-0.2, 0.2, (4000, 2)), np.full(4000, 0.45) + rng.uniform(0, 0.04, 4000)]
    turn = rng.uniform(0, 2 * np.pi, 2000)
    leg = np.c_[0.03 * np.cos(turn), 0.03 * np.sin(turn), rng.uniform(0.01, 0.45, 2000)]
    return np.r_[floor, seat, leg].astype(np.float32), np.repeat([0, 1, 2], [8000, 4000, 2000])


def photograph(xyz: np.ndarray, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """A camera's image of a table top: uint8 (240, 320, 3), depth in metres, and what a list of cameras says of it."""
    eye, target = np.array([0.7, -0.7, 0.7]), np.zeros(3)
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(ahead, right), ahead], 1), eye
    x, y, z = ((xyz - eye) @ pose[:3, :3]).T
    u, v = np.rint(300 * x / z + 159.5).astype(int), np.rint(300 * y / z + 119.5).astype(int)
    image, depth = np.zeros((240, 320, 3), np.uint8), np.zeros((240, 320))
    for n in np.argsort(-z):  # the nearest last
        if 2 <= u[n] < 318 and 2 <= v[n] < 238:
            image[v[n] - 2 : v[n] + 3, u[n] - 2 : u[n] + 3] = rgb[n]
            depth[v[n] - 2 : v[n] + 3, u[n] - 2 : u[n] + 3] = z[n]
    return image, depth, {"fx": 300, "fy": 300, "cx": 159.5, "cy": 119.5, "pose": pose.tolist()}
