from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path

import pytest
from ray_work import doubled_unless_killed, refused

from iseg3d_ros.ray_items import over_ray
from iseg3d_ros.scenes.make import Order, make

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


def test_without_ray_a_sentence_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(RuntimeError, match="pip install ray"):
        next(iter(over_ray(str, [1, 2])))


@needs_ray
def test_a_killed_worker_costs_nothing(two_workers: None, tmp_path: Path) -> None:
    found = dict(over_ray(partial(doubled_unless_killed, str(tmp_path)), range(12)))
    assert found == {number: 2 * number for number in range(12)}
    assert (tmp_path / "was_here").exists()


@needs_ray
def test_an_error_comes_back_as_it_was(two_workers: None) -> None:
    with pytest.raises(ValueError, match="1 is refused"):
        list(over_ray(refused, [1]))


@needs_ray
def test_scenes_are_the_same_as_in_one_process(two_workers: None, tmp_path: Path) -> None:
    pytest.importorskip("open3d", reason="open3d is not installed")
    here, there = (Order("tabletop", 5, tmp_path / name, None) for name in ("here", "there"))
    assert len(list(make(here, 2, 1))) == len(list(make(there, 2, 1, ray="local"))) == 2
    for path in sorted(here.out.iterdir()):
        assert path.read_bytes() == (there.out / path.name).read_bytes()
    assert list(make(there, 2, 1, ray="local")) == [], "what is there is not made again"
