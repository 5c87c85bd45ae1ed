"""Which cloud is under segmentation, in each of the three modes, and where the session's clicks are in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.accumulator import Accumulator, Sweep
from iseg3d_ros.interaction.current_cloud import Carried, CurrentCloud
from iseg3d_ros.interaction.scene_model import number_clicks
from iseg3d_ros.interaction.tracking import Follower
from iseg3d_ros.io.pointcloud2_read import Points

REMEMBERED_CLOUDS = 4  # clouds of a live scene to which a click may refer
MERGE_SECONDS = 0.5  # between two views of an accumulating cloud

Finish = Callable[[Points, str, int], CurrentCloud]


@dataclass(frozen=True)
class SourceSettings:
    """How clouds are taken: `mode` is frozen, live or accumulated; rates in Hz (0: every cloud), times in seconds."""

    mode: str = "frozen"
    max_rate: float = 0.0
    lost_after: float = 0.3
    accumulate_seconds: float = 10.0
    accumulate_voxel: float = 0.02
    max_points: int = 1_000_000


@dataclass(frozen=True, eq=False)
class PlacedCloud:
    """A cloud with its transform to the fixed frame, and that frame's name."""

    cloud: CurrentCloud
    to_fixed: np.ndarray
    fixed: str


class CloudSource:
    """Fed with placed clouds; `held` says that clicks or a capture keep a frozen cloud from being replaced.

    `finish(points, frame, stamp)` makes the cloud to segment of accumulated points.
    """

    def __init__(self, settings: SourceSettings, finish: Finish | None = None) -> None:
        self.settings, self._finish = settings, finish or finish_plain
        self._placed: PlacedCloud | None = None
        self._recent: list[PlacedCloud] = []
        self._follower = Follower()
        self.places: dict[Click, Click] = {}  # where the clicks are in the current cloud
        self._masks: tuple[np.ndarray, list[str]] | None = None
        self._accumulator: Accumulator | None = None
        self._fixed = ""
        self._merged = self._taken = 0.0
        self.held = False
        self.carried: np.ndarray | None = None
        self.lost: frozenset[str] = frozenset()

    @property
    def shown(self) -> CurrentCloud | None:
        """The cloud under segmentation."""
        return self._placed.cloud if self._placed else None

    def wants(self, at: float) -> bool:
        """Whether a cloud that came at that time (seconds) is to be prepared at all."""
        if self.settings.mode == "live":
            return self.settings.max_rate <= 0 or at - self._taken >= 1.0 / self.settings.max_rate
        return self.settings.mode == "accumulated" and not self.held

    def on_cloud(self, placed: PlacedCloud, at: float, ids: Sequence[str]) -> bool:
        """A wanted cloud; whether another one is shown now."""
        if self.settings.mode == "live":
            self._taken = at
            self._replace(placed, ids)
            return True
        self._accumulate(placed)
        if at - self._merged < MERGE_SECONDS:
            return False
        self._merged = at
        self._replace(self._merge(), ids)
        return True

    def accumulates(self) -> bool:
        """Whether a capture would take what has been accumulated."""
        return self.settings.mode == "accumulated" and self._accumulator is not None and len(self._accumulator) > 0

    def capture(self, newest: PlacedCloud | None, ids: Sequence[str]) -> CurrentCloud:
        """Take the accumulated cloud, or the newest one, and hold it; earlier clicks are followed into it."""
        placed = self._merge() if self.accumulates() else newest
        if placed is None:
            raise RuntimeError("no cloud has arrived yet: check the topic of ~/points and its quality of service")
        self._replace(placed, ids)
        self.held = True
        return placed.cloud

    def bound(self, stamp: int) -> CurrentCloud | None:
        """The cloud that was shown at a time: the newest that is not younger; 0 means now."""
        if self.settings.mode == "live" and stamp > 0:
            for placed in reversed(self._recent):
                if placed.cloud.stamp <= stamp:
                    return placed.cloud
        return self.shown

    def into_shown(self, bound: CurrentCloud, point: np.ndarray) -> np.ndarray:
        """A point of an earlier cloud in the current one, through the fixed frame."""
        earlier = next((placed for placed in self._recent if placed.cloud is bound), None)
        if earlier is None or self._placed is None or earlier is self._placed:
            return point
        return apply(np.linalg.inv(self._placed.to_fixed) @ earlier.to_fixed, point)

    def note(self, click: Click) -> None:
        """A click on the current cloud: from now on it is followed."""
        assert self._placed is not None  # there is no click without a cloud
        self._follower.anchor(click, self._placed.to_fixed, np.array(click.point))
        self.places[click] = click

    def place_clicks(self, given: Sequence[Click], ids: Sequence[str]) -> list[Click]:
        """The session's clicks at their points in the current cloud, without those that are not in it.

        The first time after a cloud has changed, they are what its carried labels stand for.
        """
        clicks = [self.places[click] for click in given if click in self.places]
        if self.carried is not None and self._placed is not None:
            self._placed.cloud.carried = Carried(tuple(number_clicks(clicks, ids)), self.carried)
            self.carried = None
        return clicks

    def remember_masks(self, labels: np.ndarray, ids: Sequence[str]) -> None:
        """Note the masks of the current cloud; what is to be made of them is made when the next cloud comes."""
        self._masks = (labels, list(ids))

    def restore(self, cloud: CurrentCloud, places: dict[Click, Click]) -> None:
        """A saved cloud with its clicks."""
        self._placed = PlacedCloud(cloud, np.eye(4), cloud.frame)
        self._recent = [self._placed]
        self.held = True
        self.places = dict(places)
        for click, now in places.items():
            self._follower.anchor(click, np.eye(4), np.array(now.point))

    def _replace(self, placed: PlacedCloud, ids: Sequence[str]) -> None:
        if self._placed is not None and self._masks is not None and ids:
            self._follower.remember_masks(self._placed.cloud, self._placed.to_fixed, *self._masks)
        self._masks = None
        if ids:
            followed = self._follower.follow(placed.cloud, placed.to_fixed, ids, self.settings.lost_after)
            self.places, self.carried, self.lost = followed.places, followed.labels, followed.lost
        else:
            self._follower, self.places, self.carried, self.lost = Follower(), {}, None, frozenset()
        self._placed = placed
        self._recent = [*self._recent[1 - REMEMBERED_CLOUDS :], placed]

    def _accumulate(self, placed: PlacedCloud) -> None:
        wanted = self.settings
        if self._accumulator is None:
            self._accumulator = Accumulator(wanted.accumulate_seconds, wanted.accumulate_voxel, wanted.max_points)
        self._accumulator.seconds, self._accumulator.cell = wanted.accumulate_seconds, wanted.accumulate_voxel
        points = placed.cloud.points.moved(placed.to_fixed)
        self._fixed = placed.fixed
        self._accumulator.add(Sweep(placed.cloud.stamp, points.xyz, points.rgb))

    def _merge(self) -> PlacedCloud:
        start = time.perf_counter()
        assert self._accumulator is not None  # something was accumulated
        sweep = self._accumulator.merged()
        cloud = self._finish(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))), self._fixed, sweep.stamp)
        cloud.convert_ms = 1e3 * (time.perf_counter() - start)
        return PlacedCloud(cloud, np.eye(4), self._fixed)


def finish_plain(points: Points, frame: str, stamp: int) -> CurrentCloud:
    """The points as they are; which way is up is not known."""
    return CurrentCloud(points, frame, stamp, None)
