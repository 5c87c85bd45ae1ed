"""Ways to say "that one" besides a point of the cloud: a pose on the ground; a pixel, a box or a mask in an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from geometry_msgs.msg import PoseStamped

from iseg3d_ros.geometry.camera_view import CameraView
from iseg3d_ros.geometry.rgbd import Camera
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.msg import Click, ClickResult
from iseg3d_ros.ros.click_request import ClickRequest, click_at
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.listener import Listener
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.work import REFUSED, Work


@dataclass(frozen=True)
class Region:
    """A mask in a camera's image, and the id and name that its object is to have (empty: made up).

    Of a stream of them only what is new makes an object, and nothing is said of the rest.
    """

    mask: np.ndarray
    id: str = ""
    name: str = ""
    stream: bool = False


class Pointing:
    """Becomes clicks of the work; on the inference thread."""

    def __init__(
        self, work: Work, intake: CloudPreprocessor, settings: Callable[[], SegmenterSettings], listener: Listener
    ) -> None:
        self._work, self._intake, self._settings, self._listener = work, intake, settings, listener
        self._seen: tuple[tuple[object, ...], CameraView] | None = None

    @property
    def rectified(self) -> bool:
        """Whether pixels are those of rectified images."""
        return self._settings().image_rectified

    def goal(self, goal: PoseStamped, request: ClickRequest) -> None:
        """A pose on the ground chooses the object that stands there, or begins a new one."""
        try:
            shown, frame, given = self._work.shown_for(request)[0], request.frame, goal.pose.position
            place = self._intake.locate(shown, np.array([given.x, given.y, given.z]), frame)
            column = shown.column(place, self._intake.axis(shown, frame), self._settings().column_radius)
            if len(column) == 0:
                raise ValueError("goal: nothing stands in that column (column_radius says how wide it is)")
        except REFUSED as error:
            self._listener.notify_operator(str(error))
            return
        wanted = shown.object_of(column)
        if wanted in self._work.ids:
            self._listener.notify_operator(self._work.select(wanted))
            return
        self._work.click(self._request(request, shown, column[0], Click.NEW_OBJECT))

    def pixel(self, camera: Camera, request: ClickRequest) -> None:
        """A click whose point is a pixel."""
        try:
            shown = self._work.shown_for(request)[0]
            pixel = request.click.point
            row = self._view(camera, shown, request).at(pixel.x, pixel.y)
        except REFUSED as error:
            self._refused(request.click, error)
            return
        self._work.click(self._request(request, shown, row, request.click.label, request.click.id))

    def scribble(self, camera: Camera, stroke: np.ndarray, request: ClickRequest) -> None:
        """A line of pixels: several clicks of one object, or against all, in one step."""
        try:
            shown, label = self._work.shown_for(request)[0], request.click.label
            rows = self._view(camera, shown, request).along(stroke)
            ids = [""] if label == Click.NEW_OBJECT else []
            label = Click.POSITIVE if ids else label
            clicks = [self._request(request, shown, row, label) for row in rows]
            self._listener.notify_operator(self._work.add_objects(ids, [], clicks).message)
        except REFUSED as error:
            self._refused(request.click, error)

    def region(self, camera: Camera, region: Region, request: ClickRequest) -> None:
        """A mask: a new object with clicks inside it and around it, unless one of the objects is there already."""
        try:
            shown = self._work.shown_for(request)[0]
            found = self._view(camera, shown, request).inside(region.mask)
            there = shown.object_of(found.shown)
            if there in self._work.ids:
                if not region.stream:
                    self._listener.notify_operator(f"the mask shows {there}, which is an object already")
                return
            around = [row for row in found.around if not shown.object_of(np.array([row]))]
            clicks = [self._request(request, shown, row, Click.POSITIVE, region.id) for row in found.inside]
            clicks += [self._request(request, shown, row, Click.NEGATIVE) for row in around]
            self._listener.notify_operator(self._work.add_objects([region.id], [region.name], clicks).message)
        except REFUSED as error:
            if not region.stream:
                self._refused(request.click, error)

    def _view(self, camera: Camera, shown: CurrentCloud, request: ClickRequest) -> CameraView:
        """The cloud as the camera saw it when the image was taken; made once for a cloud and an image."""
        key = (shown, camera, request.frame, request.stamp)
        if self._seen is None or self._seen[0] != key:
            pose = self._intake.camera_pose(shown, request.frame, request.stamp)
            self._seen = key, CameraView(shown.points.xyz, camera, pose)
        return self._seen[1]

    def _request(self, request: ClickRequest, shown: CurrentCloud, row: int, label: int, id: str = "") -> ClickRequest:
        """A click on a point of the cloud that is meant."""
        click = click_at(shown.points.xyz[row], shown.frame, stamp_of(shown.stamp))
        click.label, click.id = label, id
        return replace(request, click=click)

    def _refused(self, click: Click, error: Exception) -> None:
        self._listener.notify_operator(f"click refused: {error}")
        self._listener.click_result(ClickResult(click=click, reason=str(error), distance=float("nan")))
