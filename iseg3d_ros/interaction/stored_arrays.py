"""Clouds and masks as named arrays, for the journal and for npz files alike; checked when they come back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import Stored
from iseg3d_ros.interaction.session_states import point_of
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.numpy_files import unpacked
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

Arrays = Mapping[str, np.ndarray]
Places = dict[Click, Click]  # where clicks that were given on earlier clouds are in this one
MASKS = "masks."  # before the names of a result's arrays, where they stand beside their cloud's


def cloud_arrays(cloud: CurrentCloud, places: Places) -> dict[str, np.ndarray]:
    """Points, frame and stamp, and where the clicks are."""
    points = cloud.points
    arrays: dict[str, np.ndarray] = {
        "xyz": points.xyz,
        "shape": np.array(points.shape),
        "frame": np.array(cloud.frame),
        "stamp": np.array(cloud.stamp),
        "clicks": np.array([[*click.point, *now.point] for click, now in places.items()], float).reshape(-1, 6),
        "ids": np.array([click.id for click in places], dtype=str),
    }
    optional = (("rgb", points.rgb), ("kept", points.kept), ("up", cloud.up))
    return arrays | {name: value for name, value in optional if value is not None}


def cloud_of(arrays: Arrays) -> tuple[CurrentCloud, Places]:
    """What `cloud_arrays` gave; ValueError where the arrays make no cloud that can be segmented."""
    missing = {"xyz", "shape", "frame", "stamp", "clicks", "ids"} - set(arrays)
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    height, width = (int(v) for v in arrays["shape"].reshape(2))
    points = Points(arrays["xyz"], arrays.get("rgb"), None, arrays.get("kept"), (height, width))
    _check_points(points)
    up = arrays.get("up")
    if up is not None and (up.shape != (3,) or not np.isfinite(up).all() or not np.any(up)):
        raise ValueError("its up direction is none")
    rows, ids = arrays["clicks"].reshape(-1, 6).tolist(), arrays["ids"].tolist()
    places = {
        Click(point_of(row[:3]), str(id)): Click(point_of(row[3:]), str(id))
        for row, id in zip(rows, ids, strict=True)
    }
    return CurrentCloud(points, str(arrays["frame"]), int(arrays["stamp"]), up), places


def _check_points(points: Points) -> None:
    xyz, rgb, kept, total = points.xyz, points.rgb, points.kept, points.total
    if xyz.ndim != 2 or xyz.shape[1] != 3 or xyz.dtype != np.float32 or not np.isfinite(xyz).all():
        raise ValueError("its points are not rows of three finite numbers")
    if rgb is not None and (rgb.shape != xyz.shape or rgb.dtype != np.uint8):
        raise ValueError("its colours are not those of its points")
    if kept is None and len(xyz) != total or min(points.shape) < 0:
        raise ValueError(f"it has {len(xyz)} points, and its shape is {points.shape}")
    if kept is not None and (
        kept.shape != (len(xyz),) or kept.dtype.kind not in "iu"
        or len(kept) and not 0 <= int(kept.min()) <= int(kept.max()) < total
    ):  # fmt: skip
        raise ValueError("its points' places in the message are none")


def mask_arrays(stored: Stored) -> dict[str, np.ndarray]:
    """A result, with the clicks and the model that it is of."""
    result, hint = stored.result, stored.result.suggested_click
    arrays: dict[str, np.ndarray] = {
        "hash": np.array(stored.hash),
        "clicks": np.array([[*point, label] for point, label in stored.key], float).reshape(-1, 4),
        "labels": result.labels,
        "probability": result.probability,
        "uncertainty": result.uncertainty,
    }
    suggested = None if hint is None else np.array([*hint.point, hint.object], float)
    optional = (("up", stored.up), ("variance", result.variance), ("suggested", suggested))
    return arrays | {name: value for name, value in optional if value is not None}


def masks_of(arrays: Arrays, points: int) -> Stored:
    """What `mask_arrays` gave; ValueError or KeyError where they are no masks of a cloud of so many points."""
    found = {name: arrays[name] for name in ("labels", "probability", "uncertainty")}
    if (variance := arrays.get("variance")) is not None:
        found["variance"] = variance
    for name, values in found.items():
        kind = "i" if name == "labels" else "f"
        if values.shape != (points,) or values.dtype.kind != kind or not np.isfinite(values).all():
            raise ValueError(f"the masks' {name} are not those of {points} points")
    suggested = arrays.get("suggested")
    hint = None if suggested is None else _numbered(suggested.tolist())
    labels, probability, uncertainty = found["labels"], found["probability"], found["uncertainty"]
    result = Segmentation(labels, probability, uncertainty, variance, hint, int(labels.max(initial=0)), 0.0)
    clicks = [_numbered(row) for row in arrays["clicks"].tolist()]
    key = tuple((click.point, int(click.object)) for click in clicks)
    return Stored(key, result, str(arrays["hash"]), arrays.get("up"))


def _numbered(row: list[float]) -> Click:
    return Click(point_of(row[:3]), int(row[3]))


def write_arrays(target: Path, arrays: Arrays) -> None:
    """An npz file."""
    with replacing(target) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_arrays(source: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """An npz file of numbers and words, nothing of it unpickled."""
    return unpacked(Path(source), "fiubU")
