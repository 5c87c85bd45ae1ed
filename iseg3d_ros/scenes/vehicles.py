"""Parametric vehicles: bodies lofted over stations from tail to nose, with glass, wheels and mirrors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.shapes import Shape

GLASS = (0.015, 0.015, 0.02)  # so dark that a LiDAR mostly loses it
TYRE = (0.04, 0.04, 0.04)

# Stations: place along the length (0 tail, 1 nose), height of the belt line and of the top, half width (fractions).
SEDAN = ((0, 0.48, 0.54, 0.84), (0.03, 0.58, 0.64, 0.97), (0.14, 0.6, 0.67, 1), (0.3, 0.62, 0.97, 1),
         (0.5, 0.62, 1, 1), (0.6, 0.61, 0.97, 1), (0.74, 0.59, 0.66, 1), (0.94, 0.5, 0.56, 0.96),
         (1, 0.4, 0.44, 0.8))  # fmt: skip
HATCH = ((0, 0.5, 0.56, 0.86), (0.02, 0.6, 0.66, 0.97), (0.1, 0.61, 0.94, 1), (0.3, 0.61, 0.99, 1), (0.5, 0.6, 1, 1),
         (0.6, 0.6, 0.97, 1), (0.76, 0.58, 0.66, 1), (0.95, 0.48, 0.55, 0.95), (1, 0.38, 0.42, 0.8))  # fmt: skip
ESTATE = ((0, 0.5, 0.56, 0.88), (0.02, 0.58, 0.64, 0.98), (0.06, 0.6, 0.95, 1), (0.3, 0.6, 1, 1), (0.5, 0.6, 1, 1),
          (0.61, 0.6, 0.97, 1), (0.74, 0.58, 0.65, 1), (0.95, 0.5, 0.55, 0.96), (1, 0.4, 0.44, 0.8))  # fmt: skip
VAN = ((0, 0.5, 0.96, 0.96), (0.02, 0.52, 1, 1), (0.3, 0.52, 1, 1), (0.6, 0.52, 1, 1), (0.78, 0.51, 0.98, 1),
       (0.9, 0.47, 0.54, 0.98), (0.98, 0.36, 0.42, 0.93), (1, 0.3, 0.34, 0.8))  # fmt: skip
PICKUP = ((0, 0.5, 0.56, 0.95), (0.01, 0.52, 0.58, 1), (0.34, 0.52, 0.58, 1), (0.36, 0.58, 0.97, 1), (0.5, 0.58, 1, 1),
          (0.62, 0.57, 0.97, 1), (0.72, 0.56, 0.64, 1), (0.97, 0.5, 0.56, 0.97), (1, 0.36, 0.4, 0.86))  # fmt: skip
BODIES = (
    (SEDAN, (4.3, 5.0), (1.75, 1.95), (1.38, 1.52)),
    (HATCH, (3.5, 4.3), (1.62, 1.82), (1.42, 1.6)),
    (ESTATE, (4.4, 4.95), (1.78, 1.95), (1.42, 1.62)),
    (ESTATE, (4.2, 5.1), (1.82, 2.05), (1.65, 1.95)),  # off-roaders
    (VAN, (3.9, 4.6), (1.75, 1.95), (1.75, 1.95)),
)
PAINTS = ((0.85, 0.85, 0.86), (0.03, 0.03, 0.035), (0.45, 0.46, 0.48), (0.2, 0.2, 0.22), (0.35, 0.03, 0.03),
          (0.04, 0.07, 0.25), (0.55, 0.5, 0.4), (0.05, 0.2, 0.1), (0.7, 0.6, 0.1))  # fmt: skip


def paint(rng: np.random.Generator) -> NDArray[np.float64]:
    """A coat as cars have it: mostly white, black and grey."""
    weights = np.array([5, 5, 5, 3, 1.5, 2, 1, 0.7, 0.5])
    base = np.array(PAINTS[rng.choice(len(PAINTS), p=weights / weights.sum())])
    return np.clip(base * rng.uniform(0.8, 1.2) + rng.uniform(0, 0.03, 3), 0, 1)


def car(rng: np.random.Generator) -> Shape:
    """A passenger car; x forwards, z up, wheels on z = 0."""
    stations, lengths, widths, heights = BODIES[rng.choice(len(BODIES), p=[0.25, 0.25, 0.15, 0.27, 0.08])]
    shape = Shape()
    _body(shape, rng, stations, (rng.uniform(*lengths), rng.uniform(*widths), rng.uniform(*heights)), glazed=1.0)
    return shape


def pickup(rng: np.random.Generator) -> Shape:
    """A pick-up truck, sometimes loaded."""
    shape, size = Shape(), (rng.uniform(5.0, 5.9), rng.uniform(1.85, 2.05), rng.uniform(1.75, 1.95))
    _body(shape, rng, PICKUP, size, glazed=1.0)
    if rng.random() < 0.4:
        top = size[2] * rng.uniform(0.65, 1.0)
        shape.box((-size[0] * 0.47, -0.7, size[2] * 0.55), (-size[0] * 0.18, 0.7, top), rng.uniform(0.1, 0.6, 3))
    return shape


def van(rng: np.random.Generator) -> Shape:
    """A delivery van or minibus."""
    shape = Shape()
    size = (rng.uniform(4.8, 7.0), rng.uniform(1.9, 2.1), rng.uniform(1.95, 2.75))
    _body(shape, rng, VAN, size, glazed=1.0 if rng.random() < 0.3 else 0.3)
    return shape


def truck(rng: np.random.Generator) -> Shape:
    """A lorry: cab and box, tipper, tank or flat bed."""
    shape, coat = Shape(), paint(rng)
    length, width, height = rng.uniform(6, 11), rng.uniform(2.2, 2.55), rng.uniform(2.6, 3.9)
    _cab(shape, rng, (length / 2, width, rng.uniform(2.4, 3.2)), coat)
    tail, front = -length / 2, length / 2 - 2.1
    shape.box((tail, -0.5, 0.7), (length / 2 - 0.5, 0.5, 1.0), (0.1, 0.1, 0.1))
    _cargo(shape, rng, tail, front, width, height)
    _wheels(shape, [tail + 1.2, tail + 2.3, length / 2 - 1.3][int(length < 8) :], width, 0.5)
    return shape


def trailer(rng: np.random.Generator) -> Shape:
    """A trailer or caravan on its own."""
    shape = Shape()
    length, width, height = rng.uniform(2.2, 6.5), rng.uniform(1.5, 2.4), rng.uniform(1.2, 2.8)
    _cargo(shape, rng, -length / 2, length / 2, width, height, floor=0.55)
    shape.tube((length / 2, 0, 0.5), (length / 2 + 1.1, 0, 0.45), 0.05, (0.2, 0.2, 0.2))
    _wheels(shape, [0.0, 0.8][: int(length > 4) + 1], width, 0.33)
    return shape


def bus(rng: np.random.Generator) -> Shape:
    """A bus with a band of windows."""
    shape, coat = Shape(), paint(rng)
    length, width, height = rng.uniform(9, 13), 2.55, rng.uniform(2.9, 3.5)
    stations = tuple((k, 0.42, 1.0, 1.0) for k in np.linspace(0, 1, int(length / 1.3)))
    _loft(shape, stations, (length, width, height), coat, glazed=1.0, clearance=0.3)
    _wheels(shape, [-length * 0.28, length * 0.32], width, 0.48)
    return shape


def container(rng: np.random.Generator) -> Shape:
    """A skip or shipping container on the ground."""
    shape, coat = Shape(), rng.uniform(0.05, 0.6, 3)
    x, y, z = rng.uniform(1.5, 6.1) / 2, rng.uniform(1.4, 2.44) / 2, rng.uniform(1.0, 2.6)
    if z > 1.7:
        return shape.box((-x, -y, 0), (x, y, z), coat)
    shape.box((-x, -y, 0), (x, y, 0.1), coat)
    for low, high in (((-x, -y, 0), (x, -y + 0.06, z)), ((-x, y - 0.06, 0), (x, y, z)),
                      ((-x, -y, 0), (-x + 0.06, y, z)), ((x - 0.06, -y, 0), (x, y, z))):  # fmt: skip
        shape.box(low, high, coat)
    return shape


def _body(shape: Shape, rng: np.random.Generator, stations: tuple[tuple[float, ...], ...],
          size: tuple[float, float, float], glazed: float) -> None:  # fmt: skip
    table = np.array(stations)
    table[1:-1, 0] += rng.normal(0, 0.012, len(table) - 2)
    table[:, 1:3] *= rng.uniform(0.97, 1.03)
    table[:, 2] = np.minimum(table[:, 2], 1.0)
    _loft(shape, tuple(map(tuple, table)), size, paint(rng), glazed, clearance=size[2] * rng.uniform(0.11, 0.16))
    length, width, height = size
    for x in (0.06, -0.14):  # seats and dashboard, which show through clean glass
        for side in (-1, 1):
            y = side * width * 0.22
            shape.box((x * length - 0.1, y - 0.24, 0.4), (x * length + 0.1, y + 0.24, height * 0.78), TYRE)
    shape.box((length * 0.2, -width * 0.42, 0.4), (length * 0.26, width * 0.42, height * 0.6), TYRE)
    radius = rng.uniform(0.3, 0.36) * (1.1 if height > 1.7 else 1)
    _wheels(shape, [-length * rng.uniform(0.27, 0.31), length * rng.uniform(0.29, 0.33)], width, radius)
    for side in (-1, 1):
        shape.box((length * 0.2, side * (width / 2 + 0.08) - 0.08, height * 0.58),
                  (length * 0.2 + 0.12, side * (width / 2 + 0.08) + 0.08, height * 0.68), (0.1, 0.1, 0.1))  # fmt: skip


def _loft(shape: Shape, stations: tuple[tuple[float, ...], ...], size: tuple[float, float, float],
          coat: NDArray[np.float64], glazed: float, clearance: float) -> None:  # fmt: skip
    """Rings of eight points a station; where the top stands high above the belt, there is glass between."""
    length, width, height = size
    x, belt, top, wide = np.array(stations).T
    half, cabin = wide * width / 2, np.clip((top - belt) / 0.4, 0, 1)
    roof = half * (0.9 - 0.14 * cabin * (height < 2.2))
    y = np.stack([-half * 0.92, -half, -half * 0.99, -roof, roof, half * 0.99, half, half * 0.92], 1)
    z = np.stack([0 * x + clearance, (belt * height + clearance) / 2, belt * height, top * height], 1)
    z = np.concatenate([z, z[:, ::-1]], 1)
    rings = np.stack([np.broadcast_to(((x - 0.5) * length)[:, None], y.shape), y, z], -1)
    colours = np.broadcast_to(coat, (len(x) - 1, 8, 3)).copy()
    high = (top - belt)[:-1] > 0.25, (top - belt)[1:] > 0.25
    screen = high[0] ^ high[1]
    sides = (high[0] | high[1]) & (x[:-1] >= 1 - glazed - 0.05)
    colours[sides, 2] = colours[sides, 4] = GLASS
    colours[screen, 3] = GLASS
    colours[:, 7] = (0.05, 0.05, 0.05)
    shape.loft(rings, colours)


def _wheels(shape: Shape, places: list[float], width: float, radius: float) -> None:
    for x in places:
        for side in (-1, 1):
            outer = side * (width / 2 - 0.02)
            shape.tube((x, outer, radius), (x, outer - side * 0.24, radius), radius, TYRE, sides=12)
            shape.tube((x, outer + side * 0.01, radius), (x, outer, radius), radius * 0.6, (0.5, 0.5, 0.5), sides=8)


def _cab(shape: Shape, rng: np.random.Generator, size: tuple[float, float, float], coat: NDArray[np.float64]) -> None:
    front, width, height = size
    shape.box((front - 2.0, -width / 2, 0.5), (front, width / 2, height), coat)
    shape.box((front - 0.02, -width / 2 + 0.15, height * 0.55), (front + 0.01, width / 2 - 0.15, height * 0.9), GLASS)
    for side in (-1, 1):
        y = side * width / 2
        shape.box((front - 1.1, y - 0.01, height * 0.55), (front - 0.2, y + 0.01, height * 0.88), GLASS)
        shape.box((front - 0.1, y + side * 0.1 - 0.1, height * 0.6), (front, y + side * 0.1 + 0.1, height * 0.8), GLASS)


def _cargo(shape: Shape, rng: np.random.Generator, tail: float, front: float, width: float, height: float,
           floor: float = 1.0) -> None:  # fmt: skip
    half, coat = width / 2, rng.uniform(0.1, 0.9, 3)
    kind = rng.choice(4, p=[0.55, 0.2, 0.1, 0.15])
    if kind == 0:
        shape.box((tail, -half, floor), (front, half, height), coat)
        return
    shape.box((tail, -half, floor - 0.1), (front, half, floor + 0.1), (0.15, 0.15, 0.15))
    if kind == 1:  # drop sides
        edge = floor + rng.uniform(0.3, 0.8)
        shape.box((tail, -half, floor), (front, -half + 0.06, edge), coat)
        shape.box((tail, half - 0.06, floor), (front, half, edge), coat)
    elif kind == 2:  # tank
        radius = min(half * 0.95, max((height - floor) / 2, 0.4))
        shape.tube((tail, 0, floor + radius), (front, 0, floor + radius), radius, coat, sides=14)
    else:  # a load on a flat bed
        end = tail + (front - tail) * rng.uniform(0.4, 0.95)
        shape.box((tail + 0.1, -half * 0.9, floor), (end, half * 0.9, floor + rng.uniform(0.4, 1.6)), coat)


VEHICLES: dict[str, Callable[[np.random.Generator], Shape]] = {
    "car": car, "pickup truck": pickup, "van": van, "truck": truck, "bus": bus, "trailer": trailer,
    "container": container,
}  # fmt: skip
