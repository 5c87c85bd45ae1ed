"""Quaternions at the ROS edge: by tf_transformations where it is installed, else by our own equal formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion

from iseg3d_ros.geometry.transforms import matrix, quaternion

try:
    from tf_transformations import quaternion_from_matrix, quaternion_matrix
except ImportError:  # it comes with ROS, not with pip
    quaternion_from_matrix = quaternion_matrix = None


def rotation_matrix(turn: Any) -> np.ndarray:
    """4x4 of a Quaternion message, without translation."""
    values = (turn.x, turn.y, turn.z, turn.w)
    return matrix(np.array([0.0, 0.0, 0.0, *values])) if quaternion_matrix is None else quaternion_matrix(values)


def pose_matrix(place: Any, turn: Any) -> np.ndarray:
    """4x4 of a Point or Vector3 message and a Quaternion message."""
    out = rotation_matrix(turn)
    out[:3, 3] = place.x, place.y, place.z
    return out


def quaternion_message(rotation: np.ndarray) -> Quaternion:
    """A rotation matrix as a message; w is not negative."""
    if quaternion_from_matrix is None:
        values = quaternion(rotation)
    else:
        whole = np.eye(4)
        whole[:3, :3] = rotation
        values = quaternion_from_matrix(whole)
        values = np.negative(values) if values[3] < 0 else values
    x, y, z, w = (float(value) for value in values)
    return Quaternion(x=x, y=y, z=z, w=w)
