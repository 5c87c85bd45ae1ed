"""The active object's pose and the robot's goal before it, in a frame and at a time at which they are true."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from iseg3d_ros.geometry.approach import Robot, approach
from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.safe_sets import sure_points
from iseg3d_ros.interaction.view import View
from iseg3d_ros.ros import conversion as messages
from iseg3d_ros.ros.frames import Frames
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.settings import SegmenterSettings

LATE = 10  # repetitions without a transform before the operator is told


class PoseStream:
    """Places a view's object in the frame that stands still, from there in `target_frame` if there is one.

    The frame that stands still is `fixed_frame`; where that is not set, the root of the TF tree that the cloud's frame
    is in. A frame that TF does not know is taken to stand still: nobody says that it moves.
    """

    def __init__(
        self, settings: Callable[[], SegmenterSettings], frames: Frames, warn: Callable[[str], object]
    ) -> None:
        self._settings, self._frames, self._warn = settings, frames, warn
        self._anchored: tuple[tuple[str, str, int], np.ndarray] | None = None
        self._refusals = 0

    def message(self, view: View, now: int) -> PoseStamped | None:
        """The pose at `now` or shortly before; None without an object that is seen, or while TF does not tell yet."""
        active = view.active_object
        measures = view.measures(active.index) if active else None
        return None if measures is None else self._placed(view, now, measures.box.centre, measures.box.rotation)

    def approach(self, view: View, now: int) -> PoseStamped | None:
        """A goal for the robot before the active object; where there is none the operator is told why."""
        active, settings = view.active_object, self._settings()
        if active is None or active.lost or view.measures(active.index) is None:
            return None
        try:
            if view.up is None:
                raise ValueError("nobody says which way is up: set up_frame or target_frame")
            sure = sure_points(view, active, settings.grasp_probability)
            if len(sure) == 0:
                raise ValueError("no point of it is certain enough (grasp_probability): click on it again")
            start, robot = self._robot(view, settings.robot_frame), Robot(settings.robot_radius, settings.robot_height)
            found = approach(view.points.xyz, sure, view.up, start, settings.approach_distance, robot)
        except (ValueError, LookupError) as error:
            self._warn(f"~/approach_pose of {active.id}: {error}")
            return None
        return self._placed(view, now, found.place, found.rotation)

    def _robot(self, view: View, frame: str) -> np.ndarray:
        """Where the robot is now, in the view's frame."""
        if not frame:
            return np.zeros(3)
        fixed = self._settings().fixed_frame or self._frames.root(view.frame)
        return apply(np.linalg.inv(self._anchor(view, fixed)) @ self._frames.newest(fixed, frame)[0], np.zeros(3))

    def _placed(self, view: View, now: int, place: np.ndarray, rotation: np.ndarray) -> PoseStamped | None:
        try:
            frame, stamp, placed = self._place(view, now)
        except LookupError as error:
            self._refused(error)
            return None  # a transform that is late: the next repetition asks again
        self._refusals = 0
        moved = Box(apply(placed, place), placed[:3, :3] @ rotation, np.zeros(3))
        return PoseStamped(header=Header(frame_id=frame, stamp=stamp_of(stamp)), pose=messages.pose_of(moved))

    def _place(self, view: View, now: int) -> tuple[str, int, np.ndarray]:
        """Frame, time and the transform from the view's frame into it."""
        settings = self._settings()
        fixed = settings.fixed_frame or self._frames.root(view.frame)
        if view.mode == "live":  # true of the cloud's time only: the object may move by itself
            try:
                return fixed, view.stamp, self._anchor(view, fixed)
            except LookupError:
                return view.frame, view.stamp, np.eye(4)
        anchored = self._anchor(view, fixed)
        wanted = settings.target_frame or fixed
        moved, stamp = self._frames.newest(wanted, fixed)
        return wanted, stamp or now, moved @ anchored

    def _anchor(self, view: View, fixed: str) -> np.ndarray:
        """Where the view's frame was in the fixed one when the cloud was taken: asked once, while TF remembers."""
        key = (fixed, view.frame, view.stamp)
        if self._anchored is None or self._anchored[0] != key:
            self._anchored = key, self._frames.lookup(fixed, view.frame, view.stamp)
        return self._anchored[1]

    def _refused(self, error: LookupError) -> None:
        """Says it once where a transform is not late but missing."""
        self._refusals += 1
        if self._refusals == LATE:
            self._warn(
                f"~/object_pose is silent, as nobody can say where the robot was when the cloud was taken ({error}): "
                "~/capture a new cloud, or set fixed_frame"
            )
