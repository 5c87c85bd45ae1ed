"""The large planes of a scene: ground, table top, walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SAMPLE = 8_000  # points that planes are looked for in
TRIES = 120  # planes that are tried for each that is found
PLANES = 8  # planes that are looked for at most
SHARE = 0.03  # of the sample that a plane holds at least
CELL = 0.03  # gap, as a share of the scene's extent, beyond which a plane's pieces do not hang together
LARGE = 0.4  # extent of a plane, as a share of the scene's, from which on it is ground, table top or wall


@dataclass(frozen=True)
class Plane:
    """Points x with |normal · x - offset| <= thickness lie in it."""

    normal: np.ndarray
    offset: float
    thickness: float

    def holds(self, xyz: np.ndarray) -> np.ndarray:
        """Which of the points lie in it."""
        inside: np.ndarray = np.abs(xyz @ self.normal - self.offset) <= self.thickness
        return inside


def large_planes(xyz: np.ndarray) -> tuple[Plane, ...]:
    """The scene's ground, table top and walls: planes that reach over a large part of it."""
    if len(xyz) < 100:
        return ()
    rng = np.random.default_rng(0)
    sample = xyz[rng.permutation(len(xyz))[:SAMPLE]].astype(np.float64)
    extent = float(np.linalg.norm(np.percentile(sample, 97, axis=0) - np.percentile(sample, 3, axis=0)))
    thickness = max(1.5 * _noise(sample), 0.004 * extent)
    found, left = [], sample
    for _ in range(PLANES):
        plane, inside = _best_plane(left, thickness, rng)
        if plane is None or inside.sum() < SHARE * len(sample):
            break
        if _whole(left[inside], CELL * extent) >= LARGE * extent:
            found.append(plane)
        left = left[~inside]
    return tuple(found)


def _whole(xyz: np.ndarray, cell: float) -> float:
    """Extent of the largest piece that hangs together: things of one height lie in a plane, and are none."""
    cells = np.unique(np.floor(xyz / cell).astype(np.int64), axis=0)
    pairs = cKDTree(cells).query_pairs(1.8, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(cells), len(cells)))
    piece = connected_components(graph, directed=False)[1]
    return cell * float(np.linalg.norm(np.ptp(cells[piece == np.bincount(piece).argmax()], axis=0)))


def _best_plane(xyz: np.ndarray, thickness: float, rng: np.random.Generator) -> tuple[Plane | None, np.ndarray]:
    """The plane through three points that holds most, fitted once more to what it holds."""
    best, most = None, np.zeros(len(xyz), bool)
    few = xyz[:: max(1, len(xyz) // 1000)]
    votes = 0
    for _ in range(TRIES if len(few) >= 3 else 0):
        a, b, c = few[rng.integers(0, len(few), 3)]
        normal = np.cross(b - a, c - a)
        if (length := float(np.linalg.norm(normal))) < 1e-9:
            continue
        plane = Plane(normal / length, float(a @ normal / length), thickness)
        if (count := int(plane.holds(few).sum())) > votes:
            best, votes = plane, count
    if best is not None:
        held = xyz[best.holds(xyz)]
        centre = held.mean(0)
        normal = np.linalg.svd((held - centre).T @ (held - centre))[0][:, 2]
        best = Plane(normal, float(centre @ normal), thickness)
        most = best.holds(xyz)
    return best, most


def _noise(sample: np.ndarray) -> float:
    """How far points are off the plane through their neighbours, in the middle."""
    some = sample[:: max(1, len(sample) // 300)]
    near = sample[cKDTree(sample).query(some, k=min(12, len(sample)))[1]]
    spread = near - near.mean(1, keepdims=True)
    smallest = np.linalg.eigvalsh(np.einsum("nki,nkj->nij", spread, spread) / near.shape[1])[:, 0]
    return float(2 * np.sqrt(np.median(np.maximum(smallest, 0))))
