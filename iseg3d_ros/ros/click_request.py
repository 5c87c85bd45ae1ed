"""A click on its way to the inference thread, with the cloud that the operator looked at when it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from geometry_msgs.msg import Point
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from iseg3d_ros.interaction.fusion import Bundle
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.node_support import nanoseconds

CloudMessage: TypeAlias = PointCloud2 | Bundle  # what is handed to the inference thread as one cloud


@dataclass
class HeldCloud:
    """A cloud that clicks refer to, and when it came; let go, it stands for the one after it."""

    message: CloudMessage | None
    at: float
    after: HeldCloud | None = None

    def there(self) -> HeldCloud:
        """This one, or the next that is still held."""
        held = self
        while held.message is None and held.after is not None:
            held = held.after
        return held


@dataclass(frozen=True)
class ClickRequest:
    """A click as it arrived (`at`: by time.perf_counter()), and the newest cloud then: what the operator looked at."""

    click: Click
    at: float
    held: HeldCloud

    @property
    def newest(self) -> CloudMessage | None:
        """The newest cloud when the click came."""
        return self.held.there().message

    @property
    def newest_at(self) -> float:
        """When that cloud came."""
        return self.held.there().at

    @property
    def frame(self) -> str:
        """Frame of the point; empty: the cloud's."""
        return frame_name(self.click.header.frame_id)

    @property
    def stamp(self) -> int:
        """When it was given, or the stamp of the cloud that is meant; 0: the one shown now."""
        return nanoseconds(self.click.header.stamp)


def click_at(point: Any, frame: str, stamp: Any) -> Click:
    """A positive click on the active object."""
    place = Point(x=float(point[0]), y=float(point[1]), z=float(point[2]))
    return Click(header=Header(frame_id=frame, stamp=stamp), label=Click.POSITIVE, point=place)
