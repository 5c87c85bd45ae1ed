"""Objects of a view as this package's messages, made of whichever classes are given: rclpy's or a bag library's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.geometry.transforms import quaternion
from iseg3d_ros.interaction.view import EMPTY, LOST, SEARCHING, SEEN, Measures, ObjectView, View

OBJECTS = "iseg3d_ros/msg/Objects"
UNKNOWN = float("nan")
ZERO = (0.0, 0.0, 0.0)


class Types(Protocol):
    """Message classes by their full names, as "geometry_msgs/msg/Point"."""

    def __getitem__(self, name: str, /) -> Any:
        """The class of that name."""


class ObjectMessages:
    """Makes messages of the classes in `types`."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def objects(self, view: View, header: Any) -> Any:
        """iseg3d_ros/Objects: the whole state."""
        return self._types[OBJECTS](
            header=header, objects=[self.object(view, item, header) for item in view.objects], active_id=view.active,
            background_clicks=[self.click(item, header) for item in view.background], **self.suggestion(view, header),
            can_undo=view.can_undo, can_redo=view.can_redo, mode=view.mode, model=view.model,
            cloud_points=len(view.points), encode_milliseconds=view.encode_ms, segment_milliseconds=view.segment_ms,
            message=view.message,
        )  # fmt: skip

    def suggestion(self, view: View, header: Any) -> dict[str, Any]:
        """The fields for the suggested click."""
        suggested = view.result.suggested_click
        if suggested is None:
            stamp = self._types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
            nowhere = self._types["std_msgs/msg/Header"](stamp=stamp, frame_id="")
            return {"has_suggested_click": False, "suggested_click": self.click(Click(ZERO, ""), nowhere)}
        wanted = next((item.id for item in view.objects if item.index == suggested.object), "")
        return {"has_suggested_click": True, "suggested_click": self.click(Click(suggested.point, wanted), header)}

    def object(self, view: View, item: ObjectView, header: Any) -> Any:
        """iseg3d_ros/ObjectInfo: one object, with its geometry in the view's frame."""
        seen = view.measures(item.index)
        red, green, blue = item.colour
        classes = view.result.classes.get(item.index, ())
        return self._types["iseg3d_ros/msg/ObjectInfo"](
            id=item.id, name=item.name, index=item.index, state=_state(item, seen),
            clicks=[self.click(each, header) for each in item.clicks], points=seen.count if seen else 0,
            **self._geometry(seen), confidence=seen.confidence if seen else UNKNOWN,
            uncertainty=seen.uncertainty if seen else UNKNOWN,
            color=self._types["std_msgs/msg/ColorRGBA"](r=red, g=green, b=blue, a=1.0),
            classes=[name for name, _ in classes],
            class_probabilities=np.array([chance for _, chance in classes], np.float32),
        )  # fmt: skip

    def click(self, click: Click, header: Any) -> Any:
        """iseg3d_ros/Click at the point that it was snapped to."""
        place = self.point(click.point)
        return self._types["iseg3d_ros/msg/Click"](header=header, id=click.id, label=int(bool(click.id)), point=place)

    def pose(self, box: Box | None) -> Any:
        """Centre and orientation of a box; zeros and no turn without one, as an empty message has them."""
        x, y, z, w = (float(v) for v in quaternion(box.rotation)) if box else (*ZERO, 1.0)
        turn = self._types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)
        return self._types["geometry_msgs/msg/Pose"](position=self.point(box.centre if box else ZERO), orientation=turn)

    def point(self, values: Iterable[float], kind: str = "Point") -> Any:
        """geometry_msgs/Point or Vector3."""
        x, y, z = (float(value) for value in values)
        return self._types[f"geometry_msgs/msg/{kind}"](x=x, y=y, z=z)

    def _geometry(self, seen: Measures | None) -> dict[str, Any]:
        return {
            "pose": self.pose(seen.box if seen else None),
            "size": self.point(seen.box.size if seen else ZERO, "Vector3"),
            "box_min": self.point(seen.low if seen else ZERO),
            "box_max": self.point(seen.high if seen else ZERO),
            "centroid": self.point(seen.centroid if seen else ZERO),
        }


def _state(item: ObjectView, seen: Measures | None) -> int:
    """ObjectInfo.state."""
    if item.lost:
        return SEARCHING if item.searching else LOST
    return SEEN if seen else EMPTY
