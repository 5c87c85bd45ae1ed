"""Sequences of labelled sweeps for the tracking benchmark: rays against boxes and cylinders that stand, move and go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

RATE = 10.0  # sweeps a second


@dataclass
class Thing:
    """An upright box (or cylinder, whose first two sizes are its diameter) on the ground, as it is at time 0."""

    place: np.ndarray  # of its bottom's middle
    size: np.ndarray
    yaw: float = 0.0
    round: bool = False
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # metres per second
    moves: tuple[float, float] = (0.0, math.inf)  # seconds between which it moves
    gone: tuple[float, float] = (math.inf, math.inf)  # seconds between which it is not there
    back: np.ndarray | None = None  # where it is put when it returns; None: where it was
    colour: tuple[int, int, int] = (120, 120, 120)
    target: bool = False  # whether it is clicked on and tracked

    def at(self, time: float) -> np.ndarray:
        """Its place."""
        if self.back is not None and time >= self.gone[1]:
            return self.back
        moved = self.velocity * (min(max(time, self.moves[0]), self.moves[1]) - self.moves[0])
        return self.place + np.array([*moved, 0.0])

    def there(self, time: float) -> bool:
        """Whether it is in the scene."""
        return not self.gone[0] <= time < self.gone[1]


@dataclass(frozen=True)
class Sensor:
    """Rays of one sweep in the sensor's frame, noise in metres, range in metres."""

    rays: np.ndarray
    noise: float
    range: float


@dataclass(frozen=True)
class Sequence:
    """A scene with what drives through it; `pose(time)` is the sensor's 4x4 pose in the fixed frame."""

    name: str
    things: list[Thing]
    sensor: Sensor
    path: str
    walls: tuple[float, float] | None
    voxel: float

    def pose(self, time: float) -> np.ndarray:
        """Where the sensor is."""
        if self.path == "street":
            return _pose(np.array([-8.0 + 2.0 * time, 0.3 * math.sin(0.4 * time), 1.8]), np.array([1.0, 0.0, 0.0]))
        away, height = (0.75, 0.55) if self.path == "table" else (2.6, 1.5)
        angle = -1.8 + 0.06 * time
        eye = np.array([away * math.cos(angle), away * math.sin(angle), height])
        return _pose(eye, np.array([0.0, 0.0, 0.05 if self.path == "table" else 0.4]) - eye)


@dataclass(frozen=True)
class Sweep:
    """One cloud in the sensor's frame with its truth: 0 ground and walls, k the k-th thing."""

    time: float
    pose: np.ndarray
    xyz: np.ndarray
    rgb: np.ndarray
    truth: np.ndarray


def camera(width: int = 144, height: int = 108, degrees: float = 60.0, noise: float = 0.0015) -> Sensor:
    """A depth camera that looks along x."""
    half = math.tan(math.radians(degrees / 2))
    y, z = np.meshgrid(np.linspace(half, -half, width), np.linspace(half, -half, height) * height / width)
    rays = np.stack([np.ones_like(y), y, z], -1).reshape(-1, 3)
    return Sensor(rays / np.linalg.norm(rays, axis=1, keepdims=True), noise, 12.0)


def lidar(rings: int = 32, columns: int = 720, noise: float = 0.015) -> Sensor:
    """A turning scanner."""
    angle, up = np.meshgrid(np.linspace(-math.pi, math.pi, columns, False), np.radians(np.linspace(-16, 6, rings)))
    rays = np.stack([np.cos(up) * np.cos(angle), np.cos(up) * np.sin(angle), np.sin(up)], -1)
    return Sensor(rays.reshape(-1, 3), noise, 60.0)


def sweeps(sequence: Sequence, count: int, seed: int = 0) -> Iterator[Sweep]:
    """The sequence's clouds, RATE a second."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        time = number / RATE
        yield sweep(sequence, time, rng)


def sweep(sequence: Sequence, time: float, rng: np.random.Generator) -> Sweep:
    """The cloud of one moment."""
    pose, sensor = sequence.pose(time), sequence.sensor
    directions, origin = sensor.rays @ pose[:3, :3].T, pose[:3, 3]
    distance = _ground(origin, directions)
    if sequence.walls is not None:
        distance = np.minimum(distance, _walls(origin, directions, sequence.walls))
    truth = np.zeros(len(directions), np.int32)
    for index, thing in enumerate(sequence.things, 1):
        if thing.there(time):
            hit = _hit(thing, thing.at(time), origin, directions)
            nearer = hit < distance
            distance[nearer], truth[nearer] = hit[nearer], index
    seen = distance < sensor.range
    noisy = distance[seen] + rng.normal(0, sensor.noise, int(seen.sum()))
    colours = np.array([(140, 140, 140), *(thing.colour for thing in sequence.things)], np.int32)[truth[seen]]
    rgb = np.clip(colours + rng.normal(0, 6, colours.shape), 0, 255).astype(np.uint8)
    return Sweep(time, pose, (sensor.rays[seen] * noisy[:, None]).astype(np.float32), rgb, truth[seen])


def table(seed: int, kind: str) -> Sequence:
    """Small things side by side on a table top; the sensor goes slowly round them."""
    rng = np.random.default_rng(seed)
    things = _scattered(rng, 9, 0.38, (0.04, 0.09), (0.05, 0.14), 0.018)
    _happen(things, kind, rng, speed=0.15, away=0.1)
    return Sequence(f"table {kind}", things, camera(176, 132, 50.0), "table", None, 0.008)


def room(seed: int, kind: str) -> Sequence:
    """Furniture-sized things between four walls."""
    rng = np.random.default_rng(seed)
    things = _scattered(rng, 8, 1.5, (0.25, 0.55), (0.3, 1.1), 0.12)
    _happen(things, kind, rng, speed=0.5, away=0.5)
    return Sequence(f"room {kind}", things, camera(noise=0.004), "room", (3.2, 3.2), 0.03)


def street(seed: int, kind: str) -> Sequence:
    """Cars, poles and people beside the way of a car that drives by."""
    rng = np.random.default_rng(seed)
    things = []
    for number in range(6):
        side = 1 if number % 2 else -1
        place = np.array([-2.0 + 5.0 * number, side * rng.uniform(4.0, 5.0), 0.0])
        things.append(Thing(place, np.array([4.2, 1.8, 1.5]), rng.normal(0, 0.05), colour=_colour(rng)))
    for _ in range(6):
        place = np.array([rng.uniform(0, 25), rng.choice([-1, 1]) * rng.uniform(6.8, 8.0), 0.0])
        things.append(Thing(place, np.array([0.5, 0.5, 1.7]), round=True, colour=_colour(rng)))
    things[2].target = things[3].target = things[6].target = True
    things[6].place = np.array([8.0, -7.2, 0.0])
    if kind == "moving":
        things[3].velocity, things[3].moves = np.array([4.0, 0.0]), (1.0, math.inf)
        things[6].velocity = np.array([1.2, 0.3])
    if kind == "vanishing":
        things[3].gone = (3.0, math.inf)
    return Sequence(f"street {kind}", things, lidar(), "street", (60.0, 14.0), 0.15)


SCENES = {"table": table, "room": room, "street": street}
KINDS = ("standing", "moving", "vanishing", "returning", "exchanged", "occluded", "touching")


def _happen(things: list[Thing], kind: str, rng: np.random.Generator, speed: float, away: float) -> None:
    """Three of the things are tracked, and something happens to the first of them."""
    far = max(range(2, len(things)), key=lambda i: float(np.linalg.norm(things[i].place - things[0].place)))
    things[2], things[far] = things[far], things[2]
    first, second, third = things[:3]
    first.target = second.target = third.target = True
    middle = np.array([0.5 * (first.size[0] + second.size[0]), 0.0, 0.0])
    if kind == "moving":
        first.velocity, first.moves = speed * _direction(rng), (1.0, 2.0)
        second.velocity, second.moves = speed * _direction(rng), (3.0, 4.0)
    if kind in ("vanishing", "returning"):  # the second stands close by and looks the same
        second.place = first.place + middle + np.array([0.15 * away, 0.0, 0.0])
        second.size, second.round, second.colour = first.size, first.round, first.colour
        second.yaw = first.yaw = 0.0
        first.gone = (2.0, math.inf if kind == "vanishing" else 4.0)
    if kind == "exchanged":  # two of one shape and two colours are taken away and come back in one another's place
        second.place = first.place + middle + np.array([0.3 * away, 0.0, 0.0])
        second.size, second.round, second.yaw = first.size, first.round, first.yaw
        first.colour, second.colour = (200, 50, 40), (40, 70, 190)
        first.gone = second.gone = (1.5, 3.0)
        first.back, second.back = second.place, first.place
    if kind == "touching":
        second.place = first.place + middle + np.array([0.002, 0.0, 0.0])
        second.yaw = first.yaw = 0.0
    if kind == "occluded":  # something as high as it passes between it and the sensor
        toward = np.array([math.cos(-1.7), math.sin(-1.7)])
        across = np.array([-toward[1], toward[0]])
        start = first.place[:2] + away * 1.5 * toward - 3 * away * across
        size = np.array([away, 0.3 * away, 1.3 * first.size[2]])
        passing = Thing(np.array([*start, 0.0]), size, math.atan2(across[1], across[0]), colour=(30, 30, 30))
        passing.velocity, passing.moves = 1.5 * away * across, (1.0, 5.0)
        things.append(passing)
    for other in things[3:9]:  # nothing else stands in their places
        if any(np.linalg.norm(other.place[:2] - thing.place[:2]) < away for thing in things[:3]):
            other.gone = (-1.0, math.inf)


def _scattered(
    rng: np.random.Generator,
    count: int,
    reach: float,
    sides: tuple[float, float],
    heights: tuple[float, float],
    gap: float,
) -> list[Thing]:
    things: list[Thing] = []
    for _ in range(1000):
        place = np.array([*rng.uniform(-reach, reach, 2), 0.0])
        size = np.array([*rng.uniform(*sides, 2), rng.uniform(*heights)])
        near = [
            np.linalg.norm(place[:2] - other.place[:2]) < 0.7 * (max(size[:2]) + max(other.size[:2])) + gap
            for other in things
        ]
        if not any(near):
            things.append(Thing(place, size, rng.uniform(0, math.pi), bool(rng.random() < 0.4), colour=_colour(rng)))
        if len(things) == count:
            break
    return things


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(30, 230, 3))
    return red, green, blue


def _pose(eye: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """x looks forward, z is as upright as that allows."""
    x = forward / np.linalg.norm(forward)
    y = np.cross([0.0, 0.0, 1.0], x)
    y /= np.linalg.norm(y)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = np.stack([x, y, np.cross(x, y)], 1), eye
    return out


def _ground(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        distance = -origin[2] / rays[:, 2]
    return np.where(distance > 0, distance, np.inf)


def _walls(origin: np.ndarray, rays: np.ndarray, half: tuple[float, float]) -> np.ndarray:
    """The four walls around the middle, from within."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = [(np.sign(rays[:, axis]) * half[axis] - origin[axis]) / rays[:, axis] for axis in range(2)]
    return np.minimum(*(np.where(np.isfinite(way) & (way > 0), way, np.inf) for way in ways))


def _hit(thing: Thing, place: np.ndarray, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance along each ray to a thing, infinite where it misses."""
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    start, way = turn @ (origin - place), rays @ turn.T
    low, high = np.full(len(rays), -np.inf), np.full(len(rays), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis, (least, most) in enumerate(_sides(thing)):
            if least is None:
                continue
            first, second = (least - start[axis]) / way[:, axis], (most - start[axis]) / way[:, axis]
            low, high = np.maximum(low, np.minimum(first, second)), np.minimum(high, np.maximum(first, second))
        if thing.round:
            radius = thing.size[0] / 2
            a = (way[:, :2] ** 2).sum(1)
            b = (way[:, :2] * start[:2]).sum(1)
            root = b * b - a * (start[:2] @ start[:2] - radius**2)
            root = np.where(root >= 0, np.sqrt(np.maximum(root, 0)), np.nan)
            low, high = np.maximum(low, (-b - root) / a), np.minimum(high, (-b + root) / a)
        return np.where((low <= high) & (low > 0), low, np.inf)


def _sides(thing: Thing) -> list[tuple[float | None, float]]:
    x, y, z = (float(value) for value in thing.size)
    around: list[tuple[float | None, float]] = [(None, 0.0)] * 2 if thing.round else [(-x / 2, x / 2), (-y / 2, y / 2)]
    return [*around, (0.0, z)]
