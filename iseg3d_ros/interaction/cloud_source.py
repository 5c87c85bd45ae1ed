"""Which cloud is under segmentation, in each of the three modes, and where the session's clicks are in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.clicks import Click
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


class CloudSource:
    """Fed with clouds that know their place; `held`: clicks or a capture keep a frozen cloud from being replaced.

    `finish(points, frame, stamp)` makes the cloud to segment of accumulated points.
    """

    def __init__(self, settings: SourceSettings, finish: Finish | None = None) -> None:
        self.settings, self._finish = settings, finish or finish_plain
        self.shown: CurrentCloud | None = None  # the cloud under segmentation
        self._recent: list[CurrentCloud] = []
        self._follower = Follower()
        self._accumulator: Accumulator | None = None
        self._fixed = ""
        self._merged = self._taken = 0.0
        self.held = False
        self.lost: frozenset[str] = frozenset()
        self.searching: frozenset[str] = frozenset()  # those of them that may be there, hidden or out of view

    @property
    def places(self) -> dict[Click, Click]:
        """Where the clicks are in the current cloud."""
        return self.shown.places if self.shown else {}

    def wants(self, at: float) -> bool:
        """Whether a cloud that came at that time (seconds) is to be prepared at all."""
        if self.settings.mode == "live":
            return self.settings.max_rate <= 0 or at - self._taken >= 1.0 / self.settings.max_rate
        return self.settings.mode == "accumulated" and not self.held

    def on_cloud(self, cloud: CurrentCloud, at: float, clicks: Sequence[Click], ids: Sequence[str]) -> bool:
        """A wanted cloud, and the session's clicks and objects; whether another cloud is shown now."""
        if self.settings.mode == "live":
            self._taken = at
            self._replace(cloud, clicks, ids)
            return True
        self._accumulate(cloud)
        if at - self._merged < MERGE_SECONDS:
            return False
        self._merged = at
        self._replace(self._merge(), clicks, ids)
        return True

    def accumulates(self) -> bool:
        """Whether a capture would take what has been accumulated."""
        return self.settings.mode == "accumulated" and self._accumulator is not None and len(self._accumulator) > 0

    def candidate(self, newest: CurrentCloud | None) -> CurrentCloud:
        """The cloud that a capture would take: the accumulated one, or the newest."""
        cloud = self._merge() if self.accumulates() else newest
        if cloud is None:
            raise RuntimeError("no cloud has arrived yet: check the topic of ~/points and its quality of service")
        return cloud

    def take(self, cloud: CurrentCloud, clicks: Sequence[Click], ids: Sequence[str]) -> None:
        """Hold a cloud; earlier clicks are followed into it."""
        self._replace(cloud, clicks, ids)
        self.held = True

    def bound(self, stamp: int) -> CurrentCloud | None:
        """The cloud that was shown at a time: the newest that is not younger; 0 means now."""
        if self.settings.mode == "live" and stamp > 0:
            for cloud in reversed(self._recent):
                if cloud.stamp <= stamp:
                    return cloud
        return self.shown

    def restore(self, cloud: CurrentCloud, places: dict[Click, Click]) -> None:
        """A saved cloud with its clicks."""
        cloud.fixed, cloud.places, cloud.given = cloud.frame, dict(places), list(places)
        self.shown, self._recent = cloud, [cloud]
        self.held = True

    def _replace(self, cloud: CurrentCloud, clicks: Sequence[Click], ids: Sequence[str]) -> None:
        if ids:
            if self.shown is not None:
                self._remember(self.shown)
            followed = self._follower.follow(cloud, cloud.to_fixed, ids, self.settings.lost_after)
            cloud.places, self.lost, self.searching = followed.places, followed.lost, followed.searching
            cloud.carried = Carried(tuple(number_clicks(cloud.placed(clicks), ids)), followed.labels)
        else:
            self._follower, self.lost, self.searching = Follower(), frozenset(), frozenset()
        self.shown = cloud
        self._recent = [*self._recent[1 - REMEMBERED_CLOUDS :], cloud]

    def _remember(self, before: CurrentCloud) -> None:
        """What the cloud that is left says of clicks and objects."""
        for click in before.given:
            self._follower.anchor(click, before.to_fixed, np.array(before.places[click].point))
        if before.masks is not None:
            self._follower.remember_masks(before, before.to_fixed, *before.masks)

    def _accumulate(self, cloud: CurrentCloud) -> None:
        wanted = self.settings
        if self._accumulator is None:
            self._accumulator = Accumulator(wanted.accumulate_seconds, wanted.accumulate_voxel, wanted.max_points)
        self._accumulator.seconds, self._accumulator.cell = wanted.accumulate_seconds, wanted.accumulate_voxel
        points = cloud.points.moved(cloud.to_fixed)
        self._fixed = cloud.fixed
        self._accumulator.add(Sweep(cloud.stamp, points.xyz, points.rgb))

    def _merge(self) -> CurrentCloud:
        start = time.perf_counter()
        assert self._accumulator is not None  # something was accumulated
        sweep = self._accumulator.merged()
        cloud = self._finish(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))), self._fixed, sweep.stamp)
        cloud.convert_ms, cloud.fixed = 1e3 * (time.perf_counter() - start), self._fixed
        return cloud


def finish_plain(points: Points, frame: str, stamp: int) -> CurrentCloud:
    """The points as they are; which way is up is not known."""
    return CurrentCloud(points, frame, stamp, None)
