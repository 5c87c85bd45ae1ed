"""The service `~/peek`: what a click would hold, by the operator's own encoding, where nothing else waits."""

from __future__ import annotations

from geometry_msgs.msg import Point32

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.looking_ahead import LookAhead, some
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.ros.cloud_preprocessing import snap
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.inference_thread import NotYet
from iseg3d_ros.ros.node_support import nanoseconds
from iseg3d_ros.ros.object_answer import Active
from iseg3d_ros.srv import PeekClick


class Peeking:
    """Looks ahead with one model, as long as that is quick. On the inference thread."""

    def __init__(self) -> None:
        self._ahead = LookAhead()

    def fill(self, active: Active, given: ClickMessage, response: PeekClick.Response) -> str:
        """Fill the answer, or say why not (ValueError). It never encodes: a click would have to wait for that."""
        if active.worker.crowded:
            raise ValueError("something else waits for the model: that goes first")
        work, shown = active.work, active.work.stage.shown
        live = active.settings.scene == "live" or not work.stage.held
        scene = None if shown is None or live else work.session.model.scene_of(shown)
        if shown is None or scene is None:
            raise ValueError("there is no cloud that is held and has been clicked on")
        if nanoseconds(given.header.stamp) not in (0, shown.stamp):
            raise ValueError("another cloud is held by now")
        new = given.label == ClickMessage.NEW_OBJECT
        if not new and (given.label != ClickMessage.POSITIVE or given.id not in work.ids):
            raise ValueError("a click begins an object (NEW_OBJECT), or is on one by its id (POSITIVE)")
        try:
            place, _ = snap(
                shown, active.intake, given, frame_name(given.header.frame_id), active.settings.max_snap_distance
            )
        except NotYet as error:
            raise ValueError(f"no transform leads to {given.header.frame_id} yet") from error
        x, y, z = (float(value) for value in place)
        clicks, click = shown.placed(work.session.clicks), Click((x, y, z), given.id)
        rows = self._ahead.rows(work.session.predictor, scene, clicks, click, new)
        if rows is None:
            raise ValueError("the model takes too long for a mask to look ahead")
        response.count = len(rows)
        response.points = [Point32(x=x, y=y, z=z) for x, y, z in shown.points.xyz[some(rows)].tolist()]
        return ""
