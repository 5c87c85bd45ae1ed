"""What every reader of a data set gives: samples, read when they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.data.on_demand import OnDemand
from iseg3d_ros.io.columns import Cloud

_MAX_FLOAT32_METRES = 1000.0  # metres: beyond it float32 loses millimetres, so the cloud is moved to its lowest corner


@dataclass(frozen=True)
class Sample:
    """A labelled cloud and which of its instances are to be segmented; none named: the evaluator chooses."""

    name: str
    cloud: LabelledCloud
    objects: tuple[int, ...] = ()


class Samples(OnDemand[Sample]):
    """Samples whose files are opened one by one, as they are indexed."""

    def __init__(self, names: Sequence[str], read: Callable[[int], Sample]) -> None:
        self.names = tuple(names)
        self._read = read

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Sample:
        """One sample."""
        return self._read(index)


def labelled(name: str, cloud: Cloud, ids: NDArray[Any], names: Mapping[int, str], kind: str) -> LabelledCloud:
    """A cloud whose ids above 0 become instances 1, 2, ... in rising order; points that are not finite are left out."""
    finite = np.isfinite(cloud.xyz).all(axis=1)
    xyz, ids = np.asarray(cloud.xyz[finite]), np.maximum(np.asarray(ids)[finite].astype(np.int64), 0)
    if len(xyz) == 0:
        raise ValueError(f"{name} holds no point with finite coordinates.")
    corner = xyz.min(axis=0) if np.abs(xyz).max() > _MAX_FLOAT32_METRES else np.zeros(3)
    present, instance = np.unique(np.append(ids, 0), return_inverse=True)
    classes = tuple(names.get(int(value), "object") for value in present[1:])
    rgb = None if cloud.rgb is None else cloud.rgb[finite]
    intensity = None if cloud.intensity is None else cloud.intensity[finite]
    return LabelledCloud(name, (xyz - corner).astype(np.float32), rgb, intensity, instance[:-1].astype(np.int32),
                         classes, kind, np.zeros(3, np.float32))  # fmt: skip


def read_json(path: Path) -> Any:
    """The content of a JSON file, or a sentence that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: it is no JSON ({error}).") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a list that are not empty."""
    return [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def beside(path: str | os.PathLike[str], name: str, levels: int = 2) -> Path | None:
    """A file of that name in a folder or in up to `levels` folders above it."""
    folder = Path(path)
    return next((f / name for f in (folder, *folder.resolve().parents[:levels]) if (f / name).is_file()), None)
