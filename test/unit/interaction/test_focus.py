"""What of a live cloud is encoded: around what is followed, within a budget, and all of it where that does not do."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import Carried, CurrentCloud
from iseg3d_ros.interaction.focus import LEAST, Focus
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.models.random_walker import RandomWalker
from iseg3d_ros.predictor import Predictor

SIZE = 0.02


def room(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A floor of 6 m with two boxes of 0.3 m on it, 3 m apart; labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    floor = np.c_[rng.uniform(-3, 3, (30_000, 2)), rng.normal(0, 0.002, 30_000)]
    boxes, labels = [], [np.zeros(len(floor), np.int32)]
    for number, x in enumerate((-1.5, 1.5), 1):
        box = rng.uniform(-0.15, 0.15, (3000, 3))
        side = rng.integers(0, 3, 3000)
        box[np.arange(3000), side] = np.sign(box[np.arange(3000), side]) * 0.15
        boxes.append(box + [x, 0, 0.17])
        labels.append(np.full(3000, number, np.int32))
    return np.concatenate([floor, *boxes]).astype(np.float32), np.concatenate(labels)


def test_the_surroundings_of_objects_and_clicks() -> None:
    xyz, labels = room()
    clicks = [Click((-1.5, 0.0, 0.32), 1), Click((1.5, 0.0, 0.32), 2), Click((0.0, 2.5, 0.0), 0)]
    region = Focus(1.0).region(xyz, labels, clicks, SIZE)
    assert region is not None and region.serves(clicks)
    seen = region.holds(xyz)
    assert seen[labels > 0].all() and 0.02 < seen[labels == 0].mean() < 0.15
    np.testing.assert_allclose(region.high[0], [-1.5 + 0.45, 0.45, 0.32 + 0.3], atol=0.01)
    assert not region.serves([Click((0.0, -2.0, 0.0), 0)]), "a click where nothing was encoded"
    assert not region.serves([Click((-1.5, 0.0, 0.32), 3)]), "an object that is not followed yet"


def test_less_is_seen_where_the_budget_ends_but_never_less_than_a_rim() -> None:
    xyz, labels = room()
    clicks = [Click((-1.5, 0.0, 0.32), 1), Click((1.5, 0.0, 0.32), 2)]
    wide, narrow = (Focus(4.0, voxels).region(xyz, labels, clicks, SIZE) for voxels in (10**6, 1))
    assert wide is not None and narrow is not None
    assert narrow.holds(xyz[labels == 0]).sum() < wide.holds(xyz[labels == 0]).sum() / 4
    np.testing.assert_allclose(narrow.high[0, 0], -1.35 + max(LEAST * SIZE, 4 * 0.3 / 16), atol=0.01)


def test_all_is_looked_at_for_what_is_new_or_where_nothing_was_carried() -> None:
    xyz, labels = room()
    assert Focus(1.0).region(xyz, labels, [Click((0.0, 2.0, 0.0), 3)], SIZE) is None
    assert Focus(1.0).region(xyz, np.zeros_like(labels), [Click((0.0, 2.0, 0.0), 0)], SIZE) is None
    assert Focus(0.0).region(xyz, labels, [], SIZE) is None


def test_a_live_cloud_is_encoded_in_part_and_wholly_for_a_click_elsewhere() -> None:
    model = SceneModel(Predictor(RandomWalker(), voxel_size=0.05))
    model.focus = Focus(1.0)
    own = [Click((-1.5, 0.0, 0.32), "a"), Click((1.5, 0.0, 0.32), "b")]
    xyz, truth = room()
    first = CurrentCloud(Points(xyz, None, None, None, (1, len(xyz))), "map", 0, None)
    first.masks = model.segment_cloud(first, own, ["a", "b"]).labels, ["a", "b"]
    assert model.scene is not None and model.scene.kept is None
    later, truth = room(1)
    second = CurrentCloud(Points(later, None, None, None, (1, len(later))), "map", 10**8, None)
    second.carried = Carried((), truth)
    result = model.segment_cloud(second, own, ["a", "b"])
    assert model.scene.kept is not None and len(model.scene.kept) < len(later) / 3
    assert model.scene.kind == "room", "the voxels' size is the whole cloud's"
    for number in (1, 2):
        mask = result.labels == number
        assert (mask & (truth == number)).sum() / (mask | (truth == number)).sum() > 0.7
    new = Click((0.0, 2.0, 0.0), "c")
    result = model.segment_cloud(second, [*own, new], ["a", "b", "c"])
    assert model.scene.kept is None and (result.labels == 3).any()
