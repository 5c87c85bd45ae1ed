"""Answers that leave the operator's session as it is: a cloud segmented without state, a view in another frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.view import View, list_objects
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.msg import ClickResult
from iseg3d_ros.ros.click_request import CloudMessage
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor, snap
from iseg3d_ros.ros.conversion import point
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.point_cloud2 import header
from iseg3d_ros.ros.proposing import Search
from iseg3d_ros.ros.work import REFUSED


class StatelessSegmentation:
    """Segments requests with an encoding of its own; requests with the same cloud share it."""

    def __init__(self, model: SceneModel, preprocessing: CloudPreprocessor) -> None:
        self._model, self._preprocessing = model, preprocessing
        self._last: tuple[bytes, CurrentCloud] | None = None

    def segment(
        self, cloud: CloudMessage, clicks: Sequence[ClickMessage], largest_snap: float
    ) -> tuple[View, list[ClickResult]]:
        """A cloud segmented from clicks; objects are named by the clicks' ids, the first one seen gets label 1."""
        shown = self._shared(self._preprocessing.process(cloud))
        placed: list[Click] = []
        results = [self._place(shown, largest_snap, click, placed) for click in clicks]
        ids = list(dict.fromkeys(click.id for click in placed if click.id))
        result = self._model.segment_cloud(shown, placed, ids)
        view = View(
            serial=0,
            cloud=shown,
            up=shown.upwards,
            result=result,
            objects=list_objects(ids, placed),
            active="",
            background=tuple(click for click in placed if not click.id),
            can_undo=False,
            can_redo=False,
            mode="once",
            model=self._model.name,
            encode_ms=self._model.encode_ms,
            segment_ms=self._model.segment_ms,
            message="",
        )
        for each in results:
            each.header = header(view)
        return view, results

    def search(self, cloud: CloudMessage | CurrentCloud, class_name: str, tries: int) -> Search:
        """A search for objects in a cloud, to be called until it is done."""
        shown = cloud if isinstance(cloud, CurrentCloud) else self._preprocessing.process(cloud)
        return Search(self._model, self._shared(shown), class_name, tries)

    def _shared(self, cloud: CurrentCloud) -> CurrentCloud:
        """The last cloud where this one is the same: it is encoded already."""
        digest = hashlib.blake2b(f"{cloud.frame} {cloud.stamp} {cloud.points.shape} {cloud.up}".encode())
        for array in (cloud.points.xyz, cloud.points.rgb, cloud.points.kept):
            digest.update(b"-" if array is None else array.tobytes())
        key = digest.digest()
        if self._last is None or self._last[0] != key:
            self._last = key, cloud
        return self._last[1]

    def _place(self, shown: CurrentCloud, largest: float, click: ClickMessage, placed: list[Click]) -> ClickResult:
        """One click of a request, added to `placed` unless it is refused."""
        result = ClickResult(click=click, distance=float("nan"))
        try:
            if click.label not in (ClickMessage.NEGATIVE, ClickMessage.POSITIVE, ClickMessage.NEW_OBJECT):
                raise ValueError(f"label {click.label} is none of NEGATIVE (0), POSITIVE (1) and NEW_OBJECT (2)")
            frame = frame_name(click.header.frame_id)
            snapped, result.distance = snap(shown, self._preprocessing, click, frame, largest)
        except REFUSED as error:
            result.reason = str(error)
            return result
        result.accepted, result.point = True, point(snapped)
        result.id = "" if click.label == ClickMessage.NEGATIVE else (click.id or "object")
        x, y, z = (float(v) for v in snapped)
        placed.append(Click((x, y, z), result.id))
        return result


def view_in(view: View, target: str, preprocessing: CloudPreprocessor) -> View:
    """The same view with its geometry in another frame, by the transform of the cloud's time."""
    if not target or target == view.frame:
        return view
    matrix = preprocessing.transform(target, view.frame, view.stamp)

    def moved(click: Click) -> Click:
        x, y, z = (float(value) for value in apply(matrix, np.array(click.point)))
        return replace(click, point=(x, y, z))

    suggested = view.result.suggested_click
    up = None if view.up is None else matrix[:3, :3] @ view.up
    return replace(
        view,
        cloud=CurrentCloud(view.points.moved(matrix), target, view.stamp, up),
        up=up,
        result=replace(view.result, suggested_click=suggested and moved(suggested)),
        objects=tuple(replace(item, clicks=tuple(map(moved, item.clicks))) for item in view.objects),
        background=tuple(map(moved, view.background)),
    )
