"""Objects of one scan found again in the next one of a sequence, as the labels that it begins with."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.label_import import GivenLabels, GivenObject
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, StateUpdate
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.tracking import Follower
from iseg3d_ros.io.pointcloud2_read import Points

LOST_AFTER = 0.3  # share of an object's points found again below which it is lost: as the node's parameter of that name


def carried(
    cloud: CloudUpdate, state: StateUpdate, labels: LabelsUpdate, new: Cloud, source: str
) -> GivenLabels | None:
    """What of the objects of a cloud is in a new one in the same frame; None where nothing is.

    Ids, names, classes and attributes stay, so that an object is the same one in the whole sequence.
    """
    shown = [item for item in state.objects if item.points]
    if not shown:
        return None
    ids = [item.id for item in state.objects]
    follower, here = Follower(), np.eye(4)
    follower.remember_masks(_current(cloud.xyz), here, labels.labels[_good(cloud.xyz)], ids)
    good = _good(new.xyz)
    found = follower.follow(_current(new.xyz), here, ids, LOST_AFTER)
    all_labels = np.zeros(len(new), np.int32)
    all_labels[good] = found.labels
    present = set(np.unique(found.labels).tolist())
    objects = tuple(
        GivenObject(item.index, item.name, item.category, item.id, item.attributes)
        for item in shown if item.index in present
    )  # fmt: skip
    return GivenLabels(all_labels, objects, source) if objects else None


def _good(xyz: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isfinite(xyz).all(axis=1))


def _current(xyz: np.ndarray) -> CurrentCloud:
    good = _good(xyz)
    return CurrentCloud(Points(np.ascontiguousarray(xyz[good]), None, None, None, (1, len(good))), "", 0, None)
