"""Things that stand on tables, made from plain bodies: cartons, books, cans, bowls, bottles, balls, tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.mesh import Mesh, box, cylinder, merge, pose, revolve, sphere, stretch, tinted, transform


@dataclass(frozen=True)
class Thing:
    """A mesh standing on z = 0, its half extents seen from above, its height, and how wide its flat top is."""

    mesh: Mesh
    half: tuple[float, float]
    height: float
    top: float  # half the width of the flat top; 0: nothing can stand on it
    name: str
    front: bool = False  # it has a front, at -y, that people see: a screen

    @property
    def radius(self) -> float:
        """Of the circle around its footprint."""
        return float(np.hypot(*self.half))


def thing(rng: np.random.Generator, models: Sequence[Model] = ()) -> Thing:
    """Any of them; a quarter from the catalogue's small models where there are some."""
    if len(models) and rng.random() < 0.25:
        return from_model(rng, models[int(rng.integers(len(models)))])
    makers: list[Callable[[np.random.Generator], Thing]] = [carton, can, bowl, bottle, ball, tool]
    return makers[rng.choice(len(makers), p=[0.5, 0.22, 0.1, 0.08, 0.06, 0.04])](rng)


def from_model(rng: np.random.Generator, model: Model) -> Thing:
    """A catalogue model, a little larger or smaller, often in other colours."""
    scale = rng.uniform(0.85, 1.15)
    body = stretch(model.load(), scale)
    if rng.random() < 0.5:
        body = tinted(body, rng.uniform(0.6, 1.4, 3))
    low, high = body.bounds
    return Thing(body, (float(high[0] - low[0]) / 2, float(high[1] - low[1]) / 2), float(high[2]), 0.0, model.name)


def carton(rng: np.random.Generator) -> Thing:
    """A box or a book, printed on all sides."""
    size, kind = np.exp(rng.uniform(np.log(0.04), np.log(0.26), 3)), rng.random()
    if kind < 0.25:  # a book, or a flat box
        size[2] = rng.uniform(0.015, 0.06)
    elif kind < 0.5:  # a food carton: broad, thin, standing or lying
        size = rng.permutation(rng.uniform([0.12, 0.03, 0.16], [0.21, 0.08, 0.31]))
    colour = paint(rng)
    prints = [printed(rng, colour if rng.random() < 0.8 else paint(rng)) for _ in range(6)]
    name = "book" if size[2] < 0.05 else "box"
    return Thing(box(size, colour, prints), (size[0] / 2, size[1] / 2), size[2], float(min(size[:2])) / 2, name)


def can(rng: np.random.Generator) -> Thing:
    """A can or a cup-shaped carton, sometimes lying."""
    radius, height, colour = rng.uniform(0.02, 0.06), rng.uniform(0.05, 0.26), paint(rng)
    top = radius if rng.random() < 0.7 else radius * rng.uniform(0.6, 1.3)
    body = cylinder(radius, height, colour, 24, printed(rng, colour), top_radius=top)
    if rng.random() < 0.15:
        lying = transform(body, pose(-height / 2, 0, max(radius, top), pitch=np.pi / 2))
        return Thing(lying, (height / 2, max(radius, top)), 2 * radius, 0.0, "can")
    return Thing(body, (max(radius, top),) * 2, height, top if rng.random() < 0.5 else 0.0, "can")


def bowl(rng: np.random.Generator) -> Thing:
    """A bowl, pot or mug: a thin wall with an inside."""
    radius, height, wall = rng.uniform(0.03, 0.12), rng.uniform(0.04, 0.11), 0.004
    base, colour = radius * rng.uniform(0.35, 0.95), paint(rng)
    profile = [0, base, radius, radius - wall, max(base - wall, wall), 0]
    picture = printed(rng, colour) if rng.random() < 0.4 else None
    body = revolve(profile, [0, 0, height, height, wall, wall], colour, 28, picture)
    return Thing(body, (radius, radius), height, 0.0, "bowl")


def bottle(rng: np.random.Generator) -> Thing:
    """A bottle with a neck."""
    radius, height, colour = rng.uniform(0.025, 0.05), rng.uniform(0.14, 0.3), paint(rng)
    neck = radius * rng.uniform(0.25, 0.5)
    heights = [0, 0, height * 0.6, height * 0.78, height, height]
    body = revolve([0, radius, radius, neck, neck, 0], heights, colour, 22, printed(rng, colour))
    return Thing(body, (radius, radius), height, 0.0, "bottle")


def ball(rng: np.random.Generator) -> Thing:
    """A ball or round fruit."""
    radius, colour = rng.uniform(0.025, 0.09), paint(rng)
    return Thing(sphere(radius, colour, 20, printed(rng, colour)), (radius, radius), 2 * radius, 0.0, "ball")


def tool(rng: np.random.Generator) -> Thing:
    """A handle with a head, lying."""
    radius, length, colour = rng.uniform(0.01, 0.02), rng.uniform(0.12, 0.28), paint(rng)
    handle = transform(cylinder(radius, length, colour, 12), pose(-length / 2, 0, radius, pitch=np.pi / 2))
    head = transform(box([0.03, 0.09, 0.03], paint(rng)), pose(length / 2, 0, 0))
    return Thing(merge([handle, head]), (length / 2 + 0.015, 0.045), 0.03, 0.0, "tool")


def paint(rng: np.random.Generator) -> NDArray[np.float64]:
    """Any colour; greys and near whites more often than chance would have it."""
    colour = rng.uniform(0.05, 0.95, 3)
    kind = rng.random()
    if kind < 0.35:
        colour = colour.mean() + rng.normal(0, 0.05, 3)
    elif kind < 0.5:
        colour = rng.uniform(0.8, 0.98) + rng.normal(0, 0.02, 3)
    return np.clip(colour, 0.02, 0.98)


def printed(rng: np.random.Generator, base: NDArray[np.float64], side: int = 32) -> NDArray[np.uint8]:
    """A print of patches, stripes and lines like text on a base colour."""
    image = np.tile(base, (side, side, 1))
    for _ in range(rng.integers(0, 9) if rng.random() < 0.65 else 0):
        top, bottom = np.sort(rng.integers(0, side + 1, 2))
        left, right = np.sort(rng.integers(0, side + 1, 2))
        image[top:bottom, left:right] = rng.uniform(0.03, 0.97, 3)
    if rng.random() < 0.35:
        rows = np.flatnonzero(rng.random(side) < 0.35)
        image[rows] += (rng.random((len(rows), side, 1)) < 0.5) * rng.uniform(-0.5, 0.5)
    image = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1) * 255
    return np.concatenate([image, np.full((side, side, 1), 255.0)], 2).astype(np.uint8)
