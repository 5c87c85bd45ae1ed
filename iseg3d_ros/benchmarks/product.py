"""How soon who clicks has an answer: the default model through the library, beside AGILE3D at full size.

`first_click_ms` is one encoding with one click, `first_mask_seconds` one with a click on each of five objects,
`further_click_ms` the median of the clicks that follow, points, voxels and full-resolution labels included. Their
`_ratio` is AGILE3D's time (paper size, untrained) divided by the model's, in one interleaved run.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.demo.scenes import open_scene
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.predictor import Predictor

OBJECTS = 5
FURTHER = 5  # clicks after the first ones
LEAST_POINTS = 100  # of an object that is clicked


def run(scene: str = "tabletop", model: str = "", repeats: int = 3) -> dict[str, float]:
    """Figures on one of the demo's scenes or a cloud file; `model` is the default one where it is empty."""
    cloud = open_scene(scene).cloud
    full_size = Predictor(build(settings_of("agile3d", "paper")).eval())
    predictors = {"": Predictor.load(model or None), "agile3d_": full_size}
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in predictors}
    for _ in range(repeats + 1):  # by turns, so that a busy moment hits both; the first round warms up
        for name, predictor in predictors.items():
            rows[name].append(answered(predictor, cloud))
    figures = {"points": float(len(cloud.xyz))}
    for name, measured in rows.items():
        one, first, further = (statistics.median(row[k] for row in measured[1:]) for k in range(3))
        figures |= {f"{name}first_click_ms": 1e3 * one, f"{name}first_mask_seconds": first}
        figures[f"{name}further_click_ms"] = 1e3 * further
    for what in ("first_click_ms", "first_mask_seconds", "further_click_ms"):
        figures[f"{what.rpartition('_')[0]}_ratio"] = figures[f"agile3d_{what}"] / figures[what]
    return figures


def answered(predictor: Predictor, cloud: Cloud) -> tuple[float, float, float]:
    """Seconds until the first click's mask, until those of five objects, and of a further click."""
    places = _places(cloud, np.random.default_rng(0))
    clicks = [Click(tuple(cloud.xyz[row].tolist()), 1 + k % OBJECTS) for k, row in enumerate(places)]
    start = time.perf_counter()
    predictor.segment(predictor.encode(cloud.xyz, cloud.rgb), clicks[:1])
    one = time.perf_counter() - start
    seconds, start = [], time.perf_counter()
    encoded = predictor.encode(cloud.xyz, cloud.rgb)
    for count in range(OBJECTS, len(clicks) + 1):
        predictor.segment(encoded, clicks[:count])
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
    return one, seconds[0], statistics.median(seconds[1:])


def _places(cloud: Cloud, rng: np.random.Generator) -> NDArray[np.int64]:
    """Points of five objects in turn, where an operator clicks; anywhere in a cloud without labels."""
    labels = np.zeros(len(cloud.xyz), int) if cloud.labels is None else np.asarray(cloud.labels)
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    ids = ids[counts >= LEAST_POINTS]
    if len(ids) < OBJECTS:
        return rng.choice(len(labels), OBJECTS + FURTHER, replace=False)
    chosen = rng.choice(ids, OBJECTS, replace=False)
    return np.array([rng.choice(np.flatnonzero(labels == chosen[k % OBJECTS])) for k in range(OBJECTS + FURTHER)])
