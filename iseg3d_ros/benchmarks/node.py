"""What the ROS node adds to the library's time, and how a live scene keeps up (`iseg3d_ros.ros.benchmark`)."""

from __future__ import annotations

from iseg3d_ros.predictor import DEFAULT


def run(repeats: int = 15, live_clouds: int = 60, model: str = DEFAULT, memory_clouds: int = 0) -> dict[str, float]:
    """Figures for `iseg3d bench node`; `live_clouds` are sent at 10 Hz.

    `--option memory_clouds=10000`: only memory is watched, over that many small live clouds.
    """
    from iseg3d_ros.ros import benchmark as measure

    return measure.run(repeats, live_clouds, model, memory_clouds)
