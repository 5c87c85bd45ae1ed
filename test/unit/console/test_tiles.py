"""A cloud as a page gets it: every beginning of a tile is an even selection, and only what has changed is sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from iseg3d_ros.console import wire
from iseg3d_ros.console.thinning import thin
from iseg3d_ros.console.tiles import FIRST, STEPS, Tiles
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, ObjectState, StateUpdate
from iseg3d_ros.console.viewer import Shown, Viewer

N = 800_000


@pytest.fixture(scope="module")
def flat() -> CloudUpdate:
    """A floor of ten metres with a dense spot, as a scanner leaves it."""
    rng = np.random.default_rng(0)
    xyz = np.c_[rng.uniform(-5, 5, (N, 2)), rng.normal(0, 0.002, N)].astype(np.float32)
    xyz[: N // 2, :2] *= 0.1
    return CloudUpdate(7, xyz, (np.abs(xyz) * 20).astype(np.uint8))


@pytest.fixture(scope="module")
def tiles(flat: CloudUpdate) -> Tiles:
    return Tiles.of(flat)


def places(tiles: Tiles, tile: int, chosen: np.ndarray) -> np.ndarray:
    steps = tiles.positions(tile, chosen)[:, :3].astype(np.float64) / STEPS
    return tiles.origin + tiles.low[tile] + steps * tiles.size[tile]  # type: ignore[no-any-return]


def test_every_point_is_in_one_tile_and_where_it_was(flat: CloudUpdate, tiles: Tiles) -> None:
    assert sorted(tiles.order) == list(range(N)) and 8 <= tiles.count <= 32
    for tile in range(tiles.count):
        chosen = tiles.indices(tile, 0, 500)
        assert np.allclose(places(tiles, tile, chosen), flat.xyz[chosen], atol=2e-4)
        assert tiles.place(tile, 3) == tuple(float(value) for value in flat.xyz[chosen[3]])


def test_the_beginnings_of_all_tiles_cover_the_cloud_evenly(flat: CloudUpdate, tiles: Tiles) -> None:
    """A share of the points that are there in every square metre, not of what a scanner saw."""
    beginning = np.concatenate([tiles.indices(tile, 0, 2500) for tile in range(tiles.count)])
    counts = np.histogram2d(*flat.xyz[beginning][:, :2].T, bins=10, range=[[-5, 5]] * 2)[0]
    assert counts.min() > 0.2 * np.median(counts)


def test_some_points_come_before_the_cloud_is_sorted(flat: CloudUpdate) -> None:
    first = Tiles.beginning(flat)
    assert first.first and first.count == 1 and 0.5 * FIRST < len(first) <= FIRST


def test_far_clouds_keep_their_millimetres_and_holes_are_left_out() -> None:
    xyz = np.array([[4e5, 5e6, 10.0], [4e5 + 0.001, 5e6, 10.0], [np.nan, 0, 0], [4e5, 5e6 + 1, 11.0]])
    tiles = Tiles.of(CloudUpdate(1, xyz, None))
    assert sorted(tiles.order) == [0, 1, 3]
    seen = {index: places(tiles, 0, np.array([index]))[0] for index in (0, 1, 3)}
    assert seen[1][0] - seen[0][0] == pytest.approx(0.001, abs=1e-4)


def test_an_empty_cloud_and_a_point_that_is_not_there() -> None:
    assert len(Tiles.of(CloudUpdate(1, np.zeros((0, 3), np.float32), None))) == 0
    one = Tiles.of(CloudUpdate(1, np.zeros((1, 3), np.float32), None))
    for tile, index in ((0, 1), (1, 0), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="no such point"):
            one.place(tile, index)


def test_thinning_keeps_few_points_as_they_are() -> None:
    points = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    assert list(thin(points, 50)) == list(range(50))


def read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A frame as the page reads it."""
    size = int.from_bytes(data[:4], "little")
    header, offset, arrays = json.loads(data[4 : 4 + size]), 4 + size, {}
    assert offset % wire.GRID == 0
    for name, kind, count in header["arrays"]:
        arrays[name] = np.frombuffer(data, kind, count, offset)
        offset += -(-arrays[name].nbytes // wire.GRID) * wire.GRID
    assert offset == len(data)
    return header, arrays


def labels_of(tiles: Tiles, labels: np.ndarray) -> LabelsUpdate:
    values = np.zeros(len(labels), np.float32)
    return LabelsUpdate(tiles.cloud.serial, labels.astype(np.int32), values, values + np.float32(0.35))


def test_after_a_click_only_labels_that_changed_are_sent(tiles: Tiles) -> None:
    labels = np.zeros(N, int)
    shown = Shown(tiles, labels_of(tiles, labels))
    sent = 0
    while (data := shown.chunk(dict.fromkeys(range(tiles.count), 20000), False)) is not None:
        header, arrays = read(data)
        assert header["from"] == 0 or len(arrays["label"]) <= 40_000
        sent += len(data)
    assert shown.changes(False) is None, "nothing has changed"
    changed = tiles.indices(3, 100, 300)
    labels[changed] = 5
    shown = Shown(tiles, labels_of(tiles, labels), shown.held)
    data = shown.changes(False)
    assert data is not None and len(data) < 0.01 * sent
    header, arrays = read(data)
    assert header["tiles"] == [[3, 200, 1, 20_000]]
    assert list(arrays["places"]) == list(range(100, 300)) and (arrays["values"] == 5).all()
    assert shown.changes(False) is None


def test_uncertainty_comes_when_it_is_wanted(tiles: Tiles) -> None:
    shown = Shown(tiles, labels_of(tiles, np.zeros(N, int)))
    shown.chunk({0: 1000}, False)
    data = shown.changes(True)
    assert data is not None
    assert (read(data)[1]["unsure"] == int(0.35 / np.log(2) * 255)).all()


class Slow:
    """A connection that takes a while for each message."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, data: Any) -> None:
        self.sent.append(data)
        await asyncio.sleep(0.02)


def test_a_slow_browser_skips_what_has_been_replaced() -> None:
    async def play() -> list[Any]:
        connection = Slow()
        viewer = Viewer(connection, True)
        sending = asyncio.create_task(viewer.run())
        for number in range(300):
            viewer.tell({"kind": "state", "number": number})
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.3)
        sending.cancel()
        return [json.loads(data)["number"] for data in connection.sent]

    numbers = asyncio.run(play())
    assert len(numbers) < 100 and numbers[-1] == 299 and numbers == sorted(numbers)


def test_what_is_not_finite_is_null_in_json() -> None:
    state = StateUpdate((ObjectState("a", "a", 1, (0, 255, 0)),))
    text = wire.message(wire.state_message(state, np.zeros(3)))
    assert json.loads(text)["objects"][0]["sure"] is None


def test_what_one_camera_saw_is_shown_from_where_it_stood() -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.6, 1.4, 5000)
    seen = np.column_stack([rng.uniform(-0.4, 0.4, (5000, 2)) * depth[:, None], depth]).astype(np.float32)
    tiles = Tiles.of(CloudUpdate(1, seen, None))
    assert tiles.sensor is not None and tiles.described()["sensor"] == [0.0, 0.0, 0.0]
    far = Tiles.of(CloudUpdate(2, seen - np.float32([0, 0, 3]), None))
    assert far.sensor is None and far.described()["sensor"] is None
