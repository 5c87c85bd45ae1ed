"""A session on a cloud as the page is told it: every object with its points, box and colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iseg3d_ros.console.protocol import Abilities, Category
from iseg3d_ros.console.updates import Done, HistoryUpdate, ObjectState, StateUpdate, Suggestion
from iseg3d_ros.geometry.boxes import Box, box_of, oriented_box
from iseg3d_ros.interaction.class_proposals import known_classes
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.session_states import SessionObject
from iseg3d_ros.interaction.steps import steps_of
from iseg3d_ros.io.exports import FORMATS
from iseg3d_ros.io.package_files import weights_dir
from iseg3d_ros.io.picture import PALETTE
from iseg3d_ros.predictor import TRAINING_FREE, Segmentation


class StateMaker:
    """Colours stay with their objects, and an object is measured again only where its points have changed."""

    def __init__(self, xyz: np.ndarray) -> None:
        self._xyz = xyz
        self._ordinals: dict[str, int] = {}
        self._measured: dict[str, tuple[np.ndarray, Box | None]] = {}

    def state(self, session: InteractiveSession, result: Segmentation, encode_ms: float) -> StateUpdate:
        """The whole."""
        if not self._ordinals:  # colours as before a restart: those of objects that are gone stay theirs
            made = (item.id for state in session.history.states for item in state.objects)
            self._ordinals = {id: ordinal for ordinal, id in enumerate(dict.fromkeys(made))}
        suggested = result.suggested_click
        ids = ["", *session.ids]
        order = np.argsort(result.labels, kind="stable")
        begins = np.searchsorted(result.labels[order], np.arange(len(ids) + 1))
        self._measured = {id: self._measured[id] for id in ids if id in self._measured}
        objects = tuple(
            self._object(session, result, item, label, order[begins[label] : begins[label + 1]])
            for label, item in enumerate(session.objects, 1)
        )
        return StateUpdate(
            objects=objects,
            active=session.active,
            background=tuple(click.point for click in session.clicks if not click.id),
            suggestion=None if suggested is None else Suggestion(suggested.point, ids[int(suggested.object)]),
            can_undo=session.can_undo,
            can_redo=session.can_redo,
            mode="file",
            model=session.predictor.name,
            encode_ms=encode_ms,
            segment_ms=result.milliseconds,
            classes=known_classes(session.predictor),
        )

    def history(self, session: InteractiveSession) -> HistoryUpdate:
        """What was done and undone, in the colours of the objects."""
        told = session.history
        steps = tuple(Done(s.verb, s.id, s.name, s.more, self._colour(s.id)) for s in steps_of(told))
        return HistoryUpdate(told.revision, steps, told.present)

    def _colour(self, id: str) -> tuple[int, ...]:
        if id not in self._ordinals:
            return ()
        return tuple(int(value) for value in PALETTE[self._ordinals[id] % len(PALETTE)])

    def _object(
        self, session: InteractiveSession, result: Segmentation, item: SessionObject, label: int, chosen: np.ndarray
    ) -> ObjectState:
        self._ordinals.setdefault(item.id, len(self._ordinals))
        red, green, blue = self._colour(item.id)
        clicks = tuple(click.point for click in session.clicks if click.id == item.id)
        sure = float(result.probability[chosen].mean()) if len(chosen) else float("nan")
        return ObjectState(
            item.id, item.name, label, (red, green, blue), len(chosen), sure, clicks=clicks,
            box=box_of(item.box) if item.box else self._box(session, item.id, chosen), category=item.category,
            locked=item.locked, attributes=item.attributes, boxed=bool(item.box),
            guesses=tuple(result.classes.get(label, ())), within=item.within,
        )  # fmt: skip

    def _box(self, session: InteractiveSession, id: str, chosen: np.ndarray) -> Box | None:
        known = self._measured.get(id)
        if known is not None and np.array_equal(known[0], chosen):
            return known[1]
        points = self._xyz[chosen]
        points = points[np.isfinite(points).all(axis=1)]
        box = oriented_box(points, up_of(session)) if len(points) else None
        self._measured[id] = (chosen, box)
        return box


def up_of(session: InteractiveSession) -> np.ndarray:
    """Which way is up, as the library found it."""
    assert session.scene is not None
    return session.scene.rotation[2]  # it turns up into z


def abilities(folder: Path, categories: Sequence[Category]) -> Abilities:
    """What can be done with a cloud from a file: the shipped models, the one without weights, every export."""
    models = *sorted(path.stem for path in weights_dir().glob("*.safetensors")), TRAINING_FREE
    return Abilities(models, (), str(folder), tuple(FORMATS), True, tuple(categories), True)
