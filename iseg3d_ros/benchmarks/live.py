"""How soon a live cloud has its labels: three objects that are followed through 130,000 points a cloud, stage by stage.

A table top and a room as a depth camera sees them, a street as a LiDAR does; the sensor moves. `cpu_ms_STAGE_SCENE`
is what all threads together compute for a cloud (medians; other programs do not count), `ms_SCENE` the wall clock from
message to labelled bytes, `hz_SCENE` what follows from it, `iou_SCENE` the mean over objects and clouds. `margin=0`
encodes whole clouds, as the node does with `focus_margin: 0`. `threads` of the network; 0: as many as PyTorch chooses.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import torch

from iseg3d_ros.benchmarks._tracking_scenes import SCENES, Sequence, Sweep, camera, lidar, sweeps
from iseg3d_ros.benchmarks.tracking import SEEN, chosen, click_on, overlap, placed
from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.cloud_source import CloudSource, SourceSettings
from iseg3d_ros.interaction.focus import Focus
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.io.pointcloud2_read import read_points
from iseg3d_ros.predictor import Predictor, Segmentation
from iseg3d_ros.preprocessing.scene import Scene

SENSORS = {"table": camera(416, 312), "room": camera(416, 312, noise=0.003), "street": lidar(64, 2200)}
WARM = 2  # clouds that are not counted
Result = TypeVar("Result")


@dataclass
class Stages:
    """Milliseconds of the whole process, by stage, of every cloud."""

    times: dict[str, list[float]]

    def timed(self, stage: str, work: Callable[[], Result]) -> Result:
        """The work's result; what it took is noted."""
        start = time.process_time()
        result = work()
        self.times[stage].append(1e3 * (time.process_time() - start))
        return result


class Timed(SceneModel):
    """Tells encoding from decoding."""

    def __init__(self, predictor: Predictor, stages: Stages) -> None:
        super().__init__(predictor)
        self._stages = stages

    def encode(self, *what: Any) -> Scene:
        """As it is, timed."""
        return self._stages.timed("encode", lambda: SceneModel.encode(self, *what))

    def segment(self, *what: Any) -> Segmentation:
        """As it is, timed."""
        return self._stages.timed("decode", lambda: SceneModel.segment(self, *what))


def run(
    model: str = "", scenes: str = "", frames: int = 20, margin: float = Focus.margin, threads: int = 0, seed: int = 0
) -> dict[str, float]:
    """Figures; `scenes` names some of them, separated by commas."""
    if threads > 0:
        torch.set_num_threads(threads)
    predictor = Predictor.load(model or None)
    figures: dict[str, float] = {"threads": float(torch.get_num_threads())}
    for name in chosen(scenes, tuple(SENSORS)):
        sequence = replace(SCENES[name](seed, "standing"), sensor=SENSORS[name])
        figures |= followed(sequence, name, frames, predictor, Focus(margin) if margin > 0 else None, seed)
    return figures


def followed(
    sequence: Sequence, name: str, frames: int, predictor: Predictor, focus: Focus | None, seed: int
) -> dict[str, float]:
    """One sequence's figures."""
    stages, source = Stages(defaultdict(list)), CloudSource(SourceSettings(mode="live"))
    model = Timed(predictor, stages)
    model.focus = focus
    clicks: list[Click] = []
    targets: list[int] = []
    walls, overlaps = [], []
    for scan in sweeps(sequence, frames + WARM + 1, seed):
        message = message_of(scan)
        start = time.perf_counter()
        points = stages.timed("convert", lambda: read_points(message))  # noqa: B023
        cloud = replace(placed(scan), points=points)
        ids = [click.id for click in clicks]
        stages.timed("track", lambda: source.on_cloud(cloud, scan.time, clicks, ids))  # noqa: B023
        if not clicks:
            things = enumerate(sequence.things, 1)
            targets = [k for k, thing in things if thing.target and (scan.truth == k).sum() >= SEEN]
            clicks = [click_on(scan, target) for target in targets]
            for click in clicks:
                cloud.note(click)
        ids = [click.id for click in clicks]
        result = model.segment_cloud(cloud, cloud.placed(clicks), ids)
        cloud.masks = (result.labels, ids)
        stages.timed("publish", lambda: bytes(labelled(cloud, result).data))  # noqa: B023
        walls.append(1e3 * (time.perf_counter() - start))
        overlaps.append([overlap(scan.truth == target, result.labels == k) for k, target in enumerate(targets, 1)])
    cpu = {f"cpu_ms_{stage}_{name}": statistics.median(times[WARM:]) for stage, times in stages.times.items()}
    wall = statistics.median(walls[WARM:])
    figures = {f"objects_{name}": len(targets), f"points_{name}": float(len(points)), f"ms_{name}": wall}
    total = {f"hz_{name}": 1e3 / wall, f"cpu_ms_{name}": sum(cpu.values())}
    return figures | cpu | total | {f"iou_{name}": float(np.mean(overlaps[1:]))}


def labelled(cloud: Any, result: Segmentation) -> Any:
    """The bytes of ~/labelled."""
    return clouds.labelled(cloud.layouts.labelled, result.labels, result.probability, result.uncertainty)


def message_of(scan: Sweep) -> Any:
    """The sweep as a sensor's driver publishes it."""
    made = clouds.plain(scan.xyz, scan.rgb)
    count, step, names = len(scan.xyz), made.points.itemsize, ("x", "y", "z", "rgb")
    fields = [SimpleNamespace(name=name, offset=4 * k, datatype=7, count=1) for k, name in enumerate(names)]
    return SimpleNamespace(
        height=1, width=count, fields=fields, is_bigendian=False, point_step=step, row_step=step * count,
        data=np.frombuffer(made.data, np.uint8),
    )  # fmt: skip
