"""Pieces of furniture whose parts are labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.scenes.make import Order, make_scene
from iseg3d_ros.scenes.mesh import box, merge, pose, transform
from iseg3d_ros.scenes.shape import SEEN, SHAPES, pieces

pytest.importorskip("open3d", reason="scenes are scanned with Open3D, which is not installed")


def test_touching_bodies_are_pieces_of_their_own() -> None:
    board, leg = transform(box([1.0, 0.5, 0.1]), pose(z=0.5)), box([0.1, 0.1, 0.5])
    found = pieces(merge([board, leg]))
    assert [len(piece.faces) for piece in found] == [12, 12]
    assert sorted(np.ptp(p.vertices[np.unique(p.faces)], axis=0).max() for p in found) == [0.5, 1.0]


def test_a_shape_is_made_of_parts_and_nothing_else() -> None:
    scene = make_scene(Order("object", 5, Path(), None), 2)
    parts, counts = np.unique(scene.instance[scene.instance > 0], return_counts=True)
    assert scene.kind == "object"
    assert len(parts) >= 2
    assert counts.min() >= SEEN
    assert (scene.instance == 0).mean() < 0.05
    assert parts.max() <= len(scene.classes)


def test_what_is_validated_on_was_never_trained_on() -> None:
    assert not SHAPES["train"].keys() & SHAPES["val"].keys()
    scene = make_scene(Order("object", 5, Path(), None), 9)
    assert scene.split == "val"
    assert scene.classes[0].removeprefix("part of ") in SHAPES["val"]
