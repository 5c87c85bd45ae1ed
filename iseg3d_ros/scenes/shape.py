"""Single pieces of furniture whose parts are the objects (legs, seat, back …): for clicks at the level of parts.

As in PartNet a shape stands alone. Training and validation show different kinds of furniture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.scenes import procedural_furniture as furniture
from iseg3d_ros.scenes.mesh import Mesh, pose, transform
from iseg3d_ros.scenes.procedural_furniture import Maker
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.rgbd import Camera, exposed, fuse, light, look

SHAPES: dict[str, dict[str, Maker]] = {
    "train": {
        "chair": furniture.chair, "table": furniture.table, "sofa": furniture.sofa, "shelf": furniture.shelf,
        "bed": furniture.bed, "lamp": furniture.lamp, "counter": furniture.counter,
    },
    "val": {
        "desk": furniture.desk, "stool": furniture.stool, "cabinet": furniture.cabinet, "screen": furniture.screen,
    },
}  # fmt: skip
VIEWS = 8
CELL = 0.008  # metres between the points of the fused views
SEEN = 40  # points that a part must have to be labelled


def shape(rng: np.random.Generator, models: Sequence[object] = (), split: str = "train") -> LabelledCloud:
    """One piece, seen from all round; its touching pieces of one body are its parts, and nothing else is there."""
    makers = SHAPES[split]
    name = str(rng.choice(sorted(makers)))
    body = transform(makers[name](rng), pose(yaw=rng.uniform(0, 2 * np.pi)))
    world = Composition()
    for piece in pieces(body):
        world.add(piece, class_name=f"part of {name}")
    low, high = body.bounds
    middle, size = (low + high) / 2, float(np.linalg.norm(high - low))
    sensor, lit = Camera(240, 180, noise=0.3, reach=9.0, edge_loss=0.3, flying=0.0), light(rng)
    views = [look(world, middle + eye, middle, sensor, lit, rng) for eye in _eyes(rng, size)]
    view = fuse(views, CELL, rng, drift=0.001)
    if len(view.xyz) == 0 or (np.bincount(view.label, minlength=2)[1:] >= SEEN).sum() < 2:
        return shape(rng, models, split)
    counts = np.bincount(view.label)
    label = np.where(counts[view.label] >= SEEN, view.label, 0).astype(np.int32)
    rgb = None if rng.random() < 0.1 else (exposed(view.rgb, rng, 0.25, 0.65) * 255).astype(np.uint8)
    return LabelledCloud(
        "", view.xyz.astype(np.float32), rgb, None, label, tuple(world.classes), "object",
        np.asarray(middle, np.float32),
    )  # fmt: skip


def _eyes(rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """Places of the camera about the middle, from below the table's edge to well above."""
    turn = rng.uniform(0, 2 * np.pi) + np.arange(VIEWS) * 2 * np.pi / VIEWS
    rise = rng.uniform(-0.35, 0.9, VIEWS)
    level = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], 1)
    away: NDArray[np.float64] = max(0.7, 1.15 * size) * level
    return away


def pieces(body: Mesh) -> list[Mesh]:
    """The bodies that a mesh is merged of: faces that share corners, by their coordinates."""
    corners = np.unique(np.round(body.vertices, 4), axis=0, return_inverse=True)[1].reshape(-1)
    a, b, c = corners[body.faces].T
    edges = coo_matrix((np.ones(2 * len(a)), (np.r_[a, a], np.r_[b, c])), shape=(corners.max() + 1,) * 2)
    of_face = connected_components(edges, directed=False)[1][a]
    return [
        Mesh(body.vertices, body.faces[of_face == k], body.material[of_face == k], body.uv[of_face == k],
             body.materials)
        for k in np.unique(of_face)
    ]  # fmt: skip
