"""Which cloud is under segmentation, in each of the three modes, and where the work's clicks are in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.accumulator import Accumulator, Sweep
from iseg3d_ros.interaction.current_cloud import Shown
from iseg3d_ros.interaction.tracking import Follower, Mark
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.ros.cloud_preprocessing import Intake
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.subscriptions import Arrival

REMEMBERED = 4  # clouds of a live scene to which a click may refer
MERGES = 0.5  # seconds between two views of an accumulating cloud


@dataclass(frozen=True, eq=False)
class Placed:
    """A shown cloud with its transform to the fixed frame."""

    shown: Shown
    to_fixed: np.ndarray


class Stage:
    """Holds the cloud that is shown; `held` says that clicks or a capture keep a frozen one from being replaced."""

    def __init__(self, settings: Callable[[], SegmenterSettings], intake: Intake, warn: Callable[[str], None]) -> None:
        self._settings, self._intake, self._warn = settings, intake, warn
        self._placed: Placed | None = None
        self._recent: list[Placed] = []
        self._follower = Follower()
        self.places: dict[Mark, Mark] = {}  # where the clicks are in the shown cloud
        self._masks: tuple[np.ndarray, list[str]] | None = None
        self._accumulator: Accumulator | None = None
        self._merged = 0.0
        self._taken = 0.0
        self.held = False
        self.carried: np.ndarray | None = None
        self.lost: frozenset[str] = frozenset()

    @property
    def shown(self) -> Shown | None:
        """The cloud under segmentation."""
        return self._placed.shown if self._placed else None

    def arrive(self, arrival: Arrival, ids: Sequence[str]) -> bool:
        """A cloud has come; whether another one is shown now."""
        wanted = self._settings()
        if wanted.scene == "live":
            if wanted.max_rate > 0 and arrival.at - self._taken < 1.0 / wanted.max_rate:
                return False
            self._taken = arrival.at
            self._replace(self._intake.take(arrival.message), ids)
            return True
        if wanted.scene == "accumulated" and not self.held:
            self._accumulate(arrival)
            if arrival.at - self._merged < MERGES:
                return False
            self._merged = arrival.at
            self._replace(self._merge(), ids)
            return True
        return False

    def capture(self, newest: Arrival | None, ids: Sequence[str]) -> Shown:
        """Takes the newest cloud and holds it; what was clicked before is followed into it."""
        if self._settings().scene == "accumulated" and self._accumulator is not None and len(self._accumulator):
            shown = self._merge()
        elif newest is None:
            raise RuntimeError("no cloud has arrived yet: check the topic of ~/points and its quality of service")
        else:
            shown = self._intake.take(newest.message)
        self._replace(shown, ids)
        self.held = True
        return shown

    def bound(self, stamp: int) -> Shown | None:
        """The cloud that was shown at a time: the newest that is not younger; 0 means now."""
        if self._settings().scene == "live" and stamp > 0:
            for placed in reversed(self._recent):
                if placed.shown.stamp <= stamp:
                    return placed.shown
        return self.shown

    def into_shown(self, bound: Shown, point: np.ndarray) -> np.ndarray:
        """A point of an earlier cloud in the one shown now, through the fixed frame."""
        earlier = next((placed for placed in self._recent if placed.shown is bound), None)
        if earlier is None or self._placed is None or earlier is self._placed:
            return point
        return apply(np.linalg.inv(self._placed.to_fixed) @ earlier.to_fixed, point)

    def note(self, mark: Mark) -> None:
        """A click on the shown cloud: from now on it is followed."""
        assert self._placed is not None  # there is no click without a cloud
        self._follower.anchor(mark, self._placed.to_fixed, np.array(mark.point))
        self.places[mark] = mark

    def marks(self, given: Sequence[Mark]) -> list[Mark]:
        """The work's clicks, each at its point in the shown cloud; those that are not in it are left out."""
        return [self.places[mark] for mark in given if mark in self.places]

    def learn(self, labels: np.ndarray, ids: Sequence[str]) -> None:
        """Notes the masks of the shown cloud; what is to be made of them is made when the next cloud comes."""
        self._masks = (labels, list(ids))

    def restore(self, shown: Shown, places: dict[Mark, Mark]) -> None:
        """A saved cloud with its clicks."""
        self._placed = Placed(shown, np.eye(4))
        self._recent = [self._placed]
        self.held = True
        self.places = dict(places)
        for mark, now in places.items():
            self._follower.anchor(mark, np.eye(4), np.array(now.point))

    def _replace(self, shown: Shown, ids: Sequence[str]) -> None:
        to_fixed = self._to_fixed(shown)
        if self._placed is not None and self._masks is not None and ids:
            self._follower.learn(self._placed.shown, self._placed.to_fixed, *self._masks)
        self._masks = None
        if ids:
            followed = self._follower.follow(shown, to_fixed, ids, self._settings().lost_after)
            self.places, self.carried, self.lost = followed.places, followed.labels, followed.lost
        else:
            self._follower, self.places, self.carried, self.lost = Follower(), {}, None, frozenset()
        self._placed = Placed(shown, to_fixed)
        self._recent = [*self._recent[1 - REMEMBERED :], self._placed]

    def _to_fixed(self, shown: Shown) -> np.ndarray:
        """The transform to the fixed frame; a live cloud without it cannot be compared, a frozen one can do without."""
        wanted = self._settings()
        fixed = wanted.fixed_frame or wanted.target_frame or shown.frame
        if fixed == shown.frame:
            return np.eye(4)
        try:
            return self._intake.transform(fixed, shown.frame, shown.stamp)
        except LookupError as error:
            if wanted.scene != "frozen":
                raise
            self._warn(f"fixed_frame: {error}; the cloud is taken to be where the sensor was")
            return np.eye(4)

    def _accumulate(self, arrival: Arrival) -> None:
        wanted = self._settings()
        if self._accumulator is None:
            self._accumulator = Accumulator(wanted.accumulate_seconds, wanted.accumulate_voxel, wanted.max_points)
        self._accumulator.seconds, self._accumulator.cell = wanted.accumulate_seconds, wanted.accumulate_voxel
        shown = self._intake.take(arrival.message)
        points = shown.points.moved(self._to_fixed(shown))
        self._frame = wanted.fixed_frame or wanted.target_frame or shown.frame
        self._accumulator.add(Sweep(shown.stamp, points.xyz, points.rgb))

    def _merge(self) -> Shown:
        start = time.perf_counter()
        assert self._accumulator is not None
        sweep = self._accumulator.merged()
        points = self._intake.capped(Points(sweep.xyz, sweep.rgb, None, None, (1, len(sweep.xyz))))
        up = self._intake.up(self._frame, sweep.stamp)
        return Shown(points, self._frame, sweep.stamp, up, 1e3 * (time.perf_counter() - start))
