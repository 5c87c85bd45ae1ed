"""A table top with two cubes, for tests that need no ROS."""

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
