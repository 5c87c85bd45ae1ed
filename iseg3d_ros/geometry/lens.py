"""How a lens bends what a pinhole camera would see: the three models of sensor_msgs/CameraInfo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

WIDEST = 10.0  # tangent of the angle from the axis up to which a model is believed: 84 degrees
MODELS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}  # and how many coefficients they have


@dataclass(frozen=True)
class Lens:
    """A model with its coefficients in CameraInfo's order: k1 k2 p1 p2 k3 k4 k5 k6, or k1 k2 k3 k4 (equidistant)."""

    model: str
    coefficients: tuple[float, ...]

    def distorted(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where directions (x/z, y/z) appear; NaN where the model holds no longer and would fold the image back."""
        square = x * x + y * y
        square = np.where(square <= _farthest(self) ** 2, square, np.nan)
        if self.model == "equidistant":
            return x * self._stretch(square), y * self._stretch(square)
        p1, p2 = self.coefficients[2:4]
        radial, both = self._stretch(square), 2 * x * y
        return (
            x * radial + p1 * both + p2 * (square + 2 * x * x),
            y * radial + p1 * (square + 2 * y * y) + p2 * both,
        )

    def _stretch(self, square: np.ndarray) -> np.ndarray:
        """Distorted radius by undistorted radius."""
        k = self.coefficients
        stretch: np.ndarray
        if self.model == "equidistant":
            radius = np.sqrt(square)
            angle = np.arctan(radius)
            ratio = np.divide(angle, radius, out=np.ones_like(radius), where=radius > 1e-9)
            stretch = ratio * (1 + sum(k[i] * angle ** (2 * i + 2) for i in range(4)))
            return stretch
        stretch = 1 + k[0] * square + k[1] * square**2 + k[4] * square**3
        if self.model == "rational_polynomial":
            stretch = stretch / (1 + k[5] * square + k[6] * square**2 + k[7] * square**3)
        return stretch


@lru_cache(maxsize=16)
def _farthest(lens: Lens) -> float:
    """The undistorted radius up to which a larger one is also seen farther out."""
    radius = np.linspace(0, WIDEST, 5001)
    seen = radius * lens._stretch(radius**2)
    falls = np.flatnonzero(np.diff(seen) <= 0)
    return float(radius[falls[0]]) if len(falls) else WIDEST


def lens_of(info: Any) -> Lens | None:
    """From sensor_msgs/CameraInfo; None where nothing is bent."""
    given = [float(value) for value in info.d]
    if not any(given):
        return None
    count = MODELS.get(info.distortion_model)
    if count is None:
        raise ValueError(
            f"camera_info's distortion model '{info.distortion_model}' is not known (known are {', '.join(MODELS)}): "
            "give pixels of the rectified image, and set image_rectified"
        )
    if not np.isfinite(given).all() or any(given[count:]):
        raise ValueError(
            f"camera_info has coefficients of {info.distortion_model} that are not known (thin prism, tilted sensor) "
            "or not finite: give pixels of the rectified image, and set image_rectified"
        )
    return Lens(info.distortion_model, tuple((given + [0.0] * count)[:count]))
