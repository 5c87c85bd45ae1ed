"""A piece of ground on which things are put where there is room for them; some of them will move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.buildings import building
from iseg3d_ros.scenes.catalogue import Model, by_role
from iseg3d_ros.scenes.lidar import Mover, World
from iseg3d_ros.scenes.mesh import Mesh, pose, stretch, tinted, transform
from iseg3d_ros.scenes.people import bicycle, motorcycle, person
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.roadside import BORDERS, THINGS
from iseg3d_ros.scenes.shapes import Shape
from iseg3d_ros.scenes.terrain import Terrain
from iseg3d_ros.scenes.vehicles import GLASS, VEHICLES

MAKERS: dict[str, Callable[[np.random.Generator], Shape]] = {
    **VEHICLES, **THINGS, **BORDERS, "building": building,
    "person": person, "bicycle": bicycle, "motorcycle": motorcycle,
}  # fmt: skip
WHEELED = (*VEHICLES, "bicycle", "motorcycle")
_ROLES = {"car": "car", "truck": "truck", "motorcycle": "two-wheeler", "person": "person", "tree": "tree",
          "street lamp": "street lamp", "vegetation": "hedge"}  # fmt: skip
_FROM_CATALOGUE = 0.3
_MOST_FACES = 15000
VARIANTS = 96  # parametric models of each kind; as many again are held out for validation


class Site:
    """Ground, the things on it and their footprints; everything in a frame whose x axis follows the street."""

    def __init__(self, rng: np.random.Generator, terrain: Terrain, models: Sequence[Model]) -> None:
        self.rng, self.terrain = rng, terrain
        self.composition = Composition()
        self.movers: list[Mover] = []
        self._pools = by_role(models)
        self._held_out = bool(models) and all(model.split == "val" for model in models)
        self._taken = np.zeros((0, 5))  # x, y, yaw, half length, half width

    def ground(self, label: bool) -> None:
        """The ground itself, as an object of its own where `label` is set."""
        mesh = self.terrain.shape().mesh()
        self.composition.add(mesh, label=None if label else 0, class_name="ground")

    def put(self, kind: str, x: float, y: float, yaw: float = 0.0, speed: float = 0.0, gap: float = 0.1) -> bool:
        """Put one thing of a kind, heading along `yaw`, unless it would come nearer than `gap` to another."""
        return self.add(self.model(kind), kind, x, y, yaw, speed, gap)

    def add(self, mesh: Mesh, kind: str, x: float, y: float, yaw: float, speed: float = 0.0, gap: float = 0.1) -> bool:
        """Put a mesh, its front along its own x axis."""
        low, high = mesh.bounds
        c, s = np.cos(yaw), np.sin(yaw)
        middle, half = (low + high)[:2] / 2, (high - low)[:2] / 2
        if kind == "tree":  # crowns may reach over other things
            middle, half = middle * 0, half * 0 + 0.3
        place = np.array([x + c * middle[0] - s * middle[1], y + s * middle[0] + c * middle[1], yaw, half[0], half[1]])
        if _meets(place, self._taken, gap):
            return False
        self._taken = np.vstack([self._taken, place])
        z = float(np.min(self.terrain.height(x + np.array([0, 0.2, -0.2]), y))) - 0.01
        pitch, roll = self.terrain.tilt(x, y, yaw) if kind in WHEELED or kind in BORDERS else (0.0, 0.0)
        self._place(transform(mesh, pose(x, y, z, yaw, pitch, roll)), kind, speed * np.array([c, s]))
        return True

    def keep_free(self, x: float, y: float, half_length: float, half_width: float) -> None:
        """Nothing may be put here afterwards."""
        self._taken = np.vstack([self._taken, [x, y, 0.0, half_length, half_width]])

    def model(self, kind: str) -> Mesh:
        """A mesh from the catalogue, where it has such things, or a parametric one; front along x."""
        mesh = self._from_catalogue(kind)
        if mesh is None:
            mesh = parametric(kind, int(self.rng.integers(VARIANTS)) + VARIANTS * self._held_out)
        tint = self.rng.uniform(0.7, 1.2) * self.rng.uniform(0.9, 1.1, 3)
        return tinted(stretch(mesh, self.rng.uniform(0.94, 1.06, 3)), tint)

    def _from_catalogue(self, kind: str) -> Mesh | None:
        pool = self._pools.get(_ROLES.get(kind, ""), [])
        if not pool or self.rng.random() > _FROM_CATALOGUE:
            return None
        mesh = pool[self.rng.integers(len(pool))].load()
        # catalogue models look along -y
        return transform(mesh, pose(yaw=np.pi / 2)) if len(mesh.faces) <= _MOST_FACES else None

    def world(self) -> World:
        """Everything, ready to be scanned."""
        return World(self.composition.build(), tuple(self.movers))

    def _place(self, mesh: Mesh, kind: str, velocity: NDArray[np.float64]) -> None:
        label = self.composition.new_label(kind)
        if not velocity.any():
            self.composition.add(mesh, label=label)
            return
        body = Composition()
        body.add(mesh, label=label)
        centre = np.mean(mesh.bounds, axis=0).astype(np.float32)
        radius = float(np.linalg.norm(mesh.bounds[1] - centre))
        self.movers.append(Mover(body.build(), label, velocity.astype(np.float32), centre, radius))


@lru_cache(maxsize=4096)
def parametric(kind: str, number: int) -> Mesh:
    """Parametric model `number` of a kind: the same in every scene, so that validation can hold models out."""
    rng = np.random.default_rng([number, *kind.encode()])
    return MAKERS[kind](rng).mesh(GLASS if rng.random() < 0.25 else None)


def _meets(one: NDArray[np.float64], others: NDArray[np.float64], gap: float) -> bool:
    """Whether a turned rectangle comes nearer than `gap` to any of the others (separating axes)."""
    if len(others) == 0:
        return False
    away = others[:, :2] - one[:2]
    apart = np.zeros(len(others), bool)
    for yaw in (
        np.full(len(others), one[2]),
        others[:, 2],
        one[2] + np.pi / 2 + 0 * others[:, 2],
        others[:, 2] + np.pi / 2,
    ):
        axis = np.stack([np.cos(yaw), np.sin(yaw)], 1)
        reach = _reach(one[None], yaw) + _reach(others, yaw)
        apart |= np.abs((away * axis).sum(1)) > reach + gap
    return bool((~apart).any())


def _reach(boxes: NDArray[np.float64], yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = boxes[:, 2] - yaw
    reach: NDArray[np.float64] = np.abs(np.cos(turn)) * boxes[:, 3] + np.abs(np.sin(turn)) * boxes[:, 4]
    return reach
