"""Makes the shipped scenes: `python -m iseg3d_ros.demo.make FOLDER`. Our own generators, without catalogue models."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.io.atomic_write import replacing

SEEDS = {"room": 8, "tabletop": 7, "street": 7}
REACH = 30.0  # metres from the sensor that are kept of a street: millimetres then fit 16 bits


def make(kind: str) -> LabelledCloud:
    """The scene of that kind, the same on every machine with the same NumPy."""
    maker = getattr(importlib.import_module(f"iseg3d_ros.scenes.{kind}"), kind)
    scene: LabelledCloud = maker(np.random.default_rng(SEEDS[kind]), [])
    return scene


def write(path: Path, scene: LabelledCloud) -> None:
    """Compact: millimetres as 16-bit integers, labels renumbered without gaps."""
    near = np.abs(scene.xyz - scene.origin * np.array([1, 1, 0])).max(axis=1) < REACH
    place = (scene.xyz[near] - scene.origin * np.array([1, 1, 0])).astype(np.float64)
    order = np.lexsort(np.floor(place * 2).astype(int).T)  # neighbours together: packs better
    used, labels = np.unique(np.concatenate([[0], scene.instance[near][order]]), return_inverse=True)
    arrays = {
        "xyz_mm": np.rint(1000 * place[order]).astype(np.int16),
        "labels": labels[1:].astype(np.uint8 if len(used) < 256 else np.uint16),
        "classes": np.array([scene.classes[label - 1] for label in used if label > 0]),
    }
    if scene.rgb is not None:
        arrays["rgb"] = scene.rgb[near][order]
    if scene.intensity is not None:
        arrays["intensity"] = np.rint(255 * np.clip(scene.intensity[near][order], 0, 1)).astype(np.uint8)
    with replacing(path) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    for name in SEEDS:
        write(Path(sys.argv[1], f"{name}.npz"), make(name))
