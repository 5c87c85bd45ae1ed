"""How well objects are followed through live clouds: made sequences with labels, three objects clicked on in each.

Scenes are a table top, a room and a street, seen by a sensor that moves; in each, objects stand, move, vanish, return,
are hidden for a while, or touch. `model` is a model's name (empty: the default one), `truth` for masks that are always
right, which measures the association alone, or `carried` for masks that are only carried on from the first, right ones.

`switches_percent`: object-frames in which most of an object's mask lies on another thing. `lost_percent`: vanished
objects that are LOST within a second. `neighbours_moved`: frames in which an object that stands still has a tenth of
its mask on another thing after its neighbour has vanished. `found_percent`: objects that were hidden or away and are
SEEN within a second of their return. `iou_<scene>`: mean over the frames in which an object is to be seen.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import numpy as np

from iseg3d_ros.benchmarks._tracking_scenes import KINDS, RATE, SCENES, Sequence, Sweep, sweeps
from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.cloud_source import CloudSource, SourceSettings
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Predictor

SECOND = 1_000_000_000
SEEN = 20  # points from which on an object counts as seen
PATIENCE = 1.0  # seconds within which the loss and the return of an object are to be noticed
TOUCHED = 0.1  # share of a mask on another thing, from which on it was dragged there


@dataclass
class Tally:
    """What is counted over all sequences."""

    frames: int = 0
    switches: int = 0
    vanished: list[bool] = field(default_factory=list)
    neighbours: int = 0
    moved: int = 0
    returned: list[bool] = field(default_factory=list)
    overlaps: dict[str, list[float]] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)


def run(
    model: str = "", scenes: str = "", kinds: str = "", frames: int = 60, seeds: int = 2, first: int = 0
) -> dict[str, float]:
    """Figures; `scenes` and `kinds` name some of them, separated by commas; seeds from `first` on."""
    tally = Tally()
    for scene in chosen(scenes, tuple(SCENES)):
        for kind in chosen(kinds, KINDS):
            for seed in range(first, first + seeds):
                sequence = SCENES[scene](seed, kind)
                follow(sequence, frames, seed, model, tally)
                print(f"{sequence.name} {seed}: {figures(tally)}")
    return figures(tally)


def chosen(names: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The ones that are named, or all."""
    wanted = tuple(name.strip() for name in names.split(",") if name.strip()) or known
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"there is no {unknown[0]!r}: choose from {', '.join(known)}")
    return wanted


def follow(sequence: Sequence, frames: int, seed: int, model: str, tally: Tally) -> None:
    """One sequence from the operator's clicks on its first cloud to its end."""
    targets = [index for index, thing in enumerate(sequence.things, 1) if thing.target]
    masks = Masks(model, sequence.voxel)
    source = CloudSource(SourceSettings(mode="live"))
    clicks: list[Click] = []
    states = States(sequence, targets)
    for scan in sweeps(sequence, frames, seed):
        cloud = placed(scan)
        ids = [f"thing {target}" for target in targets] if clicks else []
        start = time.perf_counter()
        source.on_cloud(cloud, scan.time, clicks, ids)
        if not clicks:
            targets[:] = [target for target in targets if (scan.truth == target).sum() >= SEEN]
            clicks = [click_on(scan, target) for target in targets]
            ids = [click.id for click in clicks]
            for click in clicks:
                cloud.note(click)
        labels = masks.of(cloud, clicks, ids, scan, targets)
        tally.milliseconds.append(1e3 * (time.perf_counter() - start))
        cloud.masks = (labels, ids)
        if model == "truth" and cloud.carried is not None:
            labels = cloud.carried.labels  # what the association makes of masks that were right
        states.count(scan, labels, {ids.index(name) for name in source.lost}, tally)
    states.finish(tally)


class Masks:
    """Labels for a cloud's clicks, by a model or as the truth has them."""

    def __init__(self, model: str, voxel: float) -> None:
        self.kind = model
        self._model = (
            None if model in ("truth", "carried") else SceneModel(Predictor.load(model or None, voxel_size=voxel))
        )

    def of(
        self, cloud: CurrentCloud, clicks: list[Click], ids: list[str], scan: Sweep, targets: list[int]
    ) -> np.ndarray:
        """Label k for the k-th target."""
        if self._model is not None:
            return self._model.segment_cloud(cloud, cloud.placed(clicks), ids).labels
        if self.kind == "carried" and cloud.carried is not None:
            return cloud.carried.labels
        labels = np.zeros(len(scan.truth), np.int32)
        for label, target in enumerate(targets, 1):
            labels[scan.truth == target] = label
        return labels


class States:
    """What is remembered of a sequence's objects while it is counted."""

    def __init__(self, sequence: Sequence, targets: list[int]) -> None:
        self.sequence, self.targets = sequence, targets
        self._noticed: dict[int, bool] = {}  # vanished objects, and whether that was noticed in time
        self._hidden: dict[int, float] = {}  # objects that could not be seen, and since when they can be seen again
        self._returned: dict[int, bool] = {}

    def count(self, scan: Sweep, labels: np.ndarray, lost: set[int], tally: Tally) -> None:
        """One cloud's labels; `lost` are positions in `targets`."""
        things = self.sequence.things
        absent = [index for index in self.targets if not things[index - 1].there(scan.time)]
        for position, index in enumerate(self.targets):
            own, mask = scan.truth == index, labels == position + 1
            if index in absent:
                self._vanished(index, scan.time, position in lost)
            elif own.sum() >= SEEN:
                tally.frames += 1
                tally.overlaps.setdefault(self.sequence.name.split()[0], []).append(overlap(own, mask))
                self._back(index, scan.time, position in lost)
            else:
                self._hidden[index] = np.inf
            others = np.bincount(scan.truth[mask], minlength=len(things) + 1)
            elsewhere = others.sum() - others[0] - others[index]
            tally.switches += int(index not in absent and elsewhere > others[index])
            if absent and index not in absent and np.linalg.norm(things[index - 1].velocity) == 0:
                tally.neighbours += 1
                tally.moved += int(elsewhere > TOUCHED * max(int(mask.sum()), 1))

    def _vanished(self, index: int, now: float, lost: bool) -> None:
        since = self.sequence.things[index - 1].gone[0]
        if now - since <= PATIENCE:
            self._noticed[index] = self._noticed.get(index, False) or lost
        self._hidden[index] = np.inf

    def _back(self, index: int, now: float, lost: bool) -> None:
        if index not in self._hidden:
            return
        since = self._hidden[index] = min(self._hidden[index], now)
        if now - since <= PATIENCE:
            self._returned[index] = self._returned.get(index, False) or not lost

    def finish(self, tally: Tally) -> None:
        """The sequence is over."""
        tally.vanished += list(self._noticed.values())
        tally.returned += list(self._returned.values())


def placed(scan: Sweep) -> CurrentCloud:
    """A sweep as the node would place it in its fixed frame."""
    points = Points(scan.xyz, scan.rgb, None, None, (1, len(scan.xyz)))
    cloud = CurrentCloud(points, "sensor", int((scan.time + 1) * SECOND), None)
    cloud.fixed, cloud.to_fixed = "map", scan.pose
    return cloud


def click_on(scan: Sweep, target: int) -> Click:
    """The operator's click: the point nearest to the middle of what is seen of a thing."""
    xyz = scan.xyz[scan.truth == target]
    x, y, z = (float(value) for value in xyz[np.linalg.norm(xyz - xyz.mean(0), axis=1).argmin()])
    return Click((x, y, z), f"thing {target}")


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def figures(tally: Tally) -> dict[str, float]:
    """The tally as flat figures."""
    out = {
        "object_frames": float(tally.frames),
        "switches_percent": 100.0 * tally.switches / max(tally.frames, 1),
        "neighbour_frames": float(tally.neighbours),
        "neighbours_moved": float(tally.moved),
        "median_ms": statistics.median(tally.milliseconds),
        "frames_per_second": 1e3 / statistics.median(tally.milliseconds),
        "sensor_hz": RATE,
    }
    for name, noticed in (("lost_percent", tally.vanished), ("found_percent", tally.returned)):
        if noticed:
            out[name] = 100.0 * sum(noticed) / len(noticed)
    return out | {f"iou_{name}": statistics.mean(values) for name, values in tally.overlaps.items()}
