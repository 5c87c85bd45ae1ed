"""Triangle meshes with a colour or a small texture per material, and makers of plain bodies (z up, metres)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

Colour = Sequence[float] | np.ndarray
GREY = (0.7, 0.7, 0.7)


@dataclass(frozen=True)
class Material:
    """Diffuse colour in [0, 1]; a texture (h, w, 4) uint8 replaces it; opacity below 0.35 lets rays through (glass)."""

    colour: tuple[float, float, float] = GREY
    texture: np.ndarray | None = None
    opacity: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)  # multiplies colour and texture: cheap variety per instance


@dataclass(frozen=True)
class Mesh:
    """vertices float32 (n, 3), faces int32 (m, 3), material index per face (m,), uv per corner float32 (m, 3, 2)."""

    vertices: np.ndarray
    faces: np.ndarray
    material: np.ndarray
    uv: np.ndarray
    materials: tuple[Material, ...] = field(default=(Material(),))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner of the vertices."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)


def mesh(vertices: np.ndarray, faces: np.ndarray, colour: Colour = GREY, texture: np.ndarray | None = None,
         uv: np.ndarray | None = None, opacity: float = 1.0) -> Mesh:
    """A mesh of one material."""
    faces = np.asarray(faces, np.int32).reshape(-1, 3)
    uv = np.zeros((len(faces), 3, 2), np.float32) if uv is None else np.asarray(uv, np.float32)
    material = Material(_triple(colour), texture, opacity)
    return Mesh(np.asarray(vertices, np.float32).reshape(-1, 3), faces, np.zeros(len(faces), np.int16), uv, (material,))


def _triple(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = np.clip(np.asarray(colour, float), 0, 1)
    return float(red), float(green), float(blue)


# -- moving -----------------------------------------------------------------------------------------------------------

def transform(body: Mesh, pose: np.ndarray) -> Mesh:
    """The mesh moved by a 4x4 pose (any affine map)."""
    pose = np.asarray(pose, np.float32)
    return replace(body, vertices=body.vertices @ pose[:3, :3].T + pose[:3, 3])


def stretch(body: Mesh, factors: float | Sequence[float] | np.ndarray) -> Mesh:
    """The mesh scaled about the origin, by one factor or one per axis."""
    return replace(body, vertices=body.vertices * np.asarray(factors, np.float32))


def tinted(body: Mesh, tint: Colour) -> Mesh:
    """The mesh with all its colours multiplied."""
    factors = tuple(float(c) for c in tint)
    return replace(body, materials=tuple(replace(m, tint=factors) for m in body.materials))  # type: ignore[arg-type]


def recoloured(body: Mesh, colours: np.ndarray) -> Mesh:
    """The mesh with plain colours (k, 3), one per material in turn, in place of its own colours and textures."""
    plain = tuple(replace(m, colour=_triple(colours[i % len(colours)]), texture=None)
                  for i, m in enumerate(body.materials))
    return replace(body, materials=plain)


def merge(bodies: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(b.vertices) for b in bodies])
    first = np.cumsum([0] + [len(b.materials) for b in bodies])
    return Mesh(np.concatenate([b.vertices for b in bodies]),
                np.concatenate([b.faces + s for b, s in zip(bodies, starts)]).astype(np.int32),
                np.concatenate([b.material + f for b, f in zip(bodies, first)]).astype(np.int16),
                np.concatenate([b.uv for b in bodies]), tuple(m for b in bodies for m in b.materials))


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0,
         roll: float = 0.0) -> np.ndarray:
    """4x4 pose: roll about x, then pitch about y, then yaw about z, then the shift."""
    out = np.eye(4, dtype=np.float32)
    out[:3, :3] = _turn(2, yaw) @ _turn(1, pitch) @ _turn(0, roll)
    out[:3, 3] = x, y, z
    return out


def _turn(axis: int, angle: float) -> np.ndarray:
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3, dtype=np.float32)
    out[i, i] = out[j, j] = np.cos(angle)
    out[i, j], out[j, i] = -np.sin(angle), np.sin(angle)
    return out


# -- bodies: centred in x and y, standing on z = 0 ---------------------------------------------------------------------

_QUAD = np.array([[0, 1, 2], [0, 2, 3]])
_QUAD_UV = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)
# Per face of a box: corners of (x, y, z) in {0, 1}, seen from outside, lower left first.
_SIDES = np.array([
    [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]], [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
    [[1, 1, 0], [0, 1, 0], [0, 1, 1], [1, 1, 1]], [[0, 1, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]],
    [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], [[0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]]])


def box(size: Sequence[float] | np.ndarray, colour: Colour = GREY,
        textures: Sequence[np.ndarray] | None = None) -> Mesh:
    """A box; `textures` gives the sides' pictures in the order front, right, back, left, top, bottom."""
    corners = (_SIDES.reshape(-1, 3) - [0.5, 0.5, 0]) * np.asarray(size, float)
    faces = (np.arange(6)[:, None, None] * 4 + _QUAD).reshape(-1, 3)
    body = mesh(corners, faces, colour, uv=np.tile(_QUAD_UV, (6, 1, 1)))
    if textures is None:
        return body
    materials = tuple(Material(texture=textures[side % len(textures)]) for side in range(6))
    return replace(body, material=np.repeat(np.arange(6, dtype=np.int16), 2), materials=materials)


def plane(width: float, depth: float, colour: Colour = GREY, texture: np.ndarray | None = None,
          repeat: float = 1.0) -> Mesh:
    """A horizontal rectangle at z = 0; the texture repeats every `repeat` metres (0: stretched once over it all)."""
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]]) * [width, depth, 1]
    uv = _QUAD_UV * ([width / repeat, depth / repeat] if repeat > 0 else [1.0, 1.0])
    return mesh(corners, _QUAD, colour, texture, uv)


def revolve(radius: Sequence[float] | np.ndarray, height: Sequence[float] | np.ndarray, colour: Colour = GREY,
            sides: int = 20, texture: np.ndarray | None = None) -> Mesh:
    """A body of revolution from its profile: radius and height from bottom to top (a zero radius closes it)."""
    r, z = np.asarray(radius, float), np.asarray(height, float)
    rings, turn = len(r), np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    vertices = np.concatenate([ring[None] * r[:, None, None], np.broadcast_to(z[:, None, None], (rings, sides, 1))], 2)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    k = (j + 1) % sides
    quads = np.stack([i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j], -1).reshape(-1, 4)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(r), np.diff(z)))])
    v = length / max(length[-1], 1e-9)
    corner = np.stack([np.stack([j / sides, v[i]], -1), np.stack([(j + 1) / sides, v[i]], -1),
                       np.stack([(j + 1) / sides, v[i + 1]], -1), np.stack([j / sides, v[i + 1]], -1)], -2)
    return mesh(vertices, quads[:, _QUAD].reshape(-1, 3), colour, texture,
                corner.reshape(-1, 4, 2)[:, _QUAD].reshape(-1, 3, 2))


def cylinder(radius: float, height: float, colour: Colour = GREY, sides: int = 20,
             texture: np.ndarray | None = None, top_radius: float | None = None) -> Mesh:
    """A closed cylinder, or a cone where `top_radius` differs."""
    top = radius if top_radius is None else top_radius
    return revolve([0, radius, top, 0], [0, 0, height, height], colour, sides, texture)


def sphere(radius: float, colour: Colour = GREY, sides: int = 20, texture: np.ndarray | None = None) -> Mesh:
    """A sphere standing on the origin."""
    angle = np.linspace(0, np.pi, max(sides // 2, 3) + 1)
    return revolve(radius * np.sin(angle), radius * (1 - np.cos(angle)), colour, sides, texture)


def ground(heights: np.ndarray, cell: float, colour: Colour = GREY, texture: np.ndarray | None = None,
           repeat: float = 4.0) -> Mesh:
    """A height field (rows along x, columns along y), centred at the origin, `cell` metres apart."""
    nx, ny = heights.shape
    x, y = np.meshgrid((np.arange(nx) - (nx - 1) / 2) * cell, (np.arange(ny) - (ny - 1) / 2) * cell, indexing="ij")
    index = np.arange(nx * ny).reshape(nx, ny)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 4)
    faces = quads[:, _QUAD].reshape(-1, 3)
    vertices = np.stack([x, y, heights], axis=-1).reshape(-1, 3)
    return mesh(vertices, faces, colour, texture, vertices[faces][..., :2] / repeat)
