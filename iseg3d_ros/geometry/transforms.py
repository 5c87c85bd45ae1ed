"""A tree of timed transforms in numpy, for machines without tf2; and the few formulas that go with it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from iseg3d_ros import limits

MENTIONED = 20  # frames in a sentence
SECOND = 1_000_000_000
ANEW = SECOND  # a pose that much older than the newest one comes from a recording that has begun again


@dataclass
class Edge:
    """The poses of one frame in its parent, in order of time (nanoseconds); a static one holds at all times."""

    parent: str
    static: bool
    times: list[int] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)  # x y z, quaternion x y z w

    def insert(self, time: int, pose: np.ndarray, keep: int) -> None:
        """Adds a pose at its place in time and forgets those that are `keep` nanoseconds older than the newest.

        Where time has jumped back, everything before is forgotten: it belongs to another run.
        """
        if self.static:
            self.times, self.poses = [0], [pose]
            return
        if self.times and time < self.times[-1] - ANEW:
            self.times, self.poses = [], []
        place = bisect_left(self.times, time)
        self.times.insert(place, time)
        self.poses.insert(place, pose)
        old = bisect_left(self.times, self.times[-1] - keep)
        del self.times[:old], self.poses[:old]

    def at(self, time: int) -> np.ndarray:
        """The 4x4 pose at a time between the oldest and the newest known (0: the newest)."""
        if self.static or time == 0:
            return matrix(self.poses[-1])
        if time < self.times[0]:
            raise LookupError(f"is known from {_seconds(self.times[0])} on only, not at {_seconds(time)}")
        if time > self.times[-1]:
            raise LookupError(f"is known up to {_seconds(self.times[-1])} only, not yet at {_seconds(time)}")
        after = bisect_left(self.times, time)
        if self.times[after] == time:
            return matrix(self.poses[after])
        part = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return matrix(interpolated(self.poses[after - 1], self.poses[after], part))


class TransformTree:
    """Frames, each with its pose in a parent over the last seconds; not thread-safe."""

    def __init__(self, keep_seconds: float = 10.0) -> None:
        self._edges: dict[str, Edge] = {}
        self._keep = int(keep_seconds * SECOND)

    @property
    def frames(self) -> set[str]:
        """Every frame that was ever named."""
        return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def insert(self, parent: str, child: str, time: int, pose: Sequence[float], static: bool = False) -> None:
        """Learns the pose (x y z qx qy qz qw) of `child` in `parent` at `time`; what is no pose is left out."""
        values = np.asarray(pose, np.float64)
        norm = float(np.linalg.norm(values[3:]))
        if not np.isfinite(values).all() or norm < 1e-6 or parent == child or not child:
            return
        values[3:] /= norm
        edge = self._edges.get(child)
        if edge is None and len(self._edges) >= limits.TRANSFORM_FRAMES:
            return
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = Edge(parent, static)
        edge.insert(time, values, self._keep)

    def lookup(self, target: str, source: str, time: int = 0) -> np.ndarray:
        """4x4 transform that takes coordinates in `source` to `target`; LookupError says in words why there is none."""
        if target == source:
            return np.eye(4)
        for name in (source, target):
            if name not in self.frames:
                known = ", ".join(sorted(self.frames)[:MENTIONED]) or "none"
                raise LookupError(f"no transform names the frame '{name}' (known frames: {known})")
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise LookupError(f"the frames '{source}' and '{target}' are not connected by transforms")
        return np.linalg.inv(self._to(common, down, time)) @ self._to(common, up, time)

    def newest(self, target: str, source: str) -> tuple[np.ndarray, int]:
        """The transform at the newest time at which all of it is known, and that time (0: it holds always)."""
        if target == source:
            return np.eye(4), 0
        self.lookup(target, source)  # says in words why there is none
        up, down = self._chain(source), self._chain(target)
        common = next(frame for frame in up if frame in down)
        way = [*up[: up.index(common)], *down[: down.index(common)]]
        time = min((self._edges[frame].times[-1] for frame in way if not self._edges[frame].static), default=0)
        return self.lookup(target, source, time), time

    def root(self, frame: str) -> str:
        """The frame that stands above a frame and all others that it is connected with."""
        return self._chain(frame)[-1]

    def _chain(self, frame: str) -> list[str]:
        """The frame, its parent, and so on up to the root (a loop ends where it closes)."""
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None and edge.parent not in chain:
            chain.append(edge.parent)
        return chain

    def _to(self, ancestor: str, chain: list[str], time: int) -> np.ndarray:
        result = np.eye(4)
        for frame in chain[: chain.index(ancestor)]:
            try:
                result = self._edges[frame].at(time) @ result
            except LookupError as error:
                raise LookupError(f"the transform of '{frame}' in '{self._edges[frame].parent}' {error}") from None
        return result


def matrix(pose: np.ndarray) -> np.ndarray:
    """4x4 of x y z and a unit quaternion x y z w."""
    x, y, z, w = pose[3:]
    out = np.eye(4)
    out[:3, 3] = pose[:3]
    out[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return out


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """x y z w of a rotation matrix: the eigenvector of Bar-Itzhack's symmetric matrix, stable for every rotation."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    vector = np.linalg.eigh(k)[1][:, -1]  # eigh reads the lower triangle
    return vector if vector[3] >= 0 else -vector


def interpolated(first: np.ndarray, second: np.ndarray, part: float) -> np.ndarray:
    """Between two poses: straight for the place, along the great circle for the quaternion."""
    a, b = first[3:], second[3:]
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    if cosine > 0.9995:
        turned = a + part * (b - a)
    else:
        angle = np.arccos(cosine)
        turned = (np.sin((1 - part) * angle) * a + np.sin(part * angle) * b) / np.sin(angle)
    return np.concatenate([first[:3] + part * (second[:3] - first[:3]), turned / np.linalg.norm(turned)])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) or one point (3,) under a 4x4 transform."""
    return points @ transform[:3, :3].T + transform[:3, 3]


def _seconds(time: int) -> str:
    return f"{time / SECOND:.3f} s"
