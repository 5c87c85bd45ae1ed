"""The scripted operator: three objects with a click each, then one correction. Works over any `console.work.Work`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as pieces_of

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.protocol import AddClick, Work
from iseg3d_ros.console.thinning import thin
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, LinkUpdate, Mailbox, Message, Place, StateUpdate
from iseg3d_ros.demo.scenes import DemoScene
from iseg3d_ros.evaluation.user import error_regions, largest
from iseg3d_ros.geometry.boxes import oriented_box
from iseg3d_ros.preprocessing.up_direction import find_up

OBJECTS = 3
BACKGROUND = "background"  # what a row is called that belongs to no object
FEW = 300  # points that an object of the script has at least
CELLS = 100  # along the longest side of a scene, in which things are told apart
SOLID, FLAT = 10, 0.25  # points that a thing has at least; thinner than this against its width it is a board
PLANE = 0.03  # share of the points in a slice of a cell that is a floor or a wall
SAMPLE = 20_000  # points at which the operator looks for errors
SURFACES = {
    "floor",
    "ceiling",
    "wall",
    "road",
    "ground",
    "building",
    "table",
    "window",
    "door",
    "terrain",
    "tree",
    "shelf",
    "curtain",
}
PATIENCE = 60.0  # seconds for an answer


@dataclass(frozen=True)
class Target:
    """An object that the operator wants: where to click first, its label in the truth (0: unknown)."""

    id: str
    point: Place
    label: int


@dataclass(frozen=True)
class Row:
    """What one click brought."""

    object: str
    clicks: int
    points: int
    iou: float | None
    milliseconds: float


@dataclass
class Result:
    """All rows, and the state at the end."""

    rows: list[Row] = field(default_factory=list)
    state: StateUpdate = field(default_factory=StateUpdate)
    labels: NDArray[np.int32] | None = None

    @property
    def last(self) -> dict[str, Row]:
        """The newest row of each object."""
        return {row.object: row for row in self.rows if row.object != BACKGROUND}


class Operator:
    """Sends clicks and waits for what comes of them."""

    def __init__(self, work: Work, say: Callable[[str], None]) -> None:
        self._work, self._say = work, say
        self._inbox: Mailbox = work.subscribe()
        self._state, self._labels = StateUpdate(), LabelsUpdate(-1, *(np.zeros(0),) * 3)
        self._ready = [False, False]  # connected, a cloud is there
        self._refused = ""

    def wait_until_ready(self) -> None:
        """Somebody segments, and there is a cloud."""
        self._until(lambda: all(self._ready), "a segmenter and a cloud")

    def click(self, click: AddClick) -> tuple[StateUpdate, NDArray[np.int32], float]:
        """The state and the labels with that click, and how long they took."""
        end = time.monotonic() + PATIENCE
        while not (answer := self._try(click)):
            if "no cloud" not in self._refused or time.monotonic() > end:  # the first cloud is on its way otherwise
                raise RuntimeError(self._refused)
            time.sleep(0.5)
        return answer

    def _try(self, click: AddClick) -> tuple[StateUpdate, NDArray[np.int32], float] | None:
        """One attempt; None where it was refused."""
        before, seen, self._refused = click_count(self._state), self._labels, ""
        start = time.perf_counter()
        self._work.send(click)
        self._until(
            lambda: self._refused or (self._labels is not seen and click_count(self._state) > before), "an answer"
        )
        if self._refused:
            return None
        return self._state, self._labels.labels, 1e3 * (time.perf_counter() - start)

    def _until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"{what[0].upper()}{what[1:]} did not come within {PATIENCE:.0f} s.")
            for update in self._inbox.take(timeout=0.2)[0]:
                match update:
                    case StateUpdate():
                        self._state = update
                    case LabelsUpdate():
                        self._labels = update
                    case LinkUpdate():
                        self._ready[0] = update.connected
                    case CloudUpdate():
                        self._ready[1] = True
                    case Message(text, True):
                        self._refused = text
                    case Message(text):
                        self._say(text)


def play(work: Work, scene: DemoScene, say: Callable[[str], None]) -> Result:
    """The whole script."""
    operator, targets, result = Operator(work, say), targets_of(scene), Result()
    operator.wait_until_ready()
    for target in targets:
        click = AddClick(Click(target.point, target.id), new=True)
        _note(result, scene, targets, target.id, *operator.click(click))
    correction = correct(scene, targets, result)
    if correction is not None:
        name = correction.click.id or BACKGROUND
        _note(result, scene, targets, name, *operator.click(correction))
    return result


def targets_of(scene: DemoScene) -> list[Target]:
    """Three things that stand about: by the truth where it is known, by height otherwise."""
    xyz, labels = scene.cloud.xyz, scene.cloud.labels
    if labels is None or not labels.any():
        return _standing(xyz)
    count = np.bincount(labels)
    big = [int(label) for label in np.argsort(-count) if label > 0 and count[label] >= FEW]
    movable = [label for label in big if _name(scene, label) not in SURFACES]
    different = {_name(scene, label): label for label in reversed(movable)}  # the largest of each class
    chosen = sorted(different.values(), key=lambda label: -count[label])[:OBJECTS]
    chosen += [label for label in movable if label not in chosen][: OBJECTS - len(chosen)]
    return [_target(scene, label, number) for number, label in enumerate(chosen, 1)]


def correct(scene: DemoScene, targets: list[Target], result: Result) -> AddClick | None:
    """The click that answers the largest error; without truth the one that the model suggests."""
    labels, truth = result.labels, _wanted(scene, targets)
    if labels is None or truth is None or len(truth) != len(labels):
        hint = result.state.suggestion
        return None if hint is None else AddClick(Click(hint.point, hint.id))
    some = _sample(scene.cloud.xyz)
    region = largest(error_regions(scene.cloud.xyz[some], truth[some], labels[some].astype(np.int64)))
    if region is None:
        return None
    point = _place(scene.cloud.xyz[some[region.voxel]])
    return AddClick(Click(point, targets[region.truth - 1].id if region.truth else ""))


def click_count(state: StateUpdate) -> int:
    """All clicks of a state."""
    return len(state.background) + sum(len(item.clicks) for item in state.objects)


def _note(
    result: Result, scene: DemoScene, targets: list[Target], name: str,
    state: StateUpdate, labels: NDArray[np.int32], ms: float,
) -> None:  # fmt: skip
    """Rows for what was clicked; a background click concerns every object."""
    result.state, result.labels = state, labels
    truth = _wanted(scene, targets)
    for number, target in enumerate(targets, 1):
        item = state.object(target.id)
        if item is None or name not in (target.id, BACKGROUND):
            continue
        iou = None
        if truth is not None and len(truth) == len(labels):
            mine, right = labels == item.index, truth == number
            iou = float((mine & right).sum() / max((mine | right).sum(), 1))
        clicks = len(item.clicks) + (len(state.background) if name == BACKGROUND else 0)
        result.rows.append(Row(target.id, clicks, item.points, iou, ms))


def _wanted(scene: DemoScene, targets: list[Target]) -> NDArray[np.int64] | None:
    """The truth with the targets' numbers, everything else 0."""
    if scene.cloud.labels is None or not all(target.label for target in targets):
        return None
    table = np.zeros(int(scene.cloud.labels.max()) + 1, np.int64)
    for number, target in enumerate(targets, 1):
        table[target.label] = number
    return table[scene.cloud.labels]


def _target(scene: DemoScene, label: int, number: int) -> Target:
    """Clicked at its innermost point, as the evaluation's simulated user does."""
    assert scene.cloud.labels is not None
    some = _sample(scene.cloud.xyz, np.flatnonzero(scene.cloud.labels == label)[:: max(1, FEW // 100)])
    mask = (scene.cloud.labels[some] == label).astype(np.int64)
    region = largest(error_regions(scene.cloud.xyz[some], mask, np.zeros_like(mask)))
    assert region is not None
    name = _name(scene, label).replace(" ", "_") or f"object_{number}"
    return Target(name if number == 1 else f"{name}_{number}", _place(scene.cloud.xyz[some[region.voxel]]), label)


def _sample(xyz: np.ndarray, always: np.ndarray | None = None) -> NDArray[np.int64]:
    some = thin(np.ascontiguousarray(xyz, np.float32), SAMPLE)
    return some if always is None else np.union1d(some, always)


def _standing(xyz: np.ndarray) -> list[Target]:
    """The largest things that stand apart, once floor, walls and ceiling are taken away."""
    finite = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    some = finite[thin(np.ascontiguousarray(xyz[finite], np.float32), SAMPLE)]
    points = xyz[some].astype(np.float64)
    points = points - np.median(points, axis=0)
    places = points @ oriented_box(points, find_up(points.astype(np.float32))).rotation
    size = np.ptp(np.percentile(places, [1, 99], axis=0), axis=0)
    cell = max(float(size.max()) / CELLS, 1e-3)
    low, high = np.percentile(places[:, 2], [1, 99])
    within = places[:, 2] < low + 0.7 * (high - low)  # what hangs from a ceiling is no good first example
    kept = np.flatnonzero(~_planes(places, cell) & within)
    kept = kept if len(kept) >= OBJECTS else np.arange(len(places))
    chosen = [int(kept[index]) for index in _largest(places[kept], cell, 0.5 * size)]
    for spare in kept[:: max(1, len(kept) // OBJECTS)]:  # where too few things stand apart
        if len(chosen) < OBJECTS and int(spare) not in chosen:
            chosen.append(int(spare))
    return [Target(f"object_{n}", _place(xyz[some[index]]), 0) for n, index in enumerate(chosen[:OBJECTS], 1)]


def _planes(places: NDArray[np.float64], cell: float) -> NDArray[np.bool_]:
    """Points in a slice, along any axis, that holds a large part of all: floor, walls, table tops."""
    flat = np.zeros(len(places), bool)
    for along in places.T:
        slices = np.floor((along - along.min()) / cell).astype(int)
        many = np.flatnonzero(np.bincount(slices) > PLANE * len(places))
        flat |= np.isin(slices, np.concatenate([many - 1, many, many + 1]))
    return flat


def _largest(places: NDArray[np.float64], cell: float, most: NDArray[np.float64]) -> list[int]:
    """The innermost point of each of the largest pieces of connected cells: none larger than `most`, none flat."""
    cells = np.floor((places - places.min(axis=0)) / cell).astype(int)
    filled = np.zeros(cells.max(axis=0) + 1, bool)
    filled[tuple(cells.T)] = True
    piece = pieces_of(filled, np.ones((3, 3, 3)))[0][tuple(cells.T)]
    chosen = []
    for number in np.argsort(-np.bincount(piece)):
        mine = np.flatnonzero(piece == number)
        if number == 0 or len(mine) < SOLID or (np.ptp(places[mine], axis=0) > most).sum() > 1:
            continue
        spread = np.linalg.svd(places[mine] - places[mine].mean(axis=0), full_matrices=False)[1]
        if spread[2] < FLAT * spread[1]:
            continue
        chosen.append(int(mine[np.linalg.norm(places[mine] - np.median(places[mine], axis=0), axis=1).argmin()]))
        if len(chosen) == OBJECTS:
            break
    return chosen


def _name(scene: DemoScene, label: int) -> str:
    return scene.names[label - 1] if 0 < label <= len(scene.names) else ""


def _place(point: np.ndarray) -> Place:
    x, y, z = (float(value) for value in point)
    return x, y, z
