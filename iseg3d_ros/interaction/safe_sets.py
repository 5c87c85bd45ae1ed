"""What may be acted on: an object's points to grasp at, and those that may be taken out of the scene.

A mask can leak: into the wall behind, the table below, the thing beside. So a point counts only if the model is sure of
it, if it lies on no large plane of the scene, and if it hangs together with one of the object's clicks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from iseg3d_ros.geometry.boxes import Box, oriented_box
from iseg3d_ros.interaction.view import ObjectView, View

NEIGHBOURS = 1.5  # distances to the fourth neighbour within which points hang together


@dataclass(frozen=True)
class Safety:
    """From which probability on points are grasped at and taken out of the scene, and the box's margin in metres."""

    grasp: float = 0.8
    removal: float = 0.8
    margin: float = 0.03


def sure_points(view: View, item: ObjectView, least: float) -> np.ndarray:
    """Indices of the object's points to rely on, ascending: sure, on no large plane, in one piece with a click.

    Without a click in the cloud it is the largest piece. A lost object has none.
    """
    chosen = view.indices(item.index)
    if item.lost or len(chosen) == 0:
        return chosen[:0]
    gap = _gap(view.points.xyz[chosen])
    chosen = chosen[view.result.probability[chosen] >= least]
    for plane in view.layouts.large_planes:
        chosen = chosen[~plane.holds(view.points.xyz[chosen])]
    return chosen[_clicked_pieces(view.points.xyz[chosen], gap, item)] if len(chosen) else chosen


def removable(view: View, item: ObjectView, safety: Safety) -> np.ndarray:
    """Which points of the cloud may be taken for the object's, and so out of the scene: a mask over all of them."""
    out = np.zeros(len(view.points), bool)
    sure = sure_points(view, item, safety.grasp)
    if len(sure) == 0:
        return out
    box = oriented_box(view.points.xyz[sure], view.up)
    chosen = sure_points(view, item, safety.removal)
    out[chosen[_within(box, view.points.xyz[chosen], safety.margin)]] = True
    return out


def _clicked_pieces(xyz: np.ndarray, gap: float, item: ObjectView) -> np.ndarray:
    """Which of the points hang together with a click, or are nearest to one; the largest piece where there is none."""
    piece = _pieces(xyz, gap)
    if not item.clicks:
        inside: np.ndarray = piece == np.bincount(piece).argmax()
        return inside
    nearest = cKDTree(xyz).query(np.array([click.point for click in item.clicks], np.float64))[1]
    return np.isin(piece, piece[nearest])


def _gap(xyz: np.ndarray) -> float:
    """The largest distance of points that hang together."""
    some = xyz[:: max(1, len(xyz) // 300)]
    distance = cKDTree(xyz).query(some, k=min(5, len(xyz)))[0]
    return max(NEIGHBOURS * float(np.median(distance.reshape(len(some), -1)[:, -1])), 1e-4)


def _pieces(xyz: np.ndarray, gap: float) -> np.ndarray:
    """The number of every point's connected piece; cells stand for their points, and hang together where they touch."""
    key = np.floor((xyz - xyz.min(0)) / (gap / 2)).astype(np.int64)
    packed, inverse = np.unique((key[:, 0] << 42) | (key[:, 1] << 21) | key[:, 2], return_inverse=True)
    cells = np.stack([packed >> 42, (packed >> 21) & 0x1FFFFF, packed & 0x1FFFFF], 1)
    pairs = cKDTree(cells).query_pairs(2.3, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(cells), len(cells)))
    pieces: np.ndarray = connected_components(graph, directed=False)[1][inverse.reshape(-1)]
    return pieces


def _within(box: Box, xyz: np.ndarray, margin: float) -> np.ndarray:
    offset = np.abs((xyz - box.centre) @ box.rotation)
    inside: np.ndarray = (offset <= box.size / 2 + margin).all(1)
    return inside
