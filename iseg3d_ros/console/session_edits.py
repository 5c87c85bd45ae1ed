"""What an operator does to a session beyond its own verbs, each as one step to undo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.label_import import GivenLabels
from iseg3d_ros.console.protocol import AddClick, Category
from iseg3d_ros.geometry.boxes import aligned_box
from iseg3d_ros.interaction.part_level import LEAST_POINTS
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.session_states import SessionObject, ancestors

FEWEST = 10  # points of a part that becomes an object
PARTS = 50  # of an object, the largest ones


def click(session: InteractiveSession, labels: np.ndarray, asked: AddClick, offered: Sequence[Category]) -> None:
    """A click, with the object that it begins; a name that is one of the classes offered is its class as well.

    One on the background that is on a part says that the place is its object's and not the part's.
    """
    id, new = asked.click.id, asked.new
    if id and not new:
        refuse_locked(session, id)
    refuse_locked_place(session, labels, asked.click)
    if not id and not new and (under := _under(session, labels, asked.click)) is not None:
        id = under.within
    refuse_outside(session, labels, asked.click, asked.within if new else _item(session, id).within if id else "")
    with session.step():
        if new:
            details = {"category": asked.name if asked.name in [each.name for each in offered] else "",
                       "within": asked.within}  # fmt: skip
            id = session.add(asked.name, id, **{name: value for name, value in details.items() if value})
        session.click(asked.click.point, id)


def merge(session: InteractiveSession, into: str, id: str) -> None:
    """The clicks and points of one object on another, as one step."""
    if into == id:
        raise ValueError("An object cannot be merged with itself: choose another one first.")
    for each in (into, id):
        refuse_locked(session, each)
    if any(item.within == id for item in session.objects):
        raise ValueError(f"{_item(session, id).name} has parts: merge them or the other way round first.")
    clicks = [click.point for click in session.clicks if click.id == id]
    edits = [edit.points for edit in session.edits if edit.id == id]
    with session.step():
        session.remove(id)
        for point in clicks:
            session.click(point, into)
        for points in edits:
            session.edit(into, points)
        session.select(into)


def take_up(session: InteractiveSession, path: Path, points: int) -> None:
    """The objects, clicks and edits of a saved session instead of the present ones, as one step."""
    if not path.is_file():
        raise ValueError(f"There is no saved session {path}: give the name that it was saved under.")
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        if len(arrays["xyz"]) != points:
            raise ValueError(f"{path} is the work on another cloud, of {len(arrays['xyz'])} points: open that one.")
    saved = InteractiveSession(session.predictor)
    saved.restore(path)
    with session.step():
        session.clear()
        for item in saved.objects:
            session.add(item.name, item.id, **item.details())
        for place in range(len(saved.clicks) + 1):
            for edit in (edit for edit in saved.edits if edit.after == place):
                session.edit(edit.id, edit.points)
            if place < len(saved.clicks):
                session.click(saved.clicks[place].point, saved.clicks[place].id)
        session.select(saved.active)


def take_labels(session: InteractiveSession, given: GivenLabels) -> None:
    """The objects of given labels instead of the present ones, with their points as they are, as one step."""
    order = np.argsort(given.labels, kind="stable")
    begins = np.searchsorted(given.labels[order], [item.label for item in given.objects])
    ends = np.searchsorted(given.labels[order], [item.label for item in given.objects], side="right")
    rest = np.ones(len(given.labels), bool)
    with session.step():
        if session.objects or session.clicks:
            session.clear()
        for item, begin, end in zip(given.objects, begins, ends, strict=True):
            chosen = order[begin:end]
            details = {"category": item.category, "attributes": dict(item.attributes)}
            id = session.add(item.name, item.id, **{name: value for name, value in details.items() if value})
            if len(chosen):
                session.edit(id, chosen)
                rest[chosen] = False
        if rest.any():
            session.edit("", np.flatnonzero(rest))
        session.select("")


def paint(session: InteractiveSession, labels: np.ndarray, chosen: np.ndarray, id: str, takes: bool) -> None:
    """Points for an object (a new one with ""), or away from it (from any with ""); those of locked ones stay."""
    number = {each: index for index, each in enumerate(session.ids, 1)}
    if id:
        refuse_locked(session, id)
    locked = [number[item.id] for item in session.objects if item.locked]
    chosen = chosen[~np.isin(labels[chosen], locked)]
    now = labels[chosen]
    if takes:
        chosen = chosen[now == number.get(id, 0)] if id else chosen[now > 0]
    else:
        chosen = chosen[now != number[id]] if id else chosen
    if not len(chosen):
        raise ValueError("Nothing changes here: no point of it was touched, or what was is locked.")
    with session.step():  # what is taken from a part is its object's again
        session.edit(id and _item(session, id).within if takes else id or session.add(), chosen)


def lock(session: InteractiveSession, labels: np.ndarray, id: str, locked: bool) -> None:
    """Keep an object's points and those of its parts as they are, or let go of them again."""
    _item(session, id)
    within = {item.id: item.within for item in session.objects}
    family = [each for each in within if id in (each, *ancestors(each, within))]
    with session.step():
        for each in family if locked else ():
            if len(mine := np.flatnonzero(labels == _number(session, each))):
                session.edit(each, mine)
        session.describe(id, locked=locked)


def split(session: InteractiveSession, labels: np.ndarray, id: str) -> int:
    """The connected parts of an object as objects, the largest remains it; how many there are now."""
    refuse_locked(session, id)
    item = _item(session, id)
    scene = session.scene
    assert scene is not None  # there is a result
    mine = np.flatnonzero(labels == _number(session, id))
    voxel = np.full(scene.points, -1, np.int64)
    voxel[slice(None) if scene.kept is None else scene.kept] = scene.voxels.inverse
    mine = mine[voxel[mine] >= 0]
    there, inverse = np.unique(voxel[mine], return_inverse=True)
    part = connected_components(scene.refiner.adjacency[there][:, there], directed=False)[1][inverse]
    sizes = np.bincount(part)
    others = [each for each in np.argsort(-sizes, kind="stable")[1:PARTS] if sizes[each] >= FEWEST]
    if not others:
        raise ValueError(f"{item.name} hangs together: there is nothing to split. Take points away between its parts.")
    with session.step():
        for count, each in enumerate(others, 2):
            details = {name: value for name, value in item.details().items() if name not in ("locked", "box")}
            made = session.add(f"{item.name} {count}", **details)
            session.edit(made, mine[part == each])
        session.select(id)
    return len(others) + 1


def set_attribute(session: InteractiveSession, id: str, attribute: str, value: str) -> None:
    """One attribute of an object; "" takes it away."""
    said = {**dict(_item(session, id).attributes), attribute: value}
    session.describe(id, attributes={name: each for name, each in said.items() if each})


def set_box(
    session: InteractiveSession, xyz: np.ndarray, labels: np.ndarray, id: str, box: tuple[float, ...] | str
) -> None:
    """A box by hand; "aligned": the one around the object's points along the cloud's axes; "": follow its points."""
    refuse_locked(session, id)
    if box == "aligned":
        points = xyz[labels == _number(session, id)]
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            raise ValueError(f"{_item(session, id).name} has no points yet that a box could be around.")
        box = aligned_box(points).numbers()
    session.describe(id, box=list(box))


def refuse_locked(session: InteractiveSession, id: str) -> None:
    """ValueError where an object is locked."""
    item = _item(session, id)
    if item.locked:
        raise ValueError(f"{item.name} is locked: unlock it first.")


def refuse_locked_place(session: InteractiveSession, labels: np.ndarray, click: Click) -> None:
    """ValueError where a click is on the points of a locked object."""
    if any(item.locked for item in session.objects) and (item := _under(session, labels, click)):
        refuse_locked(session, item.id)


def refuse_outside(session: InteractiveSession, labels: np.ndarray, click: Click, within: str) -> None:
    """ValueError where a click for a part of an object is not on that object or one of its parts; "": for no part."""
    if not within:
        return
    whole, under = _item(session, within), _under(session, labels, click)
    if under is None or within not in (under.id, *ancestors(under.id, {o.id: o.within for o in session.objects})):
        raise ValueError(f"That point is not on {whole.name}: a part takes clicks within its object's points only.")
    points = int((labels == _number(session, within)).sum())
    if not any(item.within == within for item in session.objects) and points < LEAST_POINTS:
        raise ValueError(f"{whole.name} has {points} points, too few for parts: add to it first.")


def _under(session: InteractiveSession, labels: np.ndarray, click: Click) -> SessionObject | None:
    """The object that has the point that was clicked on."""
    if session.scene is None:
        return None
    label = int(labels[session.scene.voxels.representative[session.scene.voxel_of(Click(click.point))]])
    return session.objects[label - 1] if 0 < label <= len(session.objects) else None


def _item(session: InteractiveSession, id: str) -> SessionObject:
    for item in session.objects:
        if item.id == id:
            return item
    raise ValueError(f"There is no object {id!r}: choose one of the list.")


def _number(session: InteractiveSession, id: str) -> int:
    _item(session, id)
    return session.ids.index(id) + 1
