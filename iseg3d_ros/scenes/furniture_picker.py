"""The pieces of furniture that a room gets: out of the catalogue, or made from plain bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.scenes.catalogue import Model, by_role
from iseg3d_ros.scenes.mesh import Mesh, recoloured, stretch, tinted
from iseg3d_ros.scenes.procedural_furniture import MAKERS
from iseg3d_ros.scenes.tabletop_objects import Thing, from_model, paint, thing

CATALOGUE = 0.7  # share of the furniture that comes from the catalogue where it has the role
ELEVATION = {"upper kitchen": 1.45, "window": 0.9, "wall": 1.25, "picture": 1.25, "curtain": 0.1}


@dataclass(frozen=True)
class Piece:
    """A piece of furniture chosen for a role."""

    mesh: Mesh
    size: tuple[float, float, float]
    name: str
    elevation: float


class Pieces:
    """Chooses pieces; the one chosen for a role stays the next one until it is used, so that its size can be asked."""

    def __init__(self, rng: np.random.Generator, models: Sequence[Model], height: float) -> None:
        self.rng, self.height = rng, height
        self.roles = by_role(models)
        self.small = [m for m in models if 0.04 < max(m.size) < 0.4 and m.elevation == 0 and m.role]
        self._next: dict[str, Piece] = {}

    def next(self, role: str) -> Piece:
        """What will be placed next in a role."""
        if role not in self._next:
            use = bool(self.roles.get(role)) and (role not in MAKERS or self.rng.random() < CATALOGUE)
            self._next[role] = self._from_catalogue(role) if use else self._made(role)
        return self._next[role]

    def used(self, role: str) -> None:
        """The next one shall be another."""
        self._next.pop(role, None)

    def again(self, role: str, piece: Piece) -> None:
        """The next one shall be this one, as where all tables of a room are alike."""
        self._next[role] = piece

    def carried(self, role: str) -> Thing:
        """Something to stand on furniture: a model of the role, a row of books, a bag, a screen, or any small thing."""
        pool = self.roles.get(role, ())
        if role in ("books", "bag", "screen", "plant", "soft thing") and (not pool or self.rng.random() < 0.6):
            body = MAKERS[role](self.rng)
            if role == "plant":
                body = stretch(body, 0.35)
            low, high = body.bounds
            half = (float(high[0] - low[0]) / 2, float(high[1] - low[1]) / 2)
            return Thing(body, half, float(high[2]), 0.0, role, role == "screen")
        if pool and self.rng.random() < 0.7:
            return from_model(self.rng, pool[int(self.rng.integers(len(pool)))])
        return thing(self.rng, self.small)

    def _made(self, role: str) -> Piece:
        body = MAKERS[role](self.rng)
        low, high = body.bounds
        lift = ELEVATION.get(role, 0.0) * (1 if role == "curtain" else self.rng.uniform(0.8, 1.3))
        size = float(high[0] - low[0]), float(high[1] - low[1]), float(high[2])
        return Piece(body, size, role, min(lift, max(self.height - size[2] - 0.05, 0.0)))

    def _from_catalogue(self, role: str) -> Piece:
        model = self.roles[role][self.rng.integers(len(self.roles[role]))]
        body = stretch(model.load(), self.rng.uniform(0.9, 1.1))
        dress = self.rng.random()
        if dress < 0.2:
            body = recoloured(body, np.stack([paint(self.rng) for _ in range(3)]))
        elif dress < 0.7:
            body = tinted(body, self.rng.uniform(0.65, 1.35, 3))
        low, high = body.bounds
        size = (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2]))
        return Piece(body, size, model.name.lower(), model.elevation)
