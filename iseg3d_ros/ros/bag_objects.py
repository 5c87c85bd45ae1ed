"""The objects of one cloud as iseg3d_ros/Objects in a bag: the package's own message, without ROS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from iseg3d_ros.geometry.transforms import quaternion
from iseg3d_ros.interaction.view import EMPTY, LOST, SEEN, ClickView, Measures, ObjectView, View

if TYPE_CHECKING:
    from iseg3d_ros.ros.bag_segmentation import Segmented

OBJECTS = "iseg3d_ros/msg/Objects"
NOWHERE = float("nan")


def view_of(result: Segmented, model: str) -> View:
    """The result as the node would show it."""
    clicks = [ClickView(mark.point, mark.id) for mark in result.marks]
    objects = tuple(
        ObjectView(name, name, index, index - 1, tuple(c for c in clicks if c.id == name), name in result.lost)
        for index, name in enumerate(result.ids, 1)
    )
    shown = result.shown
    return View(
        serial=result.number, frame=shown.frame, stamp=shown.stamp, layouts=shown.layouts, up=shown.up,
        masks=result.masks, objects=objects, active="", background=tuple(c for c in clicks if not c.id),
        can_undo=False, can_redo=False, mode="live", model=model, encode_ms=result.milliseconds[0],
        segment_ms=result.milliseconds[1], message="",
    )  # fmt: skip


class ObjectsMessages:
    """Makes them of the classes that a bag library knows by their types' names."""

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types

    def objects(self, view: View, header: Any) -> Any:
        """iseg3d_ros/Objects, as the node's ~/objects."""
        hint = view.masks.suggested
        names = {item.index: item.id for item in view.objects}
        suggested = ClickView((0.0, 0.0, 0.0), "") if hint is None else ClickView(hint[0], names.get(hint[1], ""))
        return self._types[OBJECTS](
            header=header, objects=[self._object(view, item, header) for item in view.objects], active_id=view.active,
            background_clicks=[self._click(item, header) for item in view.background],
            has_suggested_click=hint is not None, suggested_click=self._click(suggested, header),
            can_undo=view.can_undo, can_redo=view.can_redo, mode=view.mode, model=view.model,
            cloud_points=len(view.points), encode_milliseconds=view.encode_ms, segment_milliseconds=view.segment_ms,
            message=view.message,
        )  # fmt: skip

    def _object(self, view: View, item: ObjectView, header: Any) -> Any:
        seen = view.measures(item.index)
        red, green, blue = item.colour
        state = LOST if item.lost else SEEN if seen else EMPTY
        return self._types["iseg3d_ros/msg/ObjectInfo"](
            id=item.id, name=item.name, index=item.index, state=state,
            clicks=[self._click(each, header) for each in item.clicks], points=seen.count if seen else 0,
            **self._geometry(seen), confidence=seen.confidence if seen else NOWHERE,
            uncertainty=seen.uncertainty if seen else NOWHERE,
            color=self._types["std_msgs/msg/ColorRGBA"](r=red, g=green, b=blue, a=1.0),
        )  # fmt: skip

    def _geometry(self, seen: Measures | None) -> dict[str, Any]:
        """Boxes and centroid; zeros and no turn without points, as an empty message has them."""
        nothing = (0.0, 0.0, 0.0)
        x, y, z, w = (float(v) for v in quaternion(seen.box.rotation)) if seen else (*nothing, 1.0)
        turn = self._types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)
        centre = self._xyz("Point", seen.box.centre if seen else nothing)
        return {
            "pose": self._types["geometry_msgs/msg/Pose"](position=centre, orientation=turn),
            "size": self._xyz("Vector3", seen.box.size if seen else nothing),
            "box_min": self._xyz("Point", seen.low if seen else nothing),
            "box_max": self._xyz("Point", seen.high if seen else nothing),
            "centroid": self._xyz("Point", seen.centroid if seen else nothing),
        }

    def _click(self, click: ClickView, header: Any) -> Any:
        place = self._xyz("Point", click.point)
        return self._types["iseg3d_ros/msg/Click"](header=header, id=click.id, label=int(bool(click.id)), point=place)

    def _xyz(self, kind: str, values: Iterable[float]) -> Any:
        x, y, z = (float(value) for value in values)
        return self._types[f"geometry_msgs/msg/{kind}"](x=x, y=y, z=z)
