"""Where a robot stops before an object: on free ground of the cloud, at a distance, facing it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt, minimum_filter
from scipy.spatial import cKDTree

STEP = 0.12  # metres above the ground of what stands in a robot's way
AROUND = 1.0  # metres within which the lowest points are the ground
CELLS, CELL = 4, 0.05  # cells of the ground across a robot's radius; metres of a cell at least
MOST = 1_000  # cells along a side of the ground that is looked at
DIRECTIONS = 72  # from which an object is approached
FARTHER = (1.0, 1.25, 1.5)  # times the distance that is wanted, where nothing is free there
MARGIN = 1.0  # metres beyond a robot's place that are looked at
SAMPLE = 5_000  # points of an object at most


@dataclass(frozen=True)
class Robot:
    """What has to find room: its radius and height in metres."""

    radius: float = 0.35
    height: float = 1.5


@dataclass(frozen=True)
class Approach:
    """A place on the ground and a rotation matrix: x towards the object, z up."""

    place: np.ndarray
    rotation: np.ndarray


def approach(
    xyz: np.ndarray, chosen: np.ndarray, up: np.ndarray, start: np.ndarray, distance: float, robot: Robot
) -> Approach:
    """The free place nearest to `start`, `distance` from the object's points (rows `chosen`), facing the object.

    ValueError says in words why there is none. Ground that the cloud does not show is not free.
    """
    axes = _axes(up)
    thing = (xyz[chosen[:: max(1, len(chosen) // SAMPLE)]].astype(np.float64)) @ axes
    middle = thing.mean(0)
    reach = float(np.linalg.norm(thing[:, :2] - middle[:2], axis=1).max()) + FARTHER[-1] * distance
    others = np.ones(len(xyz), bool)
    others[chosen] = False
    near = _near(xyz, axes, middle, reach + robot.radius + MARGIN)
    ground = Ground(xyz[near].astype(np.float64) @ axes, others[near], middle, reach + robot.radius + MARGIN, robot)
    tree, begin = cKDTree(thing[:, :2]), start @ axes
    for times in FARTHER:
        places = _ring(tree, middle[:2], times * distance)
        free = places[ground.free(places)]
        open_to = free[[ground.sees(place, middle) for place in free]] if len(free) else free
        if len(open_to):
            best = open_to[np.linalg.norm(open_to - begin[:2], axis=1).argmin()]
            return _facing(axes, np.array([*best, ground.height(best)]), middle)
    raise ValueError(
        f"no free ground of {robot.radius:g} m around is seen {distance:g} to {FARTHER[-1] * distance:g} m from the "
        "object with a free view of it: change approach_distance or robot_radius, or look at the ground before it"
    )


class Ground:
    """The ground around an object, in cells: how high it is, what stands on it, what hides the object."""

    def __init__(self, points: np.ndarray, others: np.ndarray, middle: np.ndarray, reach: float, robot: Robot) -> None:
        """`points` in axes with z up; `others` are those that are not the object's."""
        self._robot = robot
        self.cell = max(robot.radius / CELLS, CELL, 2 * reach / MOST)
        self._corner = middle[:2] - reach
        self._side = int(np.ceil(2 * reach / self.cell)) + 1
        cells = np.floor((points[:, :2] - self._corner) / self.cell).astype(np.int64)
        inside = ((cells >= 0) & (cells < self._side)).all(1)
        self._number = cells[inside, 1] * self._side + cells[inside, 0]
        self._z, self._others = points[inside, 2], others[inside]
        self._tall = middle[2]

    def free(self, places: np.ndarray) -> np.ndarray:
        """At which places the robot has room."""
        column, line = self._cell(places)
        room: np.ndarray = self._room[line, column] >= self._robot.radius + self.cell  # what rounding to cells hides
        return room

    def sees(self, place: np.ndarray, middle: np.ndarray) -> bool:
        """Whether nothing as high as the object's middle stands between a place and the object."""
        count = int(np.linalg.norm(place - middle[:2]) / self.cell * 2) + 2
        column, line = self._cell(place + np.linspace(0, 1, count)[:, None] * (middle[:2] - place))
        return not self._hiding[line, column].any()

    def height(self, place: np.ndarray) -> float:
        """Of the ground at a place."""
        column, line = self._cell(place[None])
        return float(self._low[line[0], column[0]])

    @cached_property
    def _low(self) -> np.ndarray:
        """The lowest point around every cell, infinite where there is none."""
        lowest = self._grid(self._z, np.minimum, np.inf)
        size = 2 * round(AROUND / 2 / self.cell) + 1
        out: np.ndarray = minimum_filter(lowest, size, mode="constant", cval=np.inf)
        return out

    @cached_property
    def _room(self) -> np.ndarray:
        """Metres from every cell to the nearest that is not free ground; gaps as wide as a cell are none."""
        above = self._z - self._low.reshape(-1)[self._number]
        known = self._grid(np.ones(len(self._z)), np.maximum, 0.0) > 0
        standing = (above > STEP) & (above < self._robot.height)
        blocked = self._grid(standing.astype(float), np.maximum, 0.0) > 0
        ground = binary_closing(known, np.ones((3, 3)), iterations=2) & ~blocked
        out: np.ndarray = distance_transform_edt(np.pad(ground, 1))[1:-1, 1:-1] * self.cell
        return out

    @cached_property
    def _hiding(self) -> np.ndarray:
        """Cells with something that is not the object and as high as its middle."""
        tall = self._others & (self._z > self._tall) & (self._z < self._tall + self._robot.height)
        out: np.ndarray = self._grid(tall.astype(float), np.maximum, 0.0) > 0
        near = self._grid((~self._others).astype(float), np.maximum, 0.0) > 0
        return out & ~near

    def _grid(self, values: np.ndarray, reduce: np.ufunc, empty: float) -> np.ndarray:
        out = np.full(self._side * self._side, empty)
        reduce.at(out, self._number, values)
        return out.reshape(self._side, self._side)

    def _cell(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cells = np.clip(np.floor((places - self._corner) / self.cell).astype(np.int64), 0, self._side - 1)
        return cells[:, 0], cells[:, 1]


def _axes(up: np.ndarray) -> np.ndarray:
    """Columns: two axes along the ground, and up."""
    z = np.asarray(up, np.float64) / np.linalg.norm(up)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1)


def _near(xyz: np.ndarray, axes: np.ndarray, middle: np.ndarray, reach: float) -> np.ndarray:
    """Rows of the points in the square around an object."""
    near = np.ones(len(xyz), bool)
    for axis in range(2):
        near &= np.abs(xyz @ axes[:, axis].astype(np.float32) - np.float32(middle[axis])) <= reach
    return np.flatnonzero(near)


def _ring(tree: cKDTree, middle: np.ndarray, distance: float) -> np.ndarray:
    """Places all around whose nearest point of the object is that far away."""
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    inner, outer = np.zeros(DIRECTIONS), np.full(DIRECTIONS, distance + float(np.ptp(tree.data, axis=0).max()) + 1.0)
    for _ in range(30):  # halving: the distance grows outwards, but for the hollows of an object
        half = (inner + outer) / 2
        too_near = tree.query(middle + half[:, None] * directions)[0] < distance
        inner, outer = np.where(too_near, half, inner), np.where(too_near, outer, half)
    return middle + outer[:, None] * directions


def _facing(axes: np.ndarray, place: np.ndarray, middle: np.ndarray) -> Approach:
    x = np.array([*(middle - place)[:2], 0.0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, [-x[1], x[0], 0.0], [0.0, 0.0, 1.0]], 1)
    return Approach(axes @ place, axes @ rotation)
