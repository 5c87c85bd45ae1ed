"""What RViz draws over the cloud: clicks, boxes, names, the suggested click. And detections for planners."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.geometry.boxes import corners
from iseg3d_ros.interaction.view import Measures, ObjectView, View
from iseg3d_ros.ros.conversion import point, pose_of
from iseg3d_ros.ros.point_cloud2 import header

# The twelve edges of a box, as pairs of `boxes.corners`.
EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7))
BACKGROUND = (0.9, 0.9, 0.9)
SUGGESTED = (1.0, 0.85, 0.0)


def markers(view: View) -> MarkerArray:
    """Everything anew: the first marker deletes what was drawn before."""
    out = [Marker(header=header(view), action=Marker.DELETEALL)]
    size = click_size(view)
    if view.background:
        out.append(_clicks(view, "background", 0, view.background, BACKGROUND, size))
    for item in view.objects:
        measures = view.measures(item.index)
        if item.clicks:
            out.append(_clicks(view, "clicks", item.ordinal, item.clicks, item.colour, size))
        if measures is not None:
            out.append(_box(view, item, measures, size))
            out.append(_name(view, item, measures, size))
    if view.result.suggested_click is not None:
        place = view.result.suggested_click
        out.append(_clicks(view, "suggested", 0, (place,), SUGGESTED, 1.5 * size))
    return MarkerArray(markers=out)


def click_size(view: View) -> float:
    """A hundredth of the cloud's extent, within what can be seen and does not hide the object."""
    if len(view.points) == 0:
        return 0.02
    extent = max(float(view.points.xyz[:, axis].max() - view.points.xyz[:, axis].min()) for axis in range(3))
    return min(max(0.01 * extent, 0.005), 0.3)


def detections(view: View, types: Any) -> Any:
    """vision_msgs/Detection3DArray; `types` is the module vision_msgs.msg."""
    out = types.Detection3DArray(header=header(view))
    for item in view.objects:
        measures = view.measures(item.index)
        if measures is None:
            continue
        detection = types.Detection3D(header=out.header, id=item.id)
        detection.bbox.center = pose_of(measures.box)
        detection.bbox.size = _vector(*measures.box.size)
        guesses = view.result.classes.get(item.index, ())
        for name, score in ((item.name, measures.confidence), *guesses):  # the operator's name first
            hypothesis = types.ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = name
            hypothesis.hypothesis.score = score
            hypothesis.pose.pose = detection.bbox.center
            detection.results.append(hypothesis)
        out.detections.append(detection)
    return out


def _marker(view: View, namespace: str, number: int, kind: int, colour: tuple[float, ...]) -> Marker:
    marker = Marker(header=header(view), ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.color = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=1.0)
    return marker


def _clicks(
    view: View, namespace: str, number: int, clicks: tuple[Click, ...], colour: tuple[float, ...], size: float
) -> Marker:
    marker = _marker(view, namespace, number, Marker.SPHERE_LIST, colour)
    marker.scale = _vector(size, size, size)
    marker.points = [point(item.point) for item in clicks]
    return marker


def _box(view: View, item: ObjectView, measures: Measures, size: float) -> Marker:
    marker = _marker(view, "boxes", item.ordinal, Marker.LINE_LIST, item.colour)
    marker.scale = _vector(size / 4, 0, 0)
    places = [point(corner) for corner in corners(measures.box)]
    marker.points = [places[end] for edge in EDGES for end in edge]
    return marker


def _name(view: View, item: ObjectView, measures: Measures, size: float) -> Marker:
    marker = _marker(view, "names", item.ordinal, Marker.TEXT_VIEW_FACING, item.colour)
    marker.scale = _vector(0, 0, 3 * size)
    marker.pose.position = point(
        measures.box.centre + measures.box.rotation[:, 2] * (measures.box.size[2] / 2 + 3 * size)
    )
    marker.text = item.name
    return marker


def _vector(x: float, y: float, z: float) -> Vector3:
    return Vector3(x=float(x), y=float(y), z=float(z))
