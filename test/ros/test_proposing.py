"""A search for objects is one click a turn, so that what an operator does goes between."""

from __future__ import annotations

import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from tables import table

from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.models.random_walker import RandomWalker
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.ros.inference_thread import NotYet, Worker
from iseg3d_ros.ros.proposing import Search


def test_a_call_that_comes_during_a_search_is_answered_before_its_end() -> None:
    xyz, rgb, _ = table()
    cloud = CurrentCloud(Points(xyz, rgb, None, None, (1, len(xyz))), "sensor", 0, None)
    search = Search(SceneModel(Predictor(RandomWalker(), voxel_size=0.02)), cloud, "", 12)
    done: list[str] = []

    def searched() -> int:
        found = search()
        done.append("search")
        return len(found)

    def turn(_cloud: object, _at: float, calls: object) -> bool:
        for call in calls:  # type: ignore[attr-defined]
            call.run()
        return False

    worker: Worker[object] = Worker(turn, lambda: None)
    answer = worker.call(searched)
    worker.start()
    worker.call(lambda: done.append("click")).result(60)
    assert answer.result(60) >= 1
    assert done == ["click", "search"]
    worker.stop()
    with pytest.raises(ValueError, match="knows no classes"):
        Search(SceneModel(Predictor(RandomWalker())), cloud, "chair", 0)


def test_a_search_takes_a_turn_for_every_click() -> None:
    xyz, rgb, _ = table()
    cloud = CurrentCloud(Points(xyz, rgb, None, None, (1, len(xyz))), "sensor", 0, None)
    search, turns = Search(SceneModel(Predictor(RandomWalker(), voxel_size=0.02)), cloud, "", 5), 0
    while True:
        try:
            assert len(search()) >= 1
            break
        except NotYet:
            turns += 1
    assert 2 <= turns <= 6  # the encoding, and five clicks at most
