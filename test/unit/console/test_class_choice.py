"""Things of one class: asked for, proposed with their name, and accepted under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import table
from works import class_knower, told

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console import wire
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import AddClick, Category, Propose, Setup
from iseg3d_ros.console.requests import command_of
from iseg3d_ros.console.updates import ProposalsUpdate, StateUpdate

CUBE = (0.0, 0.0, 0.105)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalWork]:
    xyz, rgb, _ = table()
    work = LocalWork(
        Cloud(xyz, rgb), class_knower(monkeypatch, "chair", 0.03), "", tmp_path, [Category("chair", (1, 2, 3))]
    )
    yield work
    work.close()


def test_what_a_page_asks_for() -> None:
    def asked(request: dict[str, object]) -> object:
        return command_of(request, StateUpdate(), lambda _: CUBE, np.zeros(3))

    assert asked({"do": "propose"}) == asked({"do": "propose", "class": 7}) == Propose()
    assert asked({"do": "propose", "class": " chair "}) == Propose("chair")
    assert asked({"do": "click", "id": "", "new": True, "name": "chair"}) == AddClick(Click(CUBE, ""), True, "chair")
    assert asked({"do": "click", "id": "", "new": True}) == AddClick(Click(CUBE, ""), True)


def test_things_of_a_class_carry_its_name_into_the_work(work: LocalWork) -> None:
    state, _, _ = told(work)
    assert "chair" in state.classes and wire.state_message(state, np.zeros(3))["classes"] == list(state.classes)
    inbox = work.subscribe()
    work.send(Propose("chair"))
    offered = None
    while offered is None:
        offered = next((each for each in inbox.take(60)[0] if isinstance(each, ProposalsUpdate)), None)
    assert [each.name for each in offered.proposals] == ["chair", "chair"]
    assert {each.point[0] > 0.2 for each in offered.proposals} == {False, True}
    state, _, _ = told(work, *(AddClick(Click(each.point, ""), True, each.name) for each in offered.proposals))
    assert [(item.name, item.category) for item in state.objects] == [("chair", "chair")] * 2
    assert len({item.id for item in state.objects}) == 2


def test_a_class_that_the_model_does_not_know_is_refused_with_those_that_it_knows(work: LocalWork) -> None:
    _, _, said = told(work, Propose("unicorn"))
    assert any(each.refused and "no class 'unicorn'; the classes are floor" in each.text for each in said)
    state, _, said = told(work, Setup("random_walker"))
    assert state.classes == ()
    _, _, said = told(work, Propose("chair"))
    assert any(each.refused and "knows no classes" in each.text for each in said)
