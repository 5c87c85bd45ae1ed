"""From a PointCloud2 to the cloud that is segmented: converted, brought into a frame, cropped, capped, its up asked."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rclpy.clock import Clock

from iseg3d_ros.geometry.transforms import apply
from iseg3d_ros.interaction.current_cloud import CurrentCloud, Part
from iseg3d_ros.interaction.fusion import Bundle, fused
from iseg3d_ros.io.pointcloud2_read import Points, read_points
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.click_request import CloudMessage
from iseg3d_ros.ros.frames import Frames, Patience, frame_name
from iseg3d_ros.ros.node_support import nanoseconds
from iseg3d_ros.ros.point_cloud2 import STRUCTURED
from iseg3d_ros.ros.settings import SegmenterSettings


class CloudPreprocessor:
    """Prepares messages; `warn` hears in words what was cut off."""

    def __init__(
        self, settings: Callable[[], SegmenterSettings], frames: Frames, warn: Callable[[str], None], clock: Clock
    ) -> None:
        self._settings, self._frames, self._warn, self._clock = settings, frames, warn, clock
        self.patience = Patience(frames, lambda: settings().tf_timeout)
        self.transform = self.patience.transform
        self._made: tuple[CloudMessage, SegmenterSettings, CurrentCloud] | None = None

    def process(self, message: CloudMessage) -> CurrentCloud:
        """The cloud to segment; ValueError or LookupError says in words why there is none."""
        start = time.perf_counter()
        if isinstance(message, Bundle):
            return self._fused(message, start)
        points = read_points(message, structured=STRUCTURED)
        frame, stamp = frame_name(message.header.frame_id), nanoseconds(message.header.stamp)
        points = self.capped(self._cropped(points))
        wanted = self._settings().target_frame
        origin = np.zeros(3)
        if wanted and wanted != frame:
            pose = self.transform(wanted, frame, stamp)
            points, origin, frame = points.moved(pose), pose[:3, 3], wanted
        if len(points) == 0:
            raise ValueError(f"the cloud holds no points: all {points.total} are NaN, zero, or beyond crop_radius")
        up = self.up(frame, stamp)
        ms = 1e3 * (time.perf_counter() - start)
        return CurrentCloud(points, frame, stamp, up, convert_ms=ms, origin=origin)

    def _fused(self, bundle: Bundle, start: float) -> CurrentCloud:
        """Several sensors' clouds in the fixed frame, each by the transform of its own time."""
        wanted, parts, clouds, begin = self._settings(), list[Part](), list[Points](), 0
        fixed, failed = wanted.fixed_frame or wanted.target_frame, ""
        for sensor, stamp, message in bundle.parts:
            frame = frame_name(message.header.frame_id)
            points = self.capped(self._cropped(read_points(message, structured=STRUCTURED)), len(bundle.parts))
            try:
                clouds.append(points.moved(self.transform(fixed, frame, stamp)))
            except LookupError as error:
                failed = f"a cloud of {wanted.sensors[sensor][-1]} is left out: {error}"
                self._warn(failed)
                continue
            parts.append(Part(sensor, frame, stamp, points, begin))
            begin += len(points)
        if begin == 0:
            raise ValueError(failed or "the clouds hold no points: all are NaN, zero, or beyond crop_radius")
        stamp, points, frame = max(part.stamp for part in parts), fused(clouds), wanted.target_frame or fixed
        if frame != fixed:
            points = points.moved(self.transform(frame, fixed, stamp))
        ms = 1e3 * (time.perf_counter() - start)
        up = self.up(frame, stamp)
        return CurrentCloud(points, frame, stamp, up, convert_ms=ms, origin=None, parts=tuple(parts))

    def placed(self, message: CloudMessage, at: float) -> CurrentCloud:
        """The same with its transform to the fixed frame: only a frozen cloud can do without one.

        `at`: when the message came, by time.perf_counter(). The last one is made once, until it is remembered.
        """
        if self._made is not None and self._made[0] is message and self._made[1] is self._settings():
            return self._made[2]
        cloud = self._placed(message, at)
        self._made = message, self._settings(), cloud
        return cloud

    def _placed(self, message: CloudMessage, at: float) -> CurrentCloud:
        now, waited = self._clock.now().nanoseconds, time.perf_counter() - at
        cloud, wanted = self.process(message), self._settings()
        if cloud.stamp:
            cloud.receive_ms = max((now - cloud.stamp) / 1e6 - waited * 1e3, 0.0)
        cloud.fixed = wanted.fixed_frame or wanted.target_frame or cloud.frame
        if cloud.fixed == cloud.frame:
            return cloud
        try:
            cloud.to_fixed = self.transform(cloud.fixed, cloud.frame, cloud.stamp)
        except LookupError as error:
            if wanted.scene != "frozen":
                raise
            self._warn(f"fixed_frame: {error}; the cloud is taken to be where the sensor was")
        return cloud

    def finish(self, points: Points, frame: str, stamp: int) -> CurrentCloud:
        """The cloud to segment of accumulated points."""
        return CurrentCloud(self.capped(points), frame, stamp, self.up(frame, stamp), origin=None)

    def locate(self, shown: CurrentCloud, place: np.ndarray, frame: str) -> np.ndarray:
        """A point of another frame in a shown cloud's; the transform is that of the cloud's time, and remembered."""
        return apply(self._to(shown, frame), place)

    def axis(self, shown: CurrentCloud, frame: str) -> np.ndarray:
        """The z axis of another frame, in a shown cloud's."""
        return self._to(shown, frame)[:3, 2]

    def camera_pose(self, shown: CurrentCloud, frame: str, stamp: int) -> np.ndarray:
        """Where a camera was in a shown cloud's frame when its image was taken (0: when the cloud was)."""
        if stamp == 0:
            return self._to(shown, frame)
        fixed = self._settings().fixed_frame or self._frames.root(shown.frame)
        return self._to(shown, fixed) @ self.transform(fixed, frame, stamp)

    def _to(self, shown: CurrentCloud, frame: str) -> np.ndarray:
        if not frame or frame == shown.frame:
            return np.eye(4)
        if frame not in shown.transforms:
            shown.transforms[frame] = self._late(shown, frame)
        return shown.transforms[frame]

    def _late(self, shown: CurrentCloud, frame: str) -> np.ndarray:
        """The transform at the cloud's time; where that is forgotten already, the newest, and a warning."""
        try:
            return self.transform(shown.frame, frame, shown.stamp)
        except LookupError as error:
            try:
                newest = self._frames.lookup(shown.frame, frame, 0)
            except LookupError:
                raise error from None
            if "on only" not in str(error) and "past" not in str(error):
                raise
            self._warn(
                f"the transform from '{frame}' to '{shown.frame}' at the cloud's time is forgotten: the newest one is "
                "used, which is right only if the sensor has not moved since (otherwise ~/capture a new cloud)"
            )
            return newest

    def remember(self, shown: CurrentCloud, frames: set[str]) -> None:
        """Asks for transforms while they are fresh: a frozen cloud is clicked long after TF has forgotten its time."""
        self._made = None
        for frame in (frames | {self._frames.root(shown.frame)}) - {shown.frame, ""} - set(shown.transforms):
            try:
                shown.transforms[frame] = self._frames.lookup(shown.frame, frame, shown.stamp)
            except LookupError:
                continue  # nobody has asked for it yet; whoever does hears why it is not there

    def up(self, frame: str, stamp: int) -> np.ndarray | None:
        """Which way is up in a frame, where a parameter names a frame that knows; otherwise None."""
        wanted = self._settings()
        name = wanted.up_frame or wanted.target_frame
        if not name:
            return None
        try:
            return self.transform(frame, name, stamp)[:3, 2]
        except LookupError as error:
            self._warn(f"up_frame: {error}; the library finds the ground itself")
            return None

    def _cropped(self, points: Points) -> Points:
        radius = self._settings().crop_radius
        if radius <= 0:
            return points
        x, y, z = points.xyz.T
        near = x * x + y * y + z * z <= np.float32(radius) ** 2
        return points if near.all() else points.only(near)

    def capped(self, points: Points, sensors: int = 1) -> Points:
        """The points, thinned evenly where there are more than max_points, or than a sensor's share of them."""
        largest = self._settings().max_points // sensors
        if len(points) <= largest:
            return points
        self._warn(
            f"the cloud has {len(points)} points, more than max_points ({largest}): it is thinned evenly; raise "
            "max_points or set crop_radius to keep more detail"
        )
        return points.only(np.linspace(0, len(points) - 1, largest).astype(np.int64))


def snap(
    shown: CurrentCloud, intake: CloudPreprocessor, click: Click, frame: str, farthest: float
) -> tuple[np.ndarray, float]:
    """The cloud's point nearest to a click, and how far it is; ValueError says why it hits nothing."""
    place = np.array([click.point.x, click.point.y, click.point.z])
    if not np.isfinite(place).all():
        raise ValueError("the click's coordinates are not finite numbers")
    index, distance = shown.nearest(intake.locate(shown, place, frame))
    if distance > farthest:
        raise ValueError(
            f"it hit nothing: the cloud's nearest point is {distance:.2f} m away, more than max_snap_distance "
            f"({farthest:g} m); click on the cloud itself, not on the grid or a marker"
        )
    return shown.points.xyz[index], distance
