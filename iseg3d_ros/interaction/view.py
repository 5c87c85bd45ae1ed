"""The work as it stands after a change: an immutable value that messages are made from when they are wanted."""

from __future__ import annotations

import colorsys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.boxes import Box, oriented_box
from iseg3d_ros.interaction.current_cloud import CurrentCloud, Layouts
from iseg3d_ros.interaction.session_states import StateHistory
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

GOLDEN = 0.61803398875  # hues that far apart stay distinct however many there are
FEW_OBJECTS = 8  # objects for which looking through all labels each time is quicker than sorting them once
EMPTY, SEEN, LOST, SEARCHING = 0, 1, 2, 3  # ObjectInfo.state


@dataclass(frozen=True)
class ObjectView:
    """An object of the work; `index` is its label in the cloud, `ordinal` never changes and gives its colour."""

    id: str
    name: str
    index: int
    ordinal: int
    clicks: tuple[Click, ...]
    lost: bool = False
    searching: bool = False  # lost, but perhaps only hidden or out of view

    @property
    def colour(self) -> tuple[float, float, float]:
        """Red, green, blue in 0..1."""
        return colour_of(self.ordinal)


@dataclass(frozen=True)
class Measures:
    """What is measured of an object's points."""

    count: int
    box: Box
    low: np.ndarray
    high: np.ndarray
    centroid: np.ndarray
    confidence: float
    uncertainty: float


@dataclass(frozen=True, eq=False)
class View:
    """Cloud, masks, objects and clicks that belong together. `serial` grows with every change."""

    serial: int
    cloud: CurrentCloud
    up: np.ndarray | None
    result: Segmentation
    objects: tuple[ObjectView, ...]
    active: str
    background: tuple[Click, ...]
    can_undo: bool
    can_redo: bool
    mode: str
    model: str
    encode_ms: float
    segment_ms: float
    message: str
    history: StateHistory = StateHistory()
    ordinals: Mapping[str, int] = field(default_factory=dict)  # of all objects that the history knows

    @property
    def points(self) -> Points:
        """The cloud's."""
        return self.cloud.points

    @property
    def layouts(self) -> Layouts:
        """The cloud's."""
        return self.cloud.layouts

    @property
    def frame(self) -> str:
        """The cloud's."""
        return self.cloud.frame

    @property
    def stamp(self) -> int:
        """The cloud's."""
        return self.cloud.stamp

    @property
    def active_object(self) -> ObjectView | None:
        """The object to which clicks without id go."""
        return self.object(self.active)

    def object(self, wanted: str) -> ObjectView | None:
        """By id."""
        return next((item for item in self.objects if item.id == wanted), None)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Point indices sorted by label, and where each label begins: one sort serves all objects."""
        labels = self.result.labels
        order = np.argsort(labels.astype(np.uint16), kind="stable")  # a radix sort
        return order, np.searchsorted(labels[order], np.arange(len(self.objects) + 2))

    def indices(self, index: int) -> np.ndarray:
        """The points with a label, int64, ascending."""
        if len(self.objects) <= FEW_OBJECTS:
            return np.flatnonzero(self.result.labels == index)
        order, begins = self._order
        return order[begins[index] : begins[index + 1]]

    @cached_property
    def _measured(self) -> dict[int, Measures | None]:
        return {}

    def measures(self, index: int) -> Measures | None:
        """Of the object with that label, once; None if it has no points."""
        if index not in self._measured:
            self._measured[index] = self._measure(self.indices(index))
        return self._measured[index]

    def _measure(self, chosen: np.ndarray) -> Measures | None:
        if len(chosen) == 0:
            return None
        xyz = np.take(self.points.xyz.T, chosen, axis=1).T
        return Measures(
            len(chosen),
            oriented_box(xyz, self.up),
            xyz.min(0),
            xyz.max(0),
            xyz.mean(0, dtype=np.float64),
            float(self.result.probability[chosen].mean()),
            float(self.result.uncertainty[chosen].mean()),
        )


def colour_of(ordinal: int) -> tuple[float, float, float]:
    """Red, green, blue in 0..1."""
    return colorsys.hsv_to_rgb((0.02 + GOLDEN * ordinal) % 1.0, 0.75, 1.0)


def list_objects(
    ids: Sequence[str],
    clicks: Sequence[Click],
    names: Mapping[str, str] = MappingProxyType({}),
    ordinals: Mapping[str, int] = MappingProxyType({}),
    lost: Collection[str] = (),
    searching: Collection[str] = (),
) -> tuple[ObjectView, ...]:
    """The objects with their clicks; label k is the k-th of `ids`."""
    return tuple(
        ObjectView(
            id=id,
            name=names.get(id, id),
            index=index,
            ordinal=ordinals.get(id, index - 1),
            clicks=tuple(click for click in clicks if click.id == id),
            lost=id in lost,
            searching=id in searching,
        )
        for index, id in enumerate(ids, 1)
    )
