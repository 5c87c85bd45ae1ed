"""The demo's scenes: three that ship with the package, or a file of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import READABLE, Cloud, read_cloud

SHIPPED = ("room", "tabletop", "street")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class DemoScene:
    """A cloud, the file it is played from, and the class of each of its labelled objects (label i: names[i - 1])."""

    path: Path
    cloud: Cloud
    names: tuple[str, ...]


def open_scene(scene: str) -> DemoScene:
    """A shipped scene by its name, or a cloud file."""
    path = FOLDER / f"{scene}.npz" if scene in SHIPPED else Path(scene)
    if not path.is_file():
        raise ValueError(f"{scene!r} is neither a file nor one of {', '.join(SHIPPED)}.")
    if path.suffix.lower() not in READABLE:
        raise ValueError(f"{path}: clouds of this kind cannot be read; the formats are {', '.join(READABLE)}.")
    names: tuple[str, ...] = ()
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            names = tuple(str(name) for name in archive["classes"]) if "classes" in archive.files else ()
    return DemoScene(path, read_cloud(path), names)
