"""All that a planner needs of one object, as the service and the action answer it."""

from __future__ import annotations

from array import array
from typing import Any, Protocol

import numpy as np

from iseg3d_ros.interaction.safe_sets import sure_points
from iseg3d_ros.interaction.view import View
from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.ros import conversion as messages
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.point_cloud2 import full_cloud, header
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.stateless import StatelessSegmentation, view_in
from iseg3d_ros.ros.subscriptions import Inputs
from iseg3d_ros.ros.work import Work


class Active(Protocol):
    """What services and actions need of the node while it is active."""

    work: Work
    worker: Worker[Any]
    inputs: Inputs
    store: WorkStore
    intake: CloudPreprocessor
    stateless: StatelessSegmentation
    settings: SegmenterSettings


def answer_with_object(active: Active, wanted: str, target: str, answer: Any) -> View:
    """Fills the answer's fields; the view in the frame that was asked for. On the inference thread."""
    active.work.update_masks()
    if active.work.view is None:
        raise ValueError("nothing has been segmented yet: click on a cloud first")
    view = view_in(active.work.view, frame_name(target), active.intake)
    item = view.object(wanted or view.active)
    if item is None:
        raise ValueError(_unknown(wanted, view))
    if view.measures(item.index) is None:
        raise ValueError(f"the object '{item.id}' has no points in the present cloud")
    answer.cloud = full_cloud(view)
    answer.indices = messages.unsigned(view.indices(item.index))
    answer.sure_indices = messages.unsigned(sure_points(view, item, active.settings.grasp_probability))
    probabilities = view.result.probability[view.indices(item.index)]
    answer.probabilities = array("f", probabilities.astype(np.float32).tobytes())
    answer.object = messages.object_info(view, item)
    answer.pose.header, answer.pose.pose = header(view), answer.object.pose
    return view


def _unknown(wanted: str, view: View) -> str:
    known = ", ".join(item.id for item in view.objects) or "none yet"
    return f"there is no object '{wanted}': the objects are {known}" if wanted else "no object is active: give an id"


def sentence(error: BaseException) -> str:
    """An error as the operator reads it."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
