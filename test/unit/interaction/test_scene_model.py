"""What is computed when: counted with a predictor that counts, over a session and over clouds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import XYZ, Counting, cloud_of

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import Carried
from iseg3d_ros.interaction.scene_model import ResultCache, SceneModel, background
from iseg3d_ros.interaction.session import Action, InteractiveSession
from iseg3d_ros.predictor import Predictor


def session_of(predictor: Any) -> InteractiveSession:
    session = InteractiveSession(predictor)
    session.set_cloud(XYZ)
    return session


def test_only_new_clicks_run_the_network() -> None:
    predictor = Counting()
    session = session_of(predictor)
    cup = session.add("cup")
    session.click((0.0, 0.0, 0.0))
    first = session.segment()
    session.rename(cup, "mug")
    session.select("")
    session.add("plate")
    assert session.segment() is first and predictor.asked == [1]
    session.click((1.0, 0.0, 0.0), cup)
    second = session.segment()
    session.undo()
    assert session.segment() is first
    session.redo()
    assert session.segment() is second and predictor.asked == [1, 2] and predictor.encoded == 1
    session.recompute()
    assert session.segment() is not second and predictor.asked == [1, 2, 2]


def test_previous_masks_are_a_chain_over_the_clicks_whoever_asks_when() -> None:
    stepwise, at_once = Counting(uses_previous=True), Counting(uses_previous=True)
    one, other = session_of(stepwise), session_of(at_once)
    for session in (one, other):
        session.add()
    for place in range(3):
        for session in (one, other):
            session.click((float(place), 0.0, 0.0))
        last = one.segment()
    np.testing.assert_array_equal(last.labels, other.segment().labels)
    assert stepwise.asked == at_once.asked == [1, 2, 3] and last.labels[1] == 2
    for _ in range(2):
        other.undo()
        other.segment()
    assert at_once.asked == [1, 2, 3], "the prefixes were kept"


def test_npiseg3d_says_that_it_uses_previous_masks_and_the_others_do_not() -> None:
    assert Predictor.load("npiseg3d", "cpu").uses_previous
    assert not Predictor.load("random_walker").uses_previous


def test_a_chain_begins_with_the_labels_that_were_carried_over() -> None:
    predictor, cloud = Counting(uses_previous=True), cloud_of()
    model = SceneModel(predictor)  # type: ignore[arg-type]
    clicks = [Click((float(k), 0.0, 0.0), "cup") for k in range(3)]
    numbered = tuple(Click(click.point, 1) for click in clicks)
    cloud.carried = Carried(numbered[:2], np.full(10, 5, np.int32))
    result = model.segment_cloud(cloud, clicks, ["cup"])
    assert predictor.asked == [2, 3] and result.labels[1] == 2
    assert model.segment_cloud(cloud, clicks[:2], ["cup"]).labels[1] == 5
    model.segment_cloud(cloud, clicks[1:], ["cup"])
    assert predictor.asked == [2, 3, 1, 2], "other clicks than those that were carried"


def test_two_models_over_one_predictor_do_not_disturb_each_other() -> None:
    predictor = Counting()
    models = [SceneModel(predictor), SceneModel(predictor)]  # type: ignore[arg-type]
    clouds, clicks = [cloud_of(), cloud_of()], [Click((0.0, 0.0, 0.0), "cup")]
    for _ in range(3):
        for model, cloud in zip(models, clouds, strict=True):
            model.segment_cloud(cloud, clicks, ["cup"])
    assert predictor.encoded == 2 and predictor.asked == [1, 1]


def test_the_cache_is_bounded_and_keeps_what_was_used_last() -> None:
    results = [background(100) for _ in range(4)]  # 1,200 bytes each
    cache, keys = ResultCache(limit=2500), [(((float(k), 0.0, 0.0), 1),) for k in range(4)]
    cache.put(keys[0], results[0])
    cache.put(keys[1], results[1])
    cache.get(keys[0])
    cache.put(keys[2], results[2])
    assert [cache.get(key) is not None for key in keys] == [True, False, True, False]
    small = ResultCache(limit=10)
    small.put(keys[3], results[3])
    assert small.get(keys[3]) is results[3]


def test_every_change_is_told_before_it_counts_and_can_be_replayed() -> None:
    told: list[Action] = []
    session = session_of(Counting())
    session.on_change = told.append
    cup = session.add("cup")
    session.click((0.0, 0.0, 0.0))
    session.rename(cup, "mug")
    session.select("")
    with session.step():
        plate = session.add("plate")
        session.click((1.0, 0.0, 0.0), plate)
    session.undo()
    session.redo()
    session.remove(cup)
    assert [action["action"] for action in told] == [
        "add", "click", "rename", "select", "step", "undo", "redo", "remove",
    ]  # fmt: skip
    again = session_of(Counting())
    for action in told:
        again.replay(action)
    assert (again.objects, again.clicks, again.active) == (session.objects, session.clicks, session.active)


def test_what_cannot_be_told_has_not_happened() -> None:
    def full(_: Action) -> None:
        raise OSError("no space left on the device")

    session = session_of(Counting())
    session.add("cup")
    session.on_change = full
    before = session.objects, session.clicks, session.active, session.can_undo
    for verb in (
        lambda: session.click((0.0, 0.0, 0.0)),
        session.undo,
        session.clear,
        lambda: session.rename("object_1", "x"),
    ):
        with pytest.raises(OSError, match="no space"):
            verb()
    with pytest.raises(OSError, match="no space"), session.step():
        session.click((0.0, 0.0, 0.0))
    assert (session.objects, session.clicks, session.active, session.can_undo) == before
