"""Pedestrians, riders and their two-wheelers from capsules and tubes, in many poses."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.scenes.shapes import Shape

SKIN = ((0.75, 0.55, 0.45), (0.45, 0.3, 0.22), (0.25, 0.16, 0.12), (0.85, 0.66, 0.55))
DARK = (0.08, 0.08, 0.08)


def person(rng: np.random.Generator) -> Shape:
    """Somebody standing or walking, facing x, feet on z = 0; some with a bag, a pram, a skirt or an umbrella."""
    shape, h = Shape(), 1.0  # built for a height of one, scaled at the end
    stride = float(rng.choice([0.02, rng.uniform(0.05, 0.2)]))
    _legs(shape, rng, stride)
    coat, top = rng.uniform(0.03, 0.8, 3), rng.uniform(0.1, 0.14)
    shape.tube((0, 0, 0.46), (0, 0, 0.64), 0.085, coat, last=top)
    shape.tube((0, 0, 0.64), (0, 0, 0.83), top, coat, last=0.06)
    _arms(shape, rng, stride, coat)
    skin = SKIN[rng.integers(len(SKIN))]
    shape.tube((0, 0, 0.82), (0, 0, 0.88), 0.035, skin)
    shape.ball((0.01, 0, 0.93), (0.058, 0.048, 0.07), skin)
    _luggage(shape, rng)
    height = rng.uniform(1.5, 1.95) if rng.random() < 0.85 else rng.uniform(0.95, 1.45)
    wide = rng.uniform(0.9, 1.25)
    return _scaled(shape, (height * wide, height * wide, height * h))


def bicycle(rng: np.random.Generator, rider: bool | None = None) -> Shape:
    """A bicycle, ridden or parked."""
    shape, coat = Shape(), rng.uniform(0.05, 0.8, 3)
    radius, base = rng.uniform(0.3, 0.36), rng.uniform(0.95, 1.12)
    rear, front = np.array([-base / 2, 0, radius]), np.array([base / 2, 0, radius])
    _spoked(shape, rear, radius)
    _spoked(shape, front, radius)
    saddle, bar = np.array([-0.2, 0, 0.95]), np.array([base / 2 - 0.18, 0, 1.0])
    crank, head = np.array([-0.05, 0, 0.3]), bar - [-0.04, 0, 0.2]
    for a, b in ((rear, crank), (crank, head), (saddle, crank), (saddle - [0, 0, 0.12], head), (front, bar),
                 (rear, saddle - [0, 0, 0.15])):  # fmt: skip
        shape.tube(a, b, 0.02, coat, sides=5)
    shape.tube(bar - [0, 0.28, 0], bar + [0, 0.28, 0], 0.02, DARK, sides=5)
    shape.box(saddle - [0.13, 0.07, 0.03], saddle + [0.13, 0.07, 0.03], DARK)
    if rng.random() < 0.35:  # basket or child seat
        place = bar + [0.12, 0, -0.1] if rng.random() < 0.5 else saddle + [-0.3, 0, 0.0]
        shape.box(place - [0.15, 0.15, 0.12], place + [0.15, 0.15, 0.15], rng.uniform(0.1, 0.6, 3))
    if rng.random() < 0.5 if rider is None else rider:
        _rider(shape, rng, saddle, bar, crank)
    return shape


def motorcycle(rng: np.random.Generator, rider: bool | None = None) -> Shape:
    """A motorcycle or scooter, ridden or parked."""
    shape, coat = Shape(), rng.uniform(0.03, 0.6, 3)
    radius, base = rng.uniform(0.22, 0.32), rng.uniform(1.2, 1.5)
    for x in (-base / 2, base / 2):
        shape.tube((x, -0.07, radius), (x, 0.07, radius), radius, DARK, sides=12)
    saddle, bar = np.array([-0.3, 0, 0.8]), np.array([base / 2 - 0.3, 0, 1.05])
    shape.box((-base / 2 - 0.1, -0.16, 0.35), (0.1, 0.16, 0.7), coat)
    shape.box((-base / 2 - 0.15, -0.14, 0.7), (0.05, 0.14, 0.8), DARK)
    shape.tube((base / 2, 0, radius), bar, 0.07, coat)
    shape.tube(bar - [0, 0.36, 0], bar + [0, 0.36, 0], 0.025, DARK, sides=5)
    if rng.random() < 0.5:  # scooter: leg shield, flat floor
        shape.box((base / 2 - 0.35, -0.25, 0.3), (base / 2 - 0.25, 0.25, 0.95), coat)
        shape.box((0, -0.2, 0.25), (base / 2 - 0.3, 0.2, 0.33), DARK)
    else:
        shape.ball((0.12, 0, 0.78), (0.28, 0.17, 0.16), coat)
        shape.box((-0.1, -0.15, 0.25), (0.3, 0.15, 0.65), (0.2, 0.2, 0.2))
    if rng.random() < 0.3:
        shape.box((-base / 2 - 0.35, -0.22, 0.75), (-base / 2 + 0.05, 0.22, 1.15), coat)
    if rng.random() < 0.4 if rider is None else rider:
        _rider(shape, rng, saddle, bar, np.array([0.1, 0, 0.3]))
    return shape


def _legs(shape: Shape, rng: np.random.Generator, stride: float) -> None:
    trousers = rng.uniform(0.03, 0.5, 3)
    for side in (-1, 1):
        hip, foot = np.array([0, side * 0.05, 0.48]), np.array([side * stride, side * 0.055, 0.03])
        knee = (hip + foot) / 2 + [0.02 + stride * 0.2, 0, 0]
        shape.tube(hip, knee, 0.055, trousers, last=0.042, sides=6).tube(knee, foot, 0.042, trousers, 0.03, sides=6)
        shape.box(foot + [-0.03, -0.025, -0.03], foot + [0.1, 0.025, 0.02], DARK)
    if rng.random() < 0.15:
        shape.tube((0, 0, rng.uniform(0.1, 0.3)), (0, 0, 0.5), 0.15, trousers, last=0.09)


def _arms(shape: Shape, rng: np.random.Generator, stride: float, coat: np.ndarray) -> None:
    raised = rng.random(2) < 0.15
    for side, up in zip((-1, 1), raised):
        shoulder = np.array([0, side * 0.115, 0.79])
        elbow = shoulder + [-side * stride * 0.4, side * rng.uniform(0.01, 0.05), -0.17]
        hand = elbow + ([0.15, -side * 0.02, 0.05] if up else [0.03 - side * stride * 0.5, 0, -0.15])
        shape.tube(shoulder, elbow, 0.035, coat, 0.03, sides=6).tube(elbow, hand, 0.028, coat, 0.022, sides=6)


def _luggage(shape: Shape, rng: np.random.Generator) -> None:
    kind, colour = rng.choice(6, p=[0.55, 0.15, 0.12, 0.08, 0.05, 0.05]), rng.uniform(0.03, 0.7, 3)
    if kind == 1:  # backpack
        shape.box((-0.2, -0.09, 0.55), (-0.08, 0.09, 0.8), colour)
    elif kind == 2:  # bag in the hand
        shape.box((-0.08, 0.13, 0.28), (0.1, 0.18, 0.46), colour)
    elif kind == 3:  # pram
        shape.box((0.3, -0.13, 0.25), (0.7, 0.13, 0.48), colour).tube((0.3, 0, 0.45), (0.12, 0, 0.58), 0.012, DARK)
        for x, y in ((0.34, -0.14), (0.66, -0.14), (0.34, 0.14), (0.66, 0.14)):
            shape.tube((x, y - 0.01, 0.06), (x, y + 0.01, 0.06), 0.06, DARK).tube(
                (x, y, 0.06), (0.5, y, 0.25), 0.01, DARK
            )
    elif kind == 4:  # umbrella
        shape.tube((0.08, 0.1, 0.6), (0.08, 0.1, 1.1), 0.008, DARK).tube(
            (0.08, 0.1, 1.02), (0.08, 0.1, 1.14), 0.3, colour, 0.01
        )
    elif kind == 5:  # suitcase on wheels
        shape.box((-0.4, 0.05, 0.02), (-0.25, 0.22, 0.36), colour).tube(
            (-0.3, 0.13, 0.36), (-0.05, 0.14, 0.45), 0.01, DARK
        )


def _rider(shape: Shape, rng: np.random.Generator, saddle: np.ndarray, bar: np.ndarray, pedal: np.ndarray) -> None:
    coat, trousers = rng.uniform(0.03, 0.8, 3), rng.uniform(0.03, 0.4, 3)
    shoulder = saddle + [rng.uniform(0.15, 0.35), 0, 0.52]
    shape.tube(saddle, shoulder, 0.15, coat, last=0.19)
    shape.ball(shoulder + [0.08, 0, 0.24], (0.11, 0.1, 0.13), rng.uniform(0.05, 0.8, 3))
    for side in (-1, 1):
        out = np.array([0, side * 0.16, 0])
        knee = (saddle + pedal) / 2 + [0.3, side * 0.14, 0.12 * side]
        shape.tube(saddle + out / 2, knee, 0.08, trousers, sides=6).tube(knee, pedal + out, 0.06, trousers, sides=6)
        elbow = (shoulder + bar) / 2 + [0, side * 0.25, -0.05]
        shape.tube(shoulder + out, elbow, 0.05, coat, sides=6).tube(elbow, bar + out * 1.5, 0.04, coat, sides=6)


def _spoked(shape: Shape, hub: np.ndarray, radius: float) -> None:
    """A wheel whose disc lets most rays through: rim and a few spokes."""
    a = np.linspace(0, 2 * np.pi, 13)
    rim = hub + radius * np.stack([np.cos(a), 0 * a, np.sin(a)], 1)
    for k in range(12):
        shape.tube(rim[k], rim[k + 1], 0.022, DARK, sides=4)
    for k in range(0, 12, 2):
        shape.tube(hub, rim[k], 0.006, (0.5, 0.5, 0.5), sides=3)


def _scaled(shape: Shape, factors: tuple[float, float, float]) -> Shape:
    vertices, faces, colours = shape.arrays()
    return Shape().add(vertices * np.asarray(factors, np.float32), faces, colours)
