"""Wavefront OBJ and MTL files out of a zip archive, as meshes. Only preparing the catalogue needs this (and Pillow)."""

from __future__ import annotations

import io
import posixpath
from zipfile import ZipFile

import numpy as np

from iseg3d_ros.scenes.mesh import Material, Mesh

TEXTURE_PIXELS = 64  # a pixel of a synthetic scan covers centimetres: more would only alias


class Archive:
    """A zip file whose names are found whatever their case and slashes, as 3D programs write them."""

    def __init__(self, path: str) -> None:
        self._zip = ZipFile(path)
        self._names = {name.lower(): name for name in self._zip.namelist()}

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None where there is none."""
        found = self._names.get(posixpath.normpath(name.replace("\\", "/")).lstrip("/").lower())
        return None if found is None else self._zip.read(found)

    def beside(self, path: str, name: str) -> bytes | None:
        """A file that `path` mentions: relative to it, or of the same name in its folder."""
        folder, name = posixpath.dirname(path), name.strip().replace("\\", "/")
        return self.read(posixpath.join(folder, name)) or self.read(posixpath.join(folder, posixpath.basename(name)))


def read_obj(archive: Archive, path: str) -> Mesh | None:
    """The mesh of an OBJ file, polygons cut into triangles; None where the file is missing or holds no face."""
    content = archive.read(path)
    if content is None:
        return None
    vertices: list[tuple[float, ...]] = []
    corners: list[tuple[float, ...]] = []
    faces: list[tuple[int, ...]] = []  # three vertices, three texture corners, material
    library: dict[str, Material] = {}
    names: dict[str, int] = {"": 0}
    current = 0
    for line in content.decode("latin-1").splitlines():
        key, _, rest = line.partition(" ")
        if key == "v":
            vertices.append(tuple(float(x) for x in rest.split()[:3]))
        elif key == "vt":
            corners.append(tuple(float(x) for x in (*rest.split()[:2], "0")[:2]))
        elif key == "f":
            faces += _triangles(rest, len(vertices), len(corners), current)
        elif key == "usemtl":
            current = names.setdefault(rest.strip(), len(names))
        elif key == "mtllib":
            library |= _read_mtl(archive, path, rest)
    if not faces or not vertices:
        return None
    return _mesh(np.array(vertices, np.float32), np.array([*corners, (0.0, 0.0)], np.float32),
                 np.array(faces), tuple(library.get(name, Material()) for name in names))


def _triangles(rest: str, vertices: int, corners: int, material: int) -> list[tuple[int, ...]]:
    points, uvs = [], []
    for token in rest.split():
        parts = token.split("/")
        index = int(parts[0])
        points.append(index - 1 if index > 0 else vertices + index)
        uv = int(parts[1]) if len(parts) > 1 and parts[1] else 0
        uvs.append(uv - 1 if uv > 0 else corners + uv if uv < 0 else -1)
    return [(points[0], points[k], points[k + 1], uvs[0], uvs[k], uvs[k + 1], material)
            for k in range(1, len(points) - 1)]


def _mesh(vertices: np.ndarray, corners: np.ndarray, faces: np.ndarray, materials: tuple[Material, ...]) -> Mesh:
    good = np.isfinite(vertices).all(axis=1)
    inside = (faces[:, :3] >= 0).all(axis=1) & (faces[:, :3] < len(vertices)).all(axis=1)
    faces = faces[inside & good[np.clip(faces[:, :3], 0, len(vertices) - 1)].all(axis=1)]
    used, index = np.unique(faces[:, :3], return_inverse=True)
    uv = corners[np.clip(faces[:, 3:6], -1, len(corners) - 1)]
    return Mesh(vertices[used], index.reshape(-1, 3).astype(np.int32), faces[:, 6].astype(np.int16),
                np.where(np.isfinite(uv), uv, 0).astype(np.float32), materials)


def _read_mtl(archive: Archive, path: str, name: str) -> dict[str, Material]:
    content = archive.beside(path, name)
    materials: dict[str, dict] = {}
    current: dict = {}
    for line in (content or b"").decode("latin-1").splitlines():
        tokens = line.split()
        if not tokens:
            continue
        key, value = tokens[0].lower(), line.split(None, 1)[-1].strip()
        if key == "newmtl":
            current = materials.setdefault(value, {})
        elif key == "kd":
            current["colour"] = _floats(tokens[1:4], (0.7, 0.7, 0.7))
        elif key == "d":
            current["opacity"] = _floats(tokens[-1:], (1.0,))[0]
        elif key == "map_kd":
            texture = _texture(archive.beside(path, value) or archive.beside(path, tokens[-1]))
            if texture is not None:
                current["texture"] = texture
    return {name: Material(**values) for name, values in materials.items()}


def _floats(tokens: list[str], otherwise: tuple[float, ...]) -> tuple[float, ...]:
    try:
        values = tuple(float(token) for token in tokens)
    except ValueError:
        return otherwise
    return values if len(values) == len(otherwise) else otherwise


def _texture(content: bytes | None) -> np.ndarray | None:
    from PIL import Image

    if content is None:
        return None
    try:
        picture = Image.open(io.BytesIO(content)).convert("RGBA")
        picture.thumbnail((TEXTURE_PIXELS, TEXTURE_PIXELS), Image.Resampling.BILINEAR)
    except (OSError, ValueError):
        return None  # a picture that cannot be read: the material's plain colour stands in
    return np.asarray(picture)
