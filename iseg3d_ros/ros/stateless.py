"""Answers that leave the work as it is: a cloud segmented without state, a view brought into another frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sensor_msgs.msg import PointCloud2

from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.current_cloud import Shown
from iseg3d_ros.interaction.scene_model import Model
from iseg3d_ros.interaction.tracking import Mark
from iseg3d_ros.interaction.view import ClickView, Layouts, ObjectView, View
from iseg3d_ros.msg import Click, ClickResult
from iseg3d_ros.ros.cloud_preprocessing import Intake, snap
from iseg3d_ros.ros.conversion import header, point
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.work import REFUSED


def segment_once(
    model: Model, intake: Intake, largest_snap: float, cloud: PointCloud2, clicks: Sequence[Click]
) -> tuple[View, list[ClickResult]]:
    """A cloud segmented from clicks; objects are named by the clicks' ids, the first one seen gets label 1."""
    shown = intake.take(cloud)
    marks: list[Mark] = []
    results = [_placed(shown, intake, largest_snap, click, marks) for click in clicks]
    ids = list(dict.fromkeys(mark.id for mark in marks if mark.id))
    masks = model.masks(shown, marks, ids)
    views = [ClickView(mark.point, mark.id) for mark in marks]
    objects = tuple(
        ObjectView(name, name, index, index - 1, tuple(v for v in views if v.id == name))
        for index, name in enumerate(ids, 1)
    )
    view = View(
        serial=0,
        frame=shown.frame,
        stamp=shown.stamp,
        layouts=shown.layouts,
        up=model.up(shown),
        masks=masks,
        objects=objects,
        active="",
        background=tuple(v for v in views if not v.id),
        can_undo=False,
        can_redo=False,
        mode="once",
        model=model.name,
        encode_ms=model.encode_ms,
        segment_ms=model.segment_ms,
        message="",
    )
    for result in results:
        result.header = header(view)
    return view, results


def _placed(shown: Shown, intake: Intake, largest: float, click: Click, marks: list[Mark]) -> ClickResult:
    """One click of a request, added to `marks` unless it is refused."""
    result = ClickResult(click=click, distance=float("nan"))
    try:
        if click.label not in (Click.NEGATIVE, Click.POSITIVE, Click.NEW_OBJECT):
            raise ValueError(f"label {click.label} is none of NEGATIVE (0), POSITIVE (1) and NEW_OBJECT (2)")
        snapped, result.distance = snap(shown, intake, click, frame_name(click.header.frame_id), largest)
    except REFUSED as error:
        result.reason = str(error)
        return result
    result.accepted, result.point = True, point(snapped)
    result.id = "" if click.label == Click.NEGATIVE else (click.id or "object")
    x, y, z = (float(v) for v in snapped)
    marks.append(Mark((x, y, z), result.id))
    return result


def view_in(view: View, target: str, intake: Intake) -> View:
    """The same view with its geometry in another frame, by the transform of the cloud's time."""
    if not target or target == view.frame:
        return view
    matrix = intake.transform(target, view.frame, view.stamp)

    def moved(clicks: tuple[ClickView, ...]) -> tuple[ClickView, ...]:
        places = [apply(matrix, np.array(click.point)) for click in clicks]
        return tuple(ClickView(tuple(map(float, p)), c.id) for p, c in zip(places, clicks, strict=True))  # type: ignore[arg-type]

    masks = view.masks
    if masks.suggested is not None:
        place, label = masks.suggested
        masks = replace(masks, suggested=(moved((ClickView(place, ""),))[0].point, label))
    return replace(
        view,
        frame=target,
        layouts=Layouts(view.points.moved(matrix)),
        up=None if view.up is None else matrix[:3, :3] @ view.up,
        masks=masks,
        objects=tuple(replace(item, clicks=moved(item.clicks)) for item in view.objects),
        background=moved(view.background),
    )
