"""The furniture catalogue: some 700 models in one compact, memory-mapped file that `iseg3d scenes --prepare` makes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from iseg3d_ros.scenes.mesh import Material, Mesh

MAGIC = b"iseg3d-models-1\n"
HOW_TO_GET = ("the furniture models are not here: `apt-get install sweethome3d-furniture` and `iseg3d scenes --prepare "
              "FILE` make them once, `--furniture FILE` uses them; `--procedural` makes scenes without them")
LIBRARIES = Path("/usr/share/sweethome3d/furniture")
_TYPES = {"vertices": "<u2", "faces": "<u2", "material": "u1", "uv": "<f2", "texels": "u1"}


@dataclass(frozen=True)
class Model:
    """One model: `load()` gives its mesh in metres, z up, standing on z = 0, centred in x and y, its back at +y."""

    name: str  # as in the catalogue, e.g. "Office chair"
    category: str
    role: str  # what scenes use it as (kinds.py)
    size: tuple[float, float, float]  # width (x), depth (y), height (z)
    elevation: float  # of its lowest point above the floor, where it hangs on a wall
    split: str  # "train" or "val"
    library: ModelLibrary
    index: int

    def load(self) -> Mesh:
        """The mesh; read from the file each time it is asked for the first time in a process."""
        return self.library.mesh(self.index)


class ModelLibrary:
    """The prepared file, memory-mapped."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            start = file.read(len(MAGIC) + 4)
            if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4:
                raise ValueError(f"{path}: is no prepared furniture; make it with `iseg3d scenes --prepare {path}`")
            length = struct.unpack("<I", start[len(MAGIC):])[0]
            header = json.loads(file.read(length))
        self.rows: list[dict] = header["models"]
        self.textures: list[list[int]] = header["textures"]  # offset into the texels, height, width
        raw, at = np.memmap(self.path, np.uint8, "r"), len(start) + length
        self._arrays = {}
        for name, kind in _TYPES.items():
            nbytes = header["bytes"][name]
            if at + nbytes > len(raw):
                raise ValueError(f"{path}: is cut off; make it again with `iseg3d scenes --prepare {path}`")
            self._arrays[name] = raw[at:at + nbytes].view(kind)
            at += nbytes
        self.mesh = lru_cache(maxsize=256)(self._mesh)

    def models(self) -> list[Model]:
        """All models of the file."""
        return [Model(r["name"], r["category"], r["role"], tuple(r["size"]), r["elevation"], r["split"], self, i)
                for i, r in enumerate(self.rows)]

    def _mesh(self, index: int) -> Mesh:
        row = self.rows[index]
        low, high = np.array(row["low"], np.float32), np.array(row["high"], np.float32)
        low[2], high[2] = 0, high[2] - low[2]  # simplifying may have moved the feet
        v0, v1 = row["vertices"]
        f0, f1 = row["faces"]
        vertices = self._arrays["vertices"][3 * v0:3 * v1].reshape(-1, 3).astype(np.float32) / 65535
        faces = self._arrays["faces"][3 * f0:3 * f1].reshape(-1, 3).astype(np.int32)
        uv = np.zeros((f1 - f0, 3, 2), np.float32)
        if row["uv"] >= 0:
            u0 = 6 * row["uv"]
            uv = self._arrays["uv"][u0:u0 + uv.size].reshape(uv.shape).astype(np.float32)
        return Mesh(low + vertices * (high - low), faces, self._arrays["material"][f0:f1].astype(np.int16), uv,
                    tuple(self._material(*m) for m in row["materials"]))

    def _material(self, colour: list[float], opacity: float, texture: int) -> Material:
        picture = None
        if texture >= 0:
            offset, height, width = self.textures[texture]
            picture = self._arrays["texels"][offset:offset + 4 * height * width].reshape(height, width, 4)
        return Material((colour[0], colour[1], colour[2]), picture, opacity)


def default_file() -> Path:
    """Where the prepared models are looked for when no file is named."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("ISEG3D_FURNITURE") or os.path.join(home, "iseg3d_ros", "furniture.models"))


def furniture(path: str | os.PathLike[str] | None = None, split: str | None = None) -> list[Model]:
    """The models of a prepared file (by default the one in the user's cache), of one split or of both."""
    path = default_file() if path is None else Path(path)
    if not path.is_file():
        raise RuntimeError(f"{path}: {HOW_TO_GET}")
    return [m for m in _library(str(path)).models() if split in (None, m.split)]


@lru_cache(maxsize=4)
def _library(path: str) -> ModelLibrary:
    return ModelLibrary(path)


def by_role(models: Iterable[Model]) -> dict[str, list[Model]]:
    """Models sorted into their roles; those without a role are left out."""
    out: dict[str, list[Model]] = {}
    for model in models:
        if model.role:
            out.setdefault(model.role, []).append(model)
    return out
