"""A predictor over one cloud at a time: encoded when first needed, every result computed once and kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import Carried, CurrentCloud
from iseg3d_ros.interaction.focus import Focus, Region
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene

UP_NANOSECONDS = 2 * 10**9  # for so long the up direction that was found in a live cloud holds for the next ones
Key = tuple[tuple[tuple[float, float, float], int], ...]


@dataclass(frozen=True, eq=False)
class Stored:
    """A result out of a file: it stands until the clicks change, also where the weights have changed since."""

    key: Key
    result: Segmentation
    hash: str  # of the model that computed it
    up: np.ndarray | None = None  # the up direction that was found when the cloud was encoded


@dataclass(frozen=True)
class UpMemory:
    """Which way is up in the fixed frame, as it was found in a cloud."""

    fixed: str = ""
    up: np.ndarray | None = None
    stamp: int = 0

    def of(self, cloud: CurrentCloud) -> np.ndarray | None:
        """The same in a later cloud; None: to be found anew."""
        if self.up is None or cloud.fixed != self.fixed or not 0 <= cloud.stamp - self.stamp < UP_NANOSECONDS:
            return None
        there: np.ndarray = cloud.to_fixed[:3, :3].T @ self.up
        return there


class ResultCache:
    """The results that were used last, up to a number of bytes."""

    def __init__(self, limit: int = limits.RESULTS) -> None:
        self._limit, self._bytes = limit, 0
        self._results: OrderedDict[Key, Segmentation] = OrderedDict()

    def get(self, key: Key) -> Segmentation | None:
        """The result for these clicks, if it is still here."""
        if key in self._results:
            self._results.move_to_end(key)
        return self._results.get(key)

    def put(self, key: Key, result: Segmentation) -> None:
        """Keep a result; those that were not used for longest go, never the newest one."""
        self._bytes += _size(result) - (_size(self._results[key]) if key in self._results else 0)
        self._results[key] = result
        while self._bytes > self._limit and len(self._results) > 1:
            self._bytes -= _size(self._results.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything."""
        self._results.clear()
        self._bytes = 0


class SceneModel:
    """Results are a function of the cloud, the model and the clicks in order, and cached under that key alone."""

    def __init__(self, predictor: Predictor, notify: Callable[[str], object] = lambda _: None) -> None:
        """`notify` is told what the library did to a cloud besides segmenting it."""
        self.predictor, self._notify = predictor, notify
        self.scene: Scene | None = None
        self.encode_ms = self.segment_ms = 0.0
        self.focus: Focus | None = None  # for live clouds: what of them is encoded; None: all
        self._region: Region | None = None  # that was encoded of this cloud
        self._size = 0.0  # of the voxels of the last cloud
        self._up = UpMemory()
        self._cloud: CurrentCloud | None = None
        self.points: tuple[np.ndarray, np.ndarray | None] | None = None  # of the encoded cloud, and their colours
        self._cache = ResultCache()
        self._stored: Stored | None = None
        self.latest: Stored | None = None  # the newest result, as it is stored

    @property
    def name(self) -> str:
        """The predictor's."""
        return self.predictor.name

    def encode(
        self,
        xyz: np.ndarray,
        rgb: np.ndarray | None = None,
        up: Sequence[float] | None = None,
        region: Region | None = None,
    ) -> Scene:
        """Work on another cloud: it is encoded now, and what was computed for the last one is forgotten."""
        self.scene = self.points = self._cloud = self._stored = self.latest = None  # the old one's memory first
        self._cache.clear()
        start = time.perf_counter()
        only = () if region is None else (region.holds(xyz),)
        self.scene, self._region = self.predictor.encode(xyz, rgb, up, *only), region
        self.points = xyz, rgb
        if self.focus is not None:
            self._size = self.scene.voxels.size
        self.encode_ms = 1e3 * (time.perf_counter() - start)
        return self.scene

    def prepare(self, cloud: CurrentCloud) -> None:
        """Encode a cloud now, not at its first click."""
        if cloud is not self._cloud or self.scene is None:
            self._encode_cloud(cloud)

    def segment(self, clicks: Sequence[Click], carried: Carried | None = None) -> Segmentation:
        """Labels for clicks with object numbers; with a network that uses previous masks, along all their prefixes."""
        if self.scene is None:
            raise RuntimeError("There is no cloud to segment yet; call set_cloud first.")
        found = self.cached(clicks)
        if found is not None:
            return found
        self._stored = self.latest = None
        start = time.perf_counter()
        result = self._compute(self.scene, tuple(clicks), carried)
        self.segment_ms = 1e3 * (time.perf_counter() - start)
        self.latest = Stored(key_of(clicks), result, self.predictor.hash, self.scene.rotation[2])
        return result

    def cached(self, clicks: Sequence[Click]) -> Segmentation | None:
        """The result for these clicks where it was computed or stored."""
        key = key_of(clicks)
        if self._stored is not None and self._stored.key == key:
            return self._stored.result
        if (found := self._cache.get(key)) is not None and (self.latest is None or self.latest.result is not found):
            up = None if self.scene is None else self.scene.rotation[2]
            self.latest = Stored(key, found, self.predictor.hash, up)
        return found

    def latest_of(self, cloud: CurrentCloud) -> Stored | None:
        """The newest result, where it is this cloud's."""
        return self.latest if cloud is self._cloud else None

    def scene_of(self, cloud: CurrentCloud) -> Scene | None:
        """The cloud as it is encoded, where it is encoded whole."""
        return self.scene if cloud is self._cloud and self._region is None else None

    def store(self, stored: Stored, cloud: CurrentCloud) -> None:
        """A result out of a file for this cloud: it stands as long as the clicks are its own."""
        if cloud is not self._cloud:
            self._forget(cloud)
        self._stored = self.latest = stored
        cloud.found_up = stored.up

    def keep(self, results: int) -> None:
        """Keep so many bytes of results from now on, of those to come."""
        self._cache = ResultCache(results)

    def recompute(self) -> None:
        """Nothing stored or computed counts any more: the next result is computed anew."""
        self._stored = self.latest = None
        self._cache.clear()

    def segment_cloud(self, cloud: CurrentCloud, clicks: Sequence[Click], ids: Sequence[str]) -> Segmentation:
        """Labels 1..M in the order of `ids`; an object none of whose clicks is in this cloud gets no points."""
        numbered = number_clicks(clicks, ids)
        if len(cloud.points) == 0 or not any(click.object for click in numbered):
            return background(len(cloud.points))
        if cloud is not self._cloud:
            self._forget(cloud)
        found = self.cached(numbered)
        if found is not None:
            return found
        if self.scene is None:
            self._encode_cloud(cloud, self._looked_at(cloud, numbered))
        elif self._region is not None and not self._region.serves(numbered):
            self._encode_cloud(cloud)
        return self.segment(numbered, cloud.carried)

    def _looked_at(self, cloud: CurrentCloud, clicks: Sequence[Click]) -> Region | None:
        """What is encoded of a cloud into which masks were carried."""
        if self.focus is None or cloud.carried is None or not self._size:
            return None
        return self.focus.region(cloud.points.xyz, cloud.carried.labels, clicks, self._size)

    def _forget(self, cloud: CurrentCloud) -> None:
        self.scene = self.points = self._stored = self.latest = None
        self._cloud = cloud
        self._cache.clear()

    def _encode_cloud(self, cloud: CurrentCloud, region: Region | None = None) -> None:
        stored = self._stored
        up = cloud.up if region is None or cloud.up is not None else self._up.of(cloud)
        scene = self.encode(cloud.points.xyz, cloud.points.rgb, None if up is None else up.tolist(), region)
        self._cloud, self._stored, cloud.found_up = cloud, stored, scene.rotation[2]  # the rotation takes up to z
        if up is None:
            self._up = UpMemory(cloud.fixed, cloud.to_fixed[:3, :3] @ scene.rotation[2], cloud.stamp)
        for note in scene.notes:
            self._notify(note)

    def _compute(self, scene: Scene, clicks: tuple[Click, ...], carried: Carried | None) -> Segmentation:
        if not self.predictor.uses_previous:
            labels = None if carried is None else carried.labels
            return self._keep(clicks, self.predictor.segment(scene, clicks, carried=labels))
        count, previous = self._start(clicks, carried)
        for end in range(count, len(clicks) + 1):
            previous = self._keep(clicks[:end], self.predictor.segment(scene, clicks[:end], previous))
        assert isinstance(previous, Segmentation)  # there is at least one click, or it was cached
        return previous

    def _start(
        self, clicks: tuple[Click, ...], carried: Carried | None
    ) -> tuple[int, Segmentation | np.ndarray | None]:
        """How many clicks the next result of the chain is for, and the masks it starts from."""
        for end in range(len(clicks) - 1, 0, -1):
            if (found := self._cache.get(key_of(clicks[:end]))) is not None:
                return end + 1, found
        if carried is not None and carried.clicks and clicks[: len(carried.clicks)] == carried.clicks:
            return len(carried.clicks), carried.labels
        return min(1, len(clicks)), None

    def _keep(self, clicks: Sequence[Click], result: Segmentation) -> Segmentation:
        self._cache.put(key_of(clicks), result)
        return result


def key_of(clicks: Sequence[Click]) -> Key:
    """What a result depends on besides cloud and model: positions and object numbers, in order."""
    return tuple((click.point, int(click.object)) for click in clicks)


def number_clicks(clicks: Sequence[Click], ids: Sequence[str]) -> list[Click]:
    """Clicks with ids as clicks with numbers: k is the k-th of `ids`, 0 the background."""
    number = {name: index for index, name in enumerate(ids, 1)}
    return [Click(click.point, number.get(click.id, 0)) for click in clicks]


def background(points: int) -> Segmentation:
    """All background, for certain: nobody has clicked."""
    zeros = np.zeros(points, np.float32)
    return Segmentation(np.zeros(points, np.int32), np.ones(points, np.float32), zeros, None, None, 0, 0.0)


def _size(result: Segmentation) -> int:
    arrays = (result.labels, result.probability, result.uncertainty, result.variance)
    return sum(array.nbytes for array in arrays if array is not None)
