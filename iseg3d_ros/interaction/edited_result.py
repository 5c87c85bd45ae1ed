"""The result where points were given by hand: the model's masks, with the given points as they were given.

An object made of points and not of clicks is shown to the model by a click in its midst, its anchor. A click that
comes after an edit takes given points back as far as the model finds them to belong together with it: the piece of its
mask that hangs together around the click. So imported masks stay as they are, and clicks correct them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.point_edits import FREE, Edit, Pins
from iseg3d_ros.interaction.scene_model import SceneModel, background, number_clicks
from iseg3d_ros.predictor import Segmentation
from iseg3d_ros.preprocessing.scene import Scene

ANCHORS = 8  # objects made of points that are shown to the model, those nearest to the clicks
HELD = 5  # clicks that hold an object from which points are taken away
DEEP = 0.7  # of the greatest depth: where such a click may be
INWARDS = 3  # times that a mask is averaged over neighbours to find its midst


@dataclass(frozen=True)
class EditedWork:
    """What a result follows from, beside cloud and model."""

    ids: tuple[str, ...]
    clicks: tuple[Click, ...]
    edits: tuple[Edit, ...]
    locked: frozenset[str] = frozenset()


class EditedResults:
    """The results of edited work; the last two are kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[Scene, EditedWork, Segmentation]] = []

    def result(self, model: SceneModel, work: EditedWork) -> Segmentation:
        """Computed once for the same work on the same encoded cloud."""
        if not work.edits:
            return model.segment(number_clicks(work.clicks, work.ids))
        scene = model.scene
        if scene is None:
            raise RuntimeError("There is no cloud to segment yet; call set_cloud first.")
        for kept in self._kept:
            if kept[0] is scene and kept[1] == work:
                return kept[2]
        result = _Composition(scene, work).result(model)
        self._kept = [(scene, work, result), *self._kept[:1]]
        return result


class _Composition:
    def __init__(self, scene: Scene, work: EditedWork) -> None:
        self._scene, self._work = scene, work
        self._pins = Pins.of(work.edits, work.ids, scene.points)
        self._clicks = number_clicks(work.clicks, work.ids)
        self._at = [scene.voxel_of(click) for click in self._clicks]
        self._locked = np.isin(self._pins.label, [n for n, id in enumerate(work.ids, 1) if id in work.locked])
        self._made = self._made_of_points()
        self._voxel = np.full(scene.points, -1, np.int64)  # of every point that takes part
        self._voxel[slice(None) if scene.kept is None else scene.kept] = scene.voxels.inverse

    def result(self, model: SceneModel) -> Segmentation:
        """The whole."""
        given = self._as_asked()
        found = model.segment(self._anchors(given) + given) if given else background(self._scene.points)
        labels = self._unpinned(found.labels)
        pinned = self._corrected(found.labels, given)
        fixed = pinned != FREE
        labels[fixed] = pinned[fixed]
        hint = found.suggested_click
        if hint is not None and (int(hint.object) > len(self._work.ids) or fixed[self._point(hint)]):
            hint = None
        return replace(
            found, labels=labels, suggested_click=hint, objects=len(self._work.ids),
            probability=np.where(fixed, np.float32(1), found.probability),
            uncertainty=np.where(fixed, np.float32(0), found.uncertainty),
        )  # fmt: skip

    def _made_of_points(self) -> list[int]:
        """Numbers of the objects that no click was on before they were given points."""
        first: dict[str, int] = {}
        for edit in self._work.edits:
            first.setdefault(edit.id, edit.after)
        clicked = {click.id for place, click in enumerate(self._work.clicks) if place < first.get(click.id, 0)}
        return [n for n, id in enumerate(self._work.ids, 1) if id in first and id not in clicked]

    def _as_asked(self) -> list[Click]:
        """The clicks as the model is asked: one that takes given points away stands for a thing of its own."""
        taken = len(self._work.ids) + 1
        return [
            Click(click.point, taken) if not click.object and self._takes_away(place) else click
            for place, click in enumerate(self._clicks)
        ]

    def _takes_away(self, place: int) -> bool:
        point = self._scene.voxels.representative[self._at[place]]
        return bool(self._pins.label[point] > 0 and self._pins.since[point] <= place)

    def _point(self, click: Click) -> int:
        return int(self._scene.voxels.representative[self._scene.voxel_of(click)])

    def _anchors(self, given: Sequence[Click]) -> list[Click]:
        """A click in the midst of each object that was made of points, of those nearest to the clicks.

        One with clicks of its own needs none, but where points are taken away from it: there the rest must hold out.
        """
        label = self._pins.label[self._scene.voxels.representative]
        taken = [voxel for voxel, click in zip(self._at, given, strict=True) if click.object == len(self._work.ids) + 1]
        far = np.full(len(self._work.ids) + 1, np.inf)
        for voxel in set(self._at):
            np.minimum.at(far, np.maximum(label, 0), self._distance(voxel))
        own = {int(click.object) for click in given} - set(label[taken].tolist())
        near = sorted((number for number in self._made if number not in own), key=lambda number: far[number])
        return [
            Click(place, number)
            for number in sorted(near[:ANCHORS]) if np.isfinite(far[number])
            for place in self._midst(label == number, [voxel for voxel in taken if label[voxel] == number])
        ]  # fmt: skip

    def _distance(self, voxel: int) -> NDArray[np.float32]:
        places = self._scene.voxels.points
        distance: NDArray[np.float32] = np.linalg.norm(places - places[voxel], axis=1)
        return distance

    def _midst(self, mine: NDArray[np.bool_], taken: Sequence[int]) -> list[tuple[float, float, float]]:
        """The place deepest inside, in that half of the object that is farther from where points are taken away.

        Where any are, further places deep inside hold the rest of the object: each as far as can be from those before.
        """
        adjacency, scene = self._scene.refiner.adjacency, self._scene
        depth = mine.astype(np.float64)
        around = np.asarray(adjacency.sum(axis=1)).ravel() + 1
        for _ in range(INWARDS):
            depth = mine * (depth + adjacency @ depth) / around
        for voxel in taken:
            distance = self._distance(voxel)
            depth[distance < distance[mine].max() / 2] = 0
        places = scene.voxels.points
        offset = np.linalg.norm(places - places[mine].mean(axis=0), axis=1)
        best = int(np.where(mine, depth - 0.01 * offset / max(float(offset[mine].max()), 1e-9), -np.inf).argmax())
        chosen, deep = [best], np.where(mine, depth, 0) >= DEEP * depth[best]
        while taken and len(chosen) < HELD:
            reach = np.minimum.reduce([self._distance(voxel) for voxel in (*taken, *chosen)])
            chosen.append(int(np.where(deep, reach, -1).argmax()))
        world = places[chosen].astype(np.float64) @ scene.rotation + scene.origin
        return [(float(x), float(y), float(z)) for x, y, z in world]

    def _unpinned(self, found: NDArray[np.int32]) -> NDArray[np.int32]:
        """The model's labels where nothing was given; of objects made of points only what their clicks reach."""
        labels = np.where(found > len(self._work.ids), 0, found).astype(np.int32)
        for number in [n for n, id in enumerate(self._work.ids, 1) if id in self._work.locked]:
            labels[labels == number] = 0
        for number in self._made:
            mine = labels == number
            if mine.any():
                seeds = [v for v, click in zip(self._at, self._clicks, strict=True) if click.object == number]
                reached = self._piece(seeds, mine)
                labels[mine & ~reached] = 0
        return labels

    def _corrected(self, found: NDArray[np.int32], given: Sequence[Click]) -> NDArray[np.int32]:
        """The given labels, with what later clicks took from them, click by click."""
        pinned = self._pins.label.copy()
        for place, (click, asked) in enumerate(zip(self._clicks, given, strict=True)):
            number = int(click.object)
            free = (self._pins.since <= place) & (pinned != FREE) & (pinned != number) & ~self._locked
            taken = self._piece([self._at[place]], free & (found == int(asked.object)))
            if not number:  # of one thing only: what was clicked on
                taken &= pinned == pinned[self._scene.voxels.representative[self._at[place]]]
            pinned[taken] = number
        return pinned

    def _piece(self, seeds: Collection[int], points: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of the points that hang together with a seed's voxel."""
        adjacency = self._scene.refiner.adjacency
        allowed = np.zeros(len(self._scene.voxels), bool)
        there = points & (self._voxel >= 0)
        allowed[self._voxel[there]] = True
        reached = np.zeros_like(allowed)
        front = np.unique([seed for seed in seeds if allowed[seed]]).astype(np.int64)
        while len(front):
            reached[front] = True
            near = np.unique(adjacency[front].indices)
            front = near[allowed[near] & ~reached[near]]
        return there & reached[self._voxel]
