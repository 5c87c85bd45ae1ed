from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros import Click, Predictor, Session, limits


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("random_walker", voxel_size=0.05)


@pytest.fixture
def session(predictor: Predictor) -> Session:
    return Session(predictor)


def two_blobs() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 0.1, (500, 3)), rng.normal(0, 0.1, (500, 3)) + [2, 0, 0]]).astype(np.float32)


def test_objects_have_stable_ids_and_names(session: Session) -> None:
    cup, plate = session.add("cup"), session.add("plate", id="p1")
    assert (cup, plate, session.active) == ("object_1", "p1", "p1")
    session.remove(cup)
    assert [item.id for item in session.objects] == ["p1"]
    assert session.add() == "object_3"  # no id is used twice
    session.rename("p1", "dish")
    assert session.objects[0].name == "dish"
    session.select("p1")
    assert session.active == "p1"
    session.remove("p1")
    assert session.active == ""


def test_clicks_keep_their_order_and_go_with_their_object(session: Session) -> None:
    a, b = session.add(), session.add()
    session.click((0, 0, 0))
    session.click((1, 0, 0), a)
    session.click((2, 0, 0), "")
    assert [(item.point[0], item.id) for item in session.clicks] == [(0, b), (1, a), (2, "")]
    assert [click.object for click in session.library_clicks()] == [2, 1, 0]
    session.remove(a)
    assert [(click.point[0], click.object) for click in session.library_clicks()] == [(0, 1), (2, 0)]


def test_undo_and_redo_every_verb(session: Session) -> None:
    seen = [(session.objects, session.clicks, session.active)]

    def note() -> None:
        seen.append((session.objects, session.clicks, session.active))

    for verb in (
        lambda: session.add("a"), lambda: session.click((0, 0, 0)), lambda: session.add("b"),
        lambda: session.select("object_1"), lambda: session.rename("object_2", "c"),
        lambda: session.click((1, 1, 1), ""),
        lambda: session.remove("object_1"), session.clear,
    ):  # fmt: skip
        verb()
        note()
    for state in reversed(seen[:-1]):
        assert session.can_undo
        session.undo()
        assert (session.objects, session.clicks, session.active) == state
    assert not session.can_undo
    for state in seen[1:]:
        session.redo()
        assert (session.objects, session.clicks, session.active) == state
    assert not session.can_redo
    session.undo()
    session.add("new")
    assert not session.can_redo


def test_a_step_is_undone_as_one_and_an_error_undoes_it(session: Session) -> None:
    with session.step():
        session.add("a")
        session.click((0, 0, 0))
    assert len(session.clicks) == 1
    with pytest.raises(ValueError, match="no object"), session.step():
        session.click((1, 0, 0))
        session.click((2, 0, 0), "nobody")
    assert len(session.clicks) == 1
    session.undo()
    assert (session.objects, session.clicks, session.can_undo) == ((), (), False)


def test_saving_and_restoring_is_exact(session: Session, predictor: Predictor, tmp_path: Path) -> None:
    session.add("größe")
    session.click((0.1, 1 / 3, 1e7))
    session.click((1, 1, 1), "")
    session.undo()
    session.save(tmp_path / "work.json")
    other = Session(predictor)
    other.restore(tmp_path / "work.json")
    assert (other.objects, other.clicks, other.active) == (session.objects, session.clicks, session.active)
    other.redo()
    session.redo()
    assert other.clicks == session.clicks
    for _ in range(3):
        other.undo()
    assert not other.can_undo
    assert [entry.name for entry in tmp_path.iterdir()] == ["work.json"]


def test_a_damaged_file_changes_nothing(session: Session, tmp_path: Path) -> None:
    session.add("kept")
    session.save(tmp_path / "work.json")
    whole = json.loads((tmp_path / "work.json").read_text())
    del whole["checksum"]  # a hand may have changed the file
    last = whole["states"][-1]
    stray = {**whole, "states": [{**last, "clicks": [0, [[0, 0, 0, "nobody"]]]}], "present": 0}
    nan = {**whole, "states": [{**last, "clicks": [0, [[0, 0, float("nan"), ""]]]}], "present": 0}
    nowhere = {**whole, "present": 7}
    texts = [json.dumps(each) for each in (stray, nan, nowhere, {"format": 99}, {"format": 1}, {}, [1])]
    for content in ("", json.dumps(whole)[:-20], "[" * 100_000, *texts):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ValueError, match=r"bad\.json is not a saved session"):
            session.restore(tmp_path / "bad.json")
    assert session.objects[0].name == "kept"
    with pytest.raises(OSError, match=r"none\.json"):
        session.restore(tmp_path / "none.json")


def test_a_flipped_bit_in_a_saved_session_is_found(session: Session, tmp_path: Path) -> None:
    session.add("cup")
    session.click((0.125, 0.0, 0.0))
    session.save(tmp_path / "work.json")
    text = (tmp_path / "work.json").read_text()
    (tmp_path / "work.json").write_text(text.replace("0.125", "0.135"))
    with pytest.raises(ValueError, match="checksum"):
        session.restore(tmp_path / "work.json")


def test_history_costs_a_saved_session_little(session: Session, tmp_path: Path) -> None:
    session.add()
    for k in range(1000):
        session.click((k, 0, 0))
    session.save(tmp_path / "work.json")
    assert (tmp_path / "work.json").stat().st_size < 200_000
    other = Session(session.predictor)
    other.restore(tmp_path / "work.json")
    for _ in range(100):
        other.undo()
    assert len(other.clicks) == 900 and not other.can_undo


def test_a_scene_has_bounds(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("x" * 201, "201 characters"), ("a\nb", "control characters"), ("\ud800", "control")):
        with pytest.raises(ValueError, match=says):
            session.add(name)
        with pytest.raises(ValueError, match=says):
            session.add(id=name)
    cup = session.add("x" * 200)
    with pytest.raises(ValueError, match="control characters"):
        session.rename(cup, "\x1b[2J")
    monkeypatch.setattr(limits, "OBJECTS", 2)
    monkeypatch.setattr(limits, "CLICKS", 2)
    session.add()
    with pytest.raises(ValueError, match="2 objects, as many as"):
        session.add()
    session.click((0, 0, 0))
    session.click((0, 0, 0))
    with pytest.raises(ValueError, match="2 clicks, as many as"):
        session.click((0, 0, 0))
    assert (limits.OBJECTS, len(session.objects), len(session.clicks)) == (2, 2, 2)


def test_it_segments_and_remembers_the_result(session: Session) -> None:
    with pytest.raises(RuntimeError, match="no cloud"):
        session.segment()
    xyz = two_blobs()
    session.set_cloud(xyz)
    session.add("left")
    session.click((0, 0, 0))
    session.add("right")
    session.click((2, 0, 0))
    result = session.segment()
    assert session.segment() is result
    assert (result.labels[:500] == 1).mean() > 0.8
    assert (result.labels[500:] == 2).mean() > 0.8
    session.remove("object_1")
    assert set(np.unique(session.segment().labels)) == {0, 1}
    with pytest.raises(ValueError, match="nearest point"):
        session.click((0, 50, 0), "object_2")
    assert session.library_clicks() == [Click((2.0, 0.0, 0.0), 1)]


def test_misuse_is_a_sentence(session: Session) -> None:
    with pytest.raises(ValueError, match="No object is active"):
        session.click((0, 0, 0))
    with pytest.raises(ValueError, match="no object 'x'; the objects are none yet"):
        session.select("x")
    session.add(id="x")
    for act, says in (
        (lambda: session.add(id="x"), "already"), (lambda: session.remove("y"), "no object 'y'"),
        (lambda: session.click((0, 0)), "three numbers"), (lambda: session.click((0, 0, np.inf)), "finite"),
        (session.redo, "nothing to redo"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            act()
    session.undo()
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo()


def test_history_is_bounded(session: Session) -> None:
    session.add()
    for k in range(300):
        session.click((k, 0, 0))
    for _ in range(100):
        session.undo()
    assert not session.can_undo
    assert len(session.clicks) == 200


def test_a_saved_session_gives_its_clicks_to_a_bag(session: Session, tmp_path: Path) -> None:
    from iseg3d_ros.interaction.bag_segmentation import read_clicks

    session.add(id="cup")
    session.click((0.0, 1.0, 2.0))
    session.click((1.0, 1.0, 1.0))
    session.undo()
    session.save(tmp_path / "work.json")
    assert read_clicks(tmp_path / "work.json") == [Click((0.0, 1.0, 2.0), "cup")]


def test_adding_objects_costs_the_same_for_each(session: Session) -> None:
    """Counted, not timed: ids are looked up, not gone through."""
    compared = 0

    class Counted(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str(self) == other

        __hash__ = str.__hash__

    for number in range(2000):
        session.add(id=Counted(f"thing {number}"))
    assert len(session.ids) == 2000 and compared < 20_000
