"""What an operator or a detector points at in a camera's image: pixels, boxes, masks; and the cameras' calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped, PolygonStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from iseg3d_ros import limits
from iseg3d_ros.geometry.camera_view import ellipse
from iseg3d_ros.geometry.rgbd import Camera, camera_of, mask_of
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.node_support import CLICKS, quality, vision_messages
from iseg3d_ros.ros.pointing import Pointing, Region

Hand = Callable[..., None]  # a verb, a click, and what else the verb is given


class ImageInputs:
    """Subscriptions; `hand` gives a verb of `pointing` to the inference thread, `refuse` hears why it cannot."""

    def __init__(self, node: Node, pointing: Pointing, hand: Hand, refuse: Callable[[Click, str], object]) -> None:
        self._node, self._pointing, self._hand, self._refuse = node, pointing, hand, refuse
        self._infos: dict[str, CameraInfo] = {}  # by the camera's frame
        self._newest = ""
        table: list[tuple[Any, str, Callable[[Any], None], Any]] = [
            (CameraInfo, "~/camera_info", self._info, quality("best_effort", 10)),
            (PointStamped, "~/image_click", self._clicks(Click.POSITIVE), CLICKS),
            (PointStamped, "~/image_click/negative", self._clicks(Click.NEGATIVE), CLICKS),
            (PointStamped, "~/image_click/new_object", self._clicks(Click.NEW_OBJECT), CLICKS),
            (Point, "~/image_click/point", self._point, CLICKS),
            (PolygonStamped, "~/image_scribble", self._scribbles(Click.POSITIVE), CLICKS),
            (PolygonStamped, "~/image_scribble/negative", self._scribbles(Click.NEGATIVE), CLICKS),
            (PolygonStamped, "~/image_scribble/new_object", self._scribbles(Click.NEW_OBJECT), CLICKS),
            (Image, "~/image_mask", self._mask, quality("reliable", 10)),
        ]
        if (vision := vision_messages()) is not None:
            table += [
                (vision.Detection2D, "~/image_box", self._box, quality("reliable", 10)),
                (vision.Detection2DArray, "~/image_boxes", self._boxes, quality("reliable", 10)),
            ]
        self.subscriptions: list[Subscription] = [node.create_subscription(*row) for row in table]

    def _info(self, message: CameraInfo) -> None:
        self._newest = frame_name(message.header.frame_id)
        if self._newest in self._infos or len(self._infos) < limits.FRAMES:
            self._infos[self._newest] = message

    def _clicks(self, label: int) -> Callable[[PointStamped], None]:
        return lambda message: self._pixel(message.header, label, message.point)

    def _point(self, message: Point) -> None:
        """rqt_image_view's click: it tells neither camera nor time."""
        self._pixel(Header(), Click.POSITIVE, message)

    def _pixel(self, header: Header, label: int, pixel: Point) -> None:
        click = self._click(header, label)
        click.point = pixel
        if (camera := self._camera(click)) is not None:
            self._hand(self._pointing.pixel, click, camera)

    def _scribbles(self, label: int) -> Callable[[PolygonStamped], None]:
        def scribble(message: PolygonStamped) -> None:
            click = self._click(message.header, label)
            if (camera := self._camera(click)) is not None:
                corners = message.polygon.points[: limits.STROKE]
                stroke = np.array([(corner.x, corner.y) for corner in corners], np.float64).reshape(-1, 2)
                self._hand(self._pointing.scribble, click, camera, stroke)

        return scribble

    def _mask(self, message: Image) -> None:
        click = self._click(message.header, Click.NEW_OBJECT)
        if (camera := self._camera(click)) is None:
            return
        try:
            region = Region(mask_of(message))
        except ValueError as error:
            self._refuse(click, str(error))
            return
        if (message.width, message.height) != (camera.width, camera.height):
            camera = camera.scaled(message.width, message.height)
        self._hand(self._pointing.region, click, camera, region)

    def _box(self, message: Any, header: Header | None = None) -> None:
        """A Detection2D; `header` that of the array it is in."""
        click = self._click(header or message.header, Click.NEW_OBJECT)
        if (camera := self._camera(click)) is None:
            return
        box = message.bbox
        centre, turn = (box.center.position.x, box.center.position.y), box.center.theta
        name = message.results[0].hypothesis.class_id if message.results else ""
        region = Region(ellipse(camera, centre, (box.size_x, box.size_y), turn), message.id, name, header is not None)
        self._hand(self._pointing.region, click, camera, region)

    def _boxes(self, message: Any) -> None:
        for each in message.detections[: limits.PENDING_OF_ONE]:
            self._box(each, message.header)

    def _click(self, header: Header, label: int) -> Click:
        click = Click(label=label)
        click.header.frame_id, click.header.stamp = header.frame_id or self._newest, header.stamp
        return click

    def _camera(self, click: Click) -> Camera | None:
        """The calibration of the camera that a click is in; without one it is refused."""
        frame = frame_name(click.header.frame_id)
        try:
            if frame not in self._infos:
                topic, known = self._node.resolve_topic_name("~/camera_info"), ", ".join(self._infos) or "none"
                raise ValueError(
                    f"no calibration of the camera '{frame}' is known (of these one is: {known}): remap ~/camera_info "
                    f"({topic}) to what the driver publishes, and give the image's own frame with the click"
                )
            return camera_of(self._infos[frame], self._pointing.rectified)
        except ValueError as error:
            self._refuse(click, str(error))
            return None
