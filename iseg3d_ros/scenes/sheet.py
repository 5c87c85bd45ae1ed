"""A contact sheet: several synthetic scenes side by side, in their colours and in their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iseg3d_ros.data.folder import read_scene
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.picture import picture

TILE = (400, 300)


def contact_sheet(scenes: Sequence[Path], target: Path, most: int = 6) -> Path:
    """Write a picture of up to `most` scenes: colours (or grey) above, labels below."""
    from PIL import Image

    chosen = list(scenes)[:most]
    if not chosen:
        raise ValueError(f"{target}: there is no scene to draw; make some first.")
    columns = [_column(path) for path in chosen]
    with replacing(target) as stream:
        sheet = Image.fromarray(np.concatenate(columns, axis=1)).quantize(128)  # a quarter of the bytes
        sheet.save(stream, "PNG", optimize=True)
    return target


def _column(path: Path) -> np.ndarray:
    scene = read_scene(path)
    up = (0.0, 0.0, 1.0)
    plain = picture(scene.xyz, scene.rgb, None, (), up, TILE)
    labels = np.where(scene.instance > 0, (scene.instance - 1) % 24 + 1, 0).astype(np.int32)
    return np.concatenate([plain, picture(scene.xyz, scene.rgb, labels, (), up, TILE)], axis=0)
