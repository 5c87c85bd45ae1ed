"""What the operator saves under a name: the session with its cloud, or the labelled cloud."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.stored_arrays import Places, cloud_arrays, write_arrays
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

EXPORTS = ("ply", "pcd", "npz", "label")


def save_work(target: Path, session: InteractiveSession, cloud: CurrentCloud, result: Segmentation) -> str:
    """The session where the file is JSON, else the labelled cloud; the file's path."""
    if target.suffix == ".json":
        save_session(target, session, cloud, cloud.places)
    else:
        export(target, cloud.points, result)
    return str(target)


def save_session(target: Path, session: InteractiveSession, cloud: CurrentCloud, places: Places) -> None:
    """A JSON file with objects, clicks and history, and an npz file of the same name with the cloud."""
    write_arrays(target.with_suffix(".npz"), cloud_arrays(cloud, places))
    session.save(target)


def place_to_save(folder: Path, name: str, kind: str, called: str = "folder") -> Path:
    """The file for a name and a kind, "session" or one of EXPORTS, with the folders that lead to it."""
    if kind not in ("session", *EXPORTS):
        raise ValueError(f"The format {kind!r} is none of session, {', '.join(EXPORTS)}.")
    target = inside(folder, name, "json" if kind == "session" else kind, called)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def inside(folder: Path, name: str, suffix: str, called: str = "folder") -> Path:
    """A file of that name in the folder, or below it; ValueError where the name leads out of it."""
    name = name.strip() or time.strftime("%Y-%m-%d_%H-%M-%S")
    if "\0" in name:
        raise ValueError("A file's name holds no zero byte.")
    folder = folder.resolve()
    target = (folder / name).resolve()
    if target.suffix != f".{suffix}":
        target = target.with_name(f"{target.name}.{suffix}")
    if folder not in target.parents:
        raise ValueError(f"{name!r} lies outside the {called} {folder}: give a name inside it.")
    return target


def export(target: Path, points: Points, result: Segmentation) -> None:
    """The labelled cloud; a .label file has a value for every point of the message, as its reader expects."""
    if target.suffix == ".label":
        labels = points.at_message_places(result.labels, 0)
        write_cloud(target, Cloud(np.zeros((len(labels), 3), np.float32), None, None, labels))
        return
    cloud = Cloud(np.ascontiguousarray(points.xyz), points.rgb, None, result.labels)
    fields = {"probability": result.probability, "uncertainty": result.uncertainty, "variance": result.variance}
    write_cloud(target, cloud, {name: values for name, values in fields.items() if values is not None})
