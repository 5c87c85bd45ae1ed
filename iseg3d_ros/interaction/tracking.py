"""One operator's objects in the next cloud: where every object and click is now, and which objects are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.transforms import SECOND, apply
from iseg3d_ros.geometry.visibility import seen_through
from iseg3d_ros.interaction.association import BACKGROUND, Track, around, carry, moving, remember
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.looks import blended

LOOKED_THROUGH = 0.4  # share of an object's place that is looked through, from which on it is not there
FARTHER = 3.0  # times as far as others, a lost object with known colours is looked for
BACKGROUND_METRES = 0.1  # metres from its place within which a background click finds background again, or rests


@dataclass(frozen=True)
class Followed:
    """Where each click is in the new cloud, labels carried over (indices into `ids`, from 1), who is lost, and of whom
    it cannot be said whether they are still there."""

    places: dict[Click, Click]
    labels: np.ndarray
    lost: frozenset[str]
    searching: frozenset[str] = frozenset()  # of the lost ones


@dataclass
class Follower:
    """Remembers objects and clicks in the fixed frame."""

    tracks: dict[str, Track] = field(default_factory=dict)
    anchors: dict[Click, np.ndarray] = field(default_factory=dict)
    ground: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))

    def anchor(self, click: Click, to_fixed: np.ndarray, point: np.ndarray) -> None:
        """Notes where a click is in the fixed frame."""
        self.anchors[click] = apply(to_fixed, np.asarray(point, np.float64))

    def remember_masks(self, shown: CurrentCloud, to_fixed: np.ndarray, labels: np.ndarray, ids: Sequence[str]) -> None:
        """Remembers what the masks of a cloud say; an object without points stays as it was remembered."""
        time = shown.stamp / SECOND
        for index, name in enumerate(ids, 1):
            mine = np.flatnonzero(labels == index)
            if len(mine):
                xyz = apply(to_fixed, shown.points.xyz[mine].astype(np.float64))
                before = self.tracks.get(name)
                seen = remember(xyz, time, None if shown.points.rgb is None else shown.points.rgb[mine])
                if before is not None:
                    seen = replace(seen, velocity=before.velocity, look=blended(before.look, seen.look))
                self.tracks[name] = seen
        for gone in set(self.tracks) - set(ids):
            del self.tracks[gone]
        rest = self._around_objects(shown, to_fixed, np.flatnonzero(labels == 0))
        self.ground = rest[:: max(1, len(rest) // BACKGROUND)]

    def _around_objects(self, shown: CurrentCloud, to_fixed: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """The background near an object: the rest of it cannot be mistaken for one."""
        xyz = apply_by_columns(to_fixed, shown.points.xyz[rest])
        near = np.zeros(len(xyz), bool)
        for track in self.tracks.values():
            near[around(xyz, track.points, 1.5 * reach_of(track))] = True
        return xyz[near]

    def follow(self, shown: CurrentCloud, to_fixed: np.ndarray, ids: Sequence[str], lost_after: float) -> Followed:
        """Where everything is in a new cloud. `ids` are the objects in order of their labels."""
        known = [name for name in ids if name in self.tracks]
        tracks = [self.tracks[name] for name in known]
        xyz = apply_by_columns(to_fixed, shown.points.xyz)
        time = shown.stamp / SECOND
        carried = carry(tracks, self.ground, xyz, time, [reach_of(track) for track in tracks], shown.points.rgb)
        lost = {name for name, share in zip(known, carried.share, strict=True) if share < lost_after}
        table = np.zeros(len(known) + 1, np.int32)
        for index, name in enumerate(known, 1):
            table[index] = 0 if name in lost else ids.index(name) + 1
        self._move(dict(zip(known, carried.motion, strict=True)), lost, time)
        labels = table[carried.labels]
        places = self._places(shown, to_fixed, labels, {name: ids.index(name) + 1 for name in ids}, lost)
        searching = frozenset(name for name in lost if self._may_be_there(name, shown, to_fixed))
        return Followed(places, labels, frozenset(lost), searching)

    def _may_be_there(self, name: str, shown: CurrentCloud, to_fixed: np.ndarray) -> bool:
        """Whether the sensor has not looked through the place where an object was: hidden, or out of view."""
        if shown.origin is None:
            return False
        track = self.tracks[name]
        points = apply(np.linalg.inv(to_fixed), track.points)
        return seen_through(shown.points.xyz, shown.origin, points, track.tolerance) < LOOKED_THROUGH

    def _move(self, motions: Mapping[str, np.ndarray], lost: set[str], time: float) -> None:
        for name, motion in motions.items():
            track = self.tracks[name]
            if name in lost:
                self.tracks[name] = replace(track, lost=True)
                continue
            self.tracks[name] = replace(moving(track, motion, time - track.time), lost=False)
            for click in self.anchors:
                if click.id == name:
                    self.anchors[click] = self.anchors[click] + motion

    def _places(
        self, shown: CurrentCloud, to_fixed: np.ndarray, labels: np.ndarray, indices: Mapping[str, int], lost: set[str]
    ) -> dict[Click, Click]:
        """Every click's nearest point on its object (or on the background) in the new cloud; without one it rests."""
        from_fixed = np.linalg.inv(to_fixed)
        trees: dict[int, tuple[np.ndarray, cKDTree]] = {}
        out: dict[Click, Click] = {}
        for click, anchor in self.anchors.items():
            index = indices.get(click.id, 0)
            if click.id in lost or (click.id and index == 0):
                continue
            if index not in trees:
                chosen = np.flatnonzero(labels == index)
                trees[index] = (chosen, cKDTree(shown.points.xyz[chosen]))
            chosen, tree = trees[index]
            distance, nearest = tree.query(apply(from_fixed, anchor))
            if np.isfinite(distance) and (click.id or distance <= BACKGROUND_METRES):
                x, y, z = (float(v) for v in shown.points.xyz[chosen[nearest]])
                out[click] = Click((x, y, z), click.id)
        return out


def apply_by_columns(transform: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """float64 points (N, 3) under a 4x4 transform, stored column by column: what boxes are compared with."""
    moved: np.ndarray = (transform[:3, :3] @ xyz.T.astype(np.float64) + transform[:3, 3:]).T
    return moved


def reach_of(track: Track) -> float:
    """How far an object may get from one cloud to the next beyond what its speed says: half its own size.

    One that is lost and whose colours are known may come back farther away.
    """
    reach = max(0.5 * float(np.linalg.norm(np.ptp(track.points, axis=0))), 3 * track.spacing, 0.02)
    return FARTHER * reach if track.lost and track.look is not None else reach
