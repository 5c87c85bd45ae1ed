"""Rooms as people furnish them: flush doors, rows of one kind, walls that jut out, soft things."""

from __future__ import annotations

import numpy as np
import pytest

from iseg3d_ros.scenes.furnish import Furnisher
from iseg3d_ros.scenes.procedural_furniture import MAKERS
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.room_shell import Shell, jut

ROOM = Shell((0.0, 0.0), 6.0, 5.0, 2.6, np.array([0.8, 0.7, 0.6]))


@pytest.fixture
def furnisher() -> Furnisher:
    return Furnisher(Composition(), ROOM, np.random.default_rng(4), ())


def test_what_is_flush_stands_out_of_its_wall_by_millimetres_or_centimetres(furnisher: Furnisher) -> None:
    for role in ("door", "window", "picture"):
        piece = furnisher.pieces.next(role)
        flush = furnisher._flush(piece)
        low, high = flush.mesh.bounds
        assert 0.002 < high[1] - low[1] <= 0.0401
        assert flush.size[0] == piece.size[0] and flush.size[2] == piece.size[2]
        furnisher.pieces.again(role, flush)
        place = furnisher._wall(0, 2.0, role)
        assert place[1] + high[1] == pytest.approx(ROOM.depth, abs=0.03)  # its back is at the wall


def test_one_kind_stands_side_by_side(furnisher: Furnisher) -> None:
    furnisher._side_by_side("storage")
    parts = [part for part, _ in furnisher.world._parts]
    assert len(parts) >= 2
    sizes = [np.sort(np.ptp(np.stack(part.bounds), axis=0)) for part in parts]
    assert all(np.allclose(size, sizes[0], atol=1e-3) for size in sizes)
    middles = np.array([np.mean(part.bounds, axis=0) for part in parts])
    apart = np.linalg.norm(np.diff(middles, axis=0), axis=1)
    width = furnisher._last[0]
    assert (np.abs(apart - width) < 0.021).all()


def test_walls_jut_out_inside_the_room() -> None:
    found = [part for seed in range(20) for part in jut(ROOM, np.random.default_rng(seed))]
    assert len(found) >= 5
    for body, place, width, depth in found:
        assert 0.3 <= width <= 1.6 and 0.08 <= depth <= 0.6
        assert 0 <= place[0] <= ROOM.width and 0 <= place[1] <= ROOM.depth
        assert body.bounds[1][2] == pytest.approx(ROOM.height)


def test_soft_things_are_round_and_lie_on_the_ground() -> None:
    for seed in range(12):
        low, high = MAKERS["soft thing"](np.random.default_rng(seed)).bounds
        assert low[2] == pytest.approx(0, abs=1e-5)
        assert 0.04 < high[2] < 0.75 and 0.2 < max(high[:2] - low[:2]) < 1.5
