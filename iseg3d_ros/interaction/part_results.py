"""Results of work in which objects are parts of others: clicks on a part are answered within its object's points.

Level by level. First the objects that are parts of none, as if there were no parts; then the parts of each object, in
the cloud of its points alone (as `part_level` does it for one object), where whatever no part takes is still the
object's; then their parts. Once an object has parts, a click or an edit on it says: this is none of them. Such a click
on the object's own points is not shown to the level above: the object stays as it is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.edited_result import EditedResults, EditedWork
from iseg3d_ros.interaction.part_level import LEAST_POINTS
from iseg3d_ros.interaction.point_edits import Edit, pack
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.session_states import BACKGROUND, SessionObject, ancestors
from iseg3d_ros.predictor import Segmentation
from iseg3d_ros.preprocessing.scene import Scene

LEVELS = 4  # objects whose encodings are kept, those that were needed last


@dataclass(frozen=True)
class _Level:
    """A cloud in which the parts of `parent` are told apart; with "", the whole one, in which all objects are.

    `rows` are the places of its points in the whole cloud.
    """

    parent: str
    model: SceneModel
    rows: NDArray[np.int64] | None = None
    results: EditedResults = field(default_factory=EditedResults)

    def result(self, work: EditedWork, within: Mapping[str, str]) -> Segmentation:
        """What the work says at this level."""
        repeated = _repeated(work, self.parent, within)
        found = self.results.result(self.model, self._said(work, within, repeated))
        elsewhere = {
            place for place in repeated
            if self.point(click := work.clicks[place]) is not None
            and found.labels[self.point(click)] != work.ids.index(click.id) + 1
        }  # fmt: skip
        if elsewhere:
            found = self.results.result(self.model, self._said(work, within, repeated - elsewhere))
        return found

    def point(self, click: Click) -> int | None:
        """The point that a click is on; None where it is not near: the object may have lost the place since."""
        scene = self.model.scene
        assert scene is not None
        try:
            return int(scene.voxels.representative[scene.voxel_of(click)])
        except ValueError:
            return None

    def _said(self, work: EditedWork, within: Mapping[str, str], left_out: Collection[int]) -> EditedWork:
        """Clicks and edits of this level; points that are given to a part are given to all that it is a part of."""
        clicks: list[Click] = []
        edits: list[Edit] = []
        begun = {BACKGROUND}  # what has had parts so far
        for place, each in _in_order(work):
            line = [each.id, *ancestors(each.id, within)]
            begun.update(line[1:])
            meant = next((id for id in line if within.get(id) == self.parent), None)
            if each.id == self.parent and self.parent in begun:
                meant = BACKGROUND
            if meant is None:
                continue
            if isinstance(each, Edit):
                if points := each.points if self.rows is None else _inside(each, self.rows):
                    edits.append(Edit(meant, points, len(clicks)))
            elif each.id in (meant, self.parent) and place not in left_out and self.point(each) is not None:
                clicks.append(Click(each.point, meant))
        return EditedWork(work.ids, tuple(clicks), tuple(edits), work.locked)


class PartResults:
    """The results of a session's work, with parts or without; the last one with parts is kept."""

    def __init__(self) -> None:
        self._top: _Level | None = None
        self._levels: OrderedDict[str, _Level] = OrderedDict()
        self._scene: Scene | None = None  # of the whole cloud, of which the levels are
        self._last: tuple[Mapping[str, str], EditedWork, Segmentation] | None = None

    def result(
        self, model: SceneModel, objects: Sequence[SessionObject], clicks: tuple[Click, ...], edits: tuple[Edit, ...]
    ) -> Segmentation:
        """Label k is the k-th object's, whether it is a part or not."""
        within = {item.id: item.within for item in objects}
        work = EditedWork(tuple(within), clicks, edits, frozenset(item.id for item in objects if item.locked))
        if model.scene is None:
            raise RuntimeError("There is no cloud to segment yet; call set_cloud first.")
        if self._top is None or model.scene is not self._scene:
            self._levels.clear()
            self._top, self._scene, self._last = _Level(BACKGROUND, model), model.scene, None
        if not any(within.values()):
            return self._top.results.result(model, work)
        if self._last is None or self._last[:2] != (within, work):
            self._last = within, work, self._computed(self._top, within, work)
        return self._last[2]

    def _computed(self, top: _Level, within: Mapping[str, str], work: EditedWork) -> Segmentation:
        whole = top.result(work, within)
        said = {click.id for click in work.clicks} | {edit.id for edit in work.edits}
        hints = [whole.suggested_click]
        for number, parent in enumerate(work.ids, 1):
            rows = np.flatnonzero(whole.labels == number)
            if len(rows) < LEAST_POINTS or not any(parent in ancestors(id, within) for id in said):
                continue
            level = self._level(top.model, parent, rows)
            inner = level.result(work, within)
            hint = inner.suggested_click
            hints.append(hint and replace(hint, object=int(hint.object) or number))
            whole = _joined(whole, inner, rows)
        open = (hint for hint in hints if hint and whole.labels[top.point(hint)] == int(hint.object))
        return replace(whole, suggested_click=next(open, None), objects=len(work.ids))

    def _level(self, model: SceneModel, parent: str, rows: NDArray[np.int64]) -> _Level:
        level = self._levels.pop(parent, None)
        if level is None or level.rows is None or not np.array_equal(level.rows, rows):
            assert model.scene is not None and model.points is not None  # there is a result
            level, (xyz, rgb) = _Level(parent, SceneModel(model.predictor), rows), model.points
            up = model.scene.rotation[2].tolist()  # it turns up into z; an object alone hardly shows which way that is
            level.model.encode(xyz[rows], None if rgb is None else rgb[rows], up)
        self._levels[parent] = level
        while len(self._levels) > LEVELS:
            self._levels.popitem(last=False)
        return level


def _in_order(work: EditedWork) -> Iterator[tuple[int, Click | Edit]]:
    """Clicks and edits as they were given; the number of clicks before each."""
    waiting = deque(work.edits)
    for place in range(len(work.clicks) + 1):
        while waiting and waiting[0].after <= place:
            yield place, waiting.popleft()
        if place < len(work.clicks):
            yield place, work.clicks[place]


def _repeated(work: EditedWork, parent: str, within: Mapping[str, str]) -> set[int]:
    """Places of the clicks on an object of this level that came after its own parts had begun."""
    begun: set[str] = set()
    found = set()
    for place, each in _in_order(work):
        begun.update(ancestors(each.id, within))
        if isinstance(each, Click) and each.id in begun and within.get(each.id) == parent:
            found.add(place)
    return found


def _inside(edit: Edit, rows: NDArray[np.int64]) -> str:
    """The points of an edit as places in `rows`, packed; "" where none is there."""
    places = np.flatnonzero(np.isin(rows, edit.indices, assume_unique=True))
    return pack(places) if len(places) else ""


def _joined(whole: Segmentation, inner: Segmentation, rows: NDArray[np.int64]) -> Segmentation:
    """The parts in their object: as sure as both together, as doubtful as one after the other."""
    labels, sure, doubt = whole.labels.copy(), whole.probability.copy(), whole.uncertainty.copy()
    labels[rows] = np.where(inner.labels > 0, inner.labels, labels[rows])
    doubt[rows] += sure[rows] * inner.uncertainty
    sure[rows] *= inner.probability
    return replace(
        whole, labels=labels, probability=sure, uncertainty=doubt, classes={**whole.classes, **inner.classes},
        milliseconds=whole.milliseconds + inner.milliseconds,
    )  # fmt: skip
