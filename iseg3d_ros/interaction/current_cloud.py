"""The cloud under segmentation, with all that is derived from it once. No ROS here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.planes import Plane, large_planes
from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import Points

LINEAR_QUERIES = 8  # clicks on one cloud that are snapped by looking at every point; beyond, a tree pays
STANDING_METRES = 0.1  # metres above a column's lowest point from which on something is taken to stand there


@dataclass(frozen=True, eq=False)
class Carried:
    """Labels brought over from the cloud before, and the clicks (with object numbers) that they stand for."""

    clicks: tuple[Click, ...]
    labels: np.ndarray


class Layouts:
    """A cloud's bytes in the layouts that are published, made once and kept as long as the cloud is.

    Every result is put into the same bytes: they are its messages' until the next one is made.
    """

    def __init__(self, points: Points) -> None:
        self.points = points

    @cached_property
    def labelled(self) -> clouds.CloudBuffer:
        """x y z [rgb] with room for the result."""
        points = self.points
        return clouds.base(points.xyz, points.rgb, clouds.LABELLED if points.rgb is None else clouds.LABELLED_RGB)

    @cached_property
    def cpe(self) -> clouds.CloudBuffer:
        """PointXYZCPE in the message's order, NaN where there was no return."""
        xyz = self.points.xyz
        if self.points.kept is not None:
            xyz = self.points.at_message_places(np.ascontiguousarray(xyz), np.nan)
        return clouds.base(xyz, None, clouds.XYZCPE)

    @cached_property
    def large_planes(self) -> tuple[Plane, ...]:
        """Ground, table top and walls."""
        return large_planes(self.points.xyz)

    @cached_property
    def plain(self) -> clouds.CloudBuffer:
        """x y z [rgb]."""
        return clouds.plain(self.points.xyz, self.points.rgb)


@dataclass(frozen=True, eq=False)
class Part:
    """One sensor's share of a cloud: its number, frame and time, its own points, and where they begin in the cloud."""

    sensor: int
    frame: str
    stamp: int
    points: Points
    begin: int

    @cached_property
    def layouts(self) -> Layouts:
        """Its bytes in the published layouts."""
        return Layouts(self.points)

    @property
    def rows(self) -> slice:
        """Its points' rows in the cloud."""
        return slice(self.begin, self.begin + len(self.points))


@dataclass(eq=False)
class CurrentCloud:
    """A cloud as it is segmented and shown, with where it is in the fixed frame and all that is derived from it."""

    points: Points
    frame: str
    stamp: int
    up: np.ndarray | None
    receive_ms: float = math.nan
    convert_ms: float = 0.0
    origin: np.ndarray | None = field(default_factory=lambda: np.zeros(3))  # where its sensor was; None: at many places
    fixed: str = ""  # name of the fixed frame
    to_fixed: np.ndarray = field(default_factory=lambda: np.eye(4))
    transforms: dict[str, np.ndarray] = field(default_factory=dict)  # from other frames, at this cloud's time
    places: dict[Click, Click] = field(default_factory=dict)  # where the session's clicks are in this cloud
    given: list[Click] = field(default_factory=list)  # those that were given on this cloud
    carried: Carried | None = None  # what a network that uses previous masks starts from in this cloud
    masks: tuple[np.ndarray, list[str]] | None = None  # the labels that were computed last, and whose they are
    found_up: np.ndarray | None = None  # as the library found it when it encoded the cloud
    parts: tuple[Part, ...] = ()  # of several sensors
    _asked: int = 0

    @property
    def upwards(self) -> np.ndarray | None:
        """Which way is up: as TF said, or as the library found."""
        return self.found_up if self.up is None else self.up

    def note(self, click: Click) -> None:
        """A click on this cloud."""
        self.places[click] = click
        self.given.append(click)

    def placed(self, clicks: Iterable[Click]) -> list[Click]:
        """A session's clicks at their points in this cloud, without those that are not in it."""
        return [self.places[click] for click in clicks if click in self.places]

    def object_of(self, rows: np.ndarray) -> str:
        """The id of the object that most of some points belong to, as far as they are many; "" for none."""
        if self.masks is None:
            return ""
        labels, ids = self.masks
        counts = np.bincount(labels[rows], minlength=len(ids) + 1)
        best = int(counts[1:].argmax()) + 1 if len(counts) > 1 else 0
        return ids[best - 1] if best and counts[best] * 5 > len(rows) else ""

    def from_earlier(self, earlier: CurrentCloud, point: np.ndarray) -> np.ndarray:
        """A point of an earlier cloud in this one, through the fixed frame."""
        return apply(np.linalg.inv(self.to_fixed) @ earlier.to_fixed, point)

    @cached_property
    def layouts(self) -> Layouts:
        """Its bytes in the published layouts."""
        return Layouts(self.points)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points.xyz)

    def nearest(self, place: np.ndarray) -> tuple[int, float]:
        """Index and distance of the point nearest to a place."""
        if len(self.points) == 0:
            return -1, math.inf
        self._asked += 1
        if self._asked > LINEAR_QUERIES:
            distance, index = self._tree.query(place)
            return int(index), float(distance)
        squares = np.zeros(len(self.points), np.float32)
        for axis in range(3):
            offset = self.points.xyz[:, axis] - np.float32(place[axis])
            offset *= offset  # in place: new memory costs more than the sums
            squares += offset
        index = int(squares.argmin())
        return index, math.sqrt(float(squares[index]))

    def column(self, place: np.ndarray, axis: np.ndarray, radius: float) -> np.ndarray:
        """Indices of the points that stand in a column: those near its axis and above its lowest point."""
        offset = self.points.xyz - place.astype(np.float32)
        height = offset @ axis.astype(np.float32)
        around = np.linalg.norm(offset - height[:, None] * axis.astype(np.float32), axis=1)
        inside = np.flatnonzero(around <= radius)
        if len(inside) == 0:
            return inside
        standing = inside[height[inside] > height[inside].min() + STANDING_METRES]
        chosen = standing if len(standing) else inside
        return chosen[np.argsort(around[chosen], kind="stable")]
