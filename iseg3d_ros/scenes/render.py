"""Placed meshes with labels, and the one ray cast that every simulated sensor uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from iseg3d_ros.scenes.mesh import Material, Mesh, transform

GLASS = 0.35  # materials with less opacity return nothing to a depth sensor
_ALPHA_STEP = 1e-3  # metres beyond a transparent texel at which a ray starts again
_ALPHA_ROUNDS = 4  # leaves behind leaves: further rounds change next to nothing


@dataclass(frozen=True)
class Hits:
    """First hit of every ray: t in lengths of its direction (inf: none), label (-1: none), rgb in [0, 1], normal."""

    t: np.ndarray
    label: np.ndarray
    rgb: np.ndarray
    normal: np.ndarray


class Composition:
    """Meshes placed in one world. `add` them, `build` once, `cast` as often as wanted."""

    def __init__(self) -> None:
        self.classes: list[str] = []  # class name of label i at i - 1
        self._parts: list[tuple[Mesh, int]] = []
        self._caster: Any = None

    def new_label(self, class_name: str) -> int:
        """A label (1, 2, ...) for a further object."""
        self.classes.append(class_name)
        return len(self.classes)

    def add(self, mesh: Mesh, pose: np.ndarray | None = None, label: int | None = None, class_name: str = "") -> int:
        """Places a mesh; without a label it becomes a new object of `class_name`. Label 0 is background."""
        if label is None:
            label = self.new_label(class_name)
        self._parts.append((mesh if pose is None else transform(mesh, pose), label))
        self._caster = None
        return label

    def build(self) -> Composition:
        """Merges all parts and builds the ray caster's tree (about 1 s a million faces)."""
        if not self._parts:
            raise ValueError("the composition is empty: add a mesh before building it")
        meshes = [m for m, _ in self._parts]
        starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
        first = np.cumsum([0] + [len(m.materials) for m in meshes])
        materials = [material for m in meshes for material in m.materials]
        material = np.concatenate([m.material.astype(np.int32) + f for m, f in zip(meshes, first)])
        solid = np.array([m.opacity >= GLASS for m in materials])[material]
        faces = np.concatenate([m.faces.astype(np.int64) + s for m, s in zip(meshes, starts)])
        self._material = material[solid]
        labels = np.array([label for _, label in self._parts], np.int32)
        self._label = np.repeat(labels, [len(m.faces) for m in meshes])[solid]
        self._uv = np.concatenate([m.uv for m in meshes])[solid]
        self._shade_table(materials)
        self._caster = _caster(np.concatenate([m.vertices for m in meshes]), faces[solid])
        return self

    def _shade_table(self, materials: list[Material]) -> None:
        """All textures as one flat list of texels, so that shading needs no loop over materials."""
        self._tint = np.array([m.tint for m in materials], np.float32)
        textures: dict[int, int] = {}
        texels, rows, total = [], [], 0
        for m in materials:
            texture = m.texture if m.texture is not None else np.array([[[*m.colour, 1.0]]]) * 255
            if m.texture is None or id(m.texture) not in textures:
                texels.append(_rgba(texture))
                if m.texture is not None:
                    textures[id(m.texture)] = total
                start, total = total, total + texels[-1].shape[0]
            else:
                start = textures[id(m.texture)]
            rows.append((start, texture.shape[0], texture.shape[1]))
        self._texels = np.concatenate(texels)
        self._texture = np.array(rows, np.int64)

    def cast(self, rays: np.ndarray) -> Hits:
        """rays float32 (R, 6): origin and direction (not normalised: t counts directions)."""
        if self._caster is None:
            self.build()
        rays = np.ascontiguousarray(rays, np.float32)
        t, face, corner, normal = _first_hits(self._caster, rays)
        rgb, opaque = self._shade(face, corner)
        label = self._label[face]
        clear = np.flatnonzero(np.isfinite(t) & ~opaque)
        for _ in range(_ALPHA_ROUNDS - 1):  # rays that met a transparent texel go on from there
            if len(clear) == 0:
                break
            start = t[clear] + _ALPHA_STEP
            query = rays[clear]
            query[:, :3] += query[:, 3:] * start[:, None]
            further, face, corner, normal[clear] = _first_hits(self._caster, query)
            rgb[clear], opaque = self._shade(face, corner)
            t[clear], label[clear] = start + further, self._label[face]
            clear = clear[np.isfinite(further) & ~opaque]
        t[clear] = np.inf
        missed = ~np.isfinite(t)
        label[missed], rgb[missed], normal[missed] = -1, 0, 0
        return Hits(t, label, rgb, normal)

    def distance(self, rays: np.ndarray) -> np.ndarray:
        """t of the first hit alone, transparent texels not looked through: for planning, not for sensors."""
        if self._caster is None:
            self.build()
        return _first_hits(self._caster, np.ascontiguousarray(rays, np.float32))[0]

    def _shade(self, face: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colour and whether the texel is opaque, at barycentric coordinates of faces."""
        material = self._material[face]
        share = np.column_stack([1 - corner[:, 0] - corner[:, 1], corner])
        uv = np.einsum("ij,ijk->ki", share, self._uv[face])
        uv -= np.floor(uv)
        start, height, width = self._texture[material].T
        column = np.minimum((uv[0] * width).astype(np.int64), width - 1)
        row = np.minimum(((1 - uv[1]) * height).astype(np.int64), height - 1)
        texel = self._texels[start + row * width + column]
        return texel[:, :3].astype(np.float32) / 255 * self._tint[material], texel[:, 3] >= 128


def _rgba(texture: np.ndarray) -> np.ndarray:
    flat = np.clip(np.asarray(texture), 0, 255).astype(np.uint8).reshape(-1, texture.shape[-1])
    if flat.shape[1] == 4:
        return flat
    return np.concatenate([flat, np.full((len(flat), 1), 255, np.uint8)], axis=1)


def _caster(vertices: np.ndarray, faces: np.ndarray) -> Any:
    try:
        import open3d
    except ImportError as error:
        raise RuntimeError(f"making scenes casts rays with Open3D, which could not be imported ({error}): "
                           "`pip install open3d-cpu` and `apt-get install libusb-1.0-0`") from error
    caster = open3d.t.geometry.RaycastingScene(nthreads=1)
    caster.add_triangles(open3d.core.Tensor(np.ascontiguousarray(vertices, np.float32)),
                         open3d.core.Tensor(np.ascontiguousarray(faces, np.uint32)))
    return caster


def _first_hits(caster: Any, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distance (inf: none), face (0 where none), barycentric coordinates and normal of the first hit of every ray."""
    import open3d

    out = caster.cast_rays(open3d.core.Tensor(rays), nthreads=1)
    distance, face = out["t_hit"].numpy(), out["primitive_ids"].numpy().astype(np.int64)
    face[~np.isfinite(distance)] = 0
    return distance, face, out["primitive_uvs"].numpy(), out["primitive_normals"].numpy()


def pinhole(eye: np.ndarray, target: np.ndarray, width: int, height: int, focal: float,
            roll: float = 0.0) -> np.ndarray:
    """Rays (height*width, 6) of a pinhole camera, row by row; directions have unit depth, so that t is the depth z."""
    eye = np.asarray(eye, float)
    rotation = look_at(eye, target, roll)
    rays = np.empty((height * width, 6), np.float32)
    rays[:, :3] = eye
    rays[:, 3:] = _optical(width, height, focal) @ rotation.T
    return rays


@lru_cache(maxsize=8)
def _optical(width: int, height: int, focal: float) -> np.ndarray:
    """Directions of a camera's pixels in its own frame."""
    x, y = np.meshgrid((np.arange(width) + 0.5 - width / 2) / focal, (np.arange(height) + 0.5 - height / 2) / focal)
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)


def look_at(eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Rotation whose columns are the optical frame's x (right), y (down) and z (forward) in the world."""
    forward = np.asarray(target, float) - np.asarray(eye, float)
    forward /= max(float(np.linalg.norm(forward)), 1e-9)
    right = np.cross(forward, [0, 0, 1.0] if abs(forward[2]) < 0.999 else [0, 1.0, 0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
