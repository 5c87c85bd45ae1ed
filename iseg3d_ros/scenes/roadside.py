"""What stands beside a road: poles, signs, lights, bins, benches, trees, hedges, fences and walls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from iseg3d_ros.scenes.shapes import Shape

METAL, WOOD, RED, WHITE = (0.4, 0.41, 0.42), (0.35, 0.24, 0.14), (0.6, 0.05, 0.05), (0.85, 0.85, 0.85)


def pole(rng: np.random.Generator) -> Shape:
    """A plain post or a telegraph pole."""
    height, radius = rng.uniform(2.5, 10), rng.uniform(0.035, 0.16)
    shape = Shape().tube((0, 0, 0), (0, 0, height), radius, METAL if rng.random() < 0.7 else WOOD, radius * 0.75)
    if height > 7 and rng.random() < 0.5:
        shape.box((-0.06, -0.9, height - 0.6), (0.06, 0.9, height - 0.45), WOOD)
    return shape


def lamp(rng: np.random.Generator) -> Shape:
    """A street lamp with an arm, or a short lantern."""
    height, radius = rng.uniform(3.2, 10), rng.uniform(0.05, 0.1)
    shape = (
        Shape().tube((0, 0, 0), (0, 0, 0.9), radius * 1.5, METAL).tube((0, 0, 0.9), (0, 0, height), radius, METAL, 0.04)
    )
    if height < 4.5:
        return shape.ball((0, 0, height), (0.2, 0.2, 0.28), WHITE)
    reach = rng.uniform(0.6, 2.5)
    shape.tube((0, 0, height), (reach, 0, height + 0.3), 0.04, METAL)
    return shape.box((reach - 0.1, -0.12, height + 0.22), (reach + 0.55, 0.12, height + 0.36), METAL)


def sign(rng: np.random.Generator) -> Shape:
    """A traffic sign or a board; plates are bright, for they send a laser straight back."""
    height, wide = rng.uniform(1.9, 3.2), rng.uniform(0.4, 0.95)
    shape = Shape().tube((-0.04, 0, 0), (-0.04, 0, height), 0.03, METAL, sides=6)
    for k in range(rng.integers(1, 3)):
        z = height - wide / 2 - k * (wide + 0.05)
        colour = np.clip(rng.uniform(0.6, 1.0, 3), 0, 1)
        if rng.random() < 0.5:
            shape.tube((0, 0, z), (0.015, 0, z), wide / 2, colour, sides=int(rng.choice([3, 8, 16])))
        else:
            shape.box((0, -wide * rng.uniform(0.4, 0.9), z - wide / 2), (0.02, wide * 0.6, z + wide / 2), colour)
    return shape


def traffic_light(rng: np.random.Generator) -> Shape:
    """Lights on a post, sometimes on an arm over the road as well."""
    height = rng.uniform(2.6, 3.6)
    shape = Shape().tube((0, 0, 0), (0, 0, height), 0.06, METAL)
    shape.box((0.04, -0.15, height - 0.95), (0.24, 0.15, height), (0.05, 0.05, 0.05))
    if rng.random() < 0.4:
        reach, up = rng.uniform(2, 5), rng.uniform(5, 6)
        shape.tube((0, 0, 0), (0, 0, up), 0.1, METAL).tube((0, 0, up), (0, reach, up), 0.06, METAL)
        shape.box((0.05, reach - 0.15, up - 0.9), (0.25, reach + 0.15, up + 0.1), (0.05, 0.05, 0.05))
    return shape


def bollard(rng: np.random.Generator) -> Shape:
    """A bollard or a parking post."""
    height, radius = rng.uniform(0.6, 1.1), rng.uniform(0.05, 0.15)
    colour = rng.choice([METAL, RED, WHITE, (0.05, 0.05, 0.05)])
    return Shape().tube((0, 0, 0), (0, 0, height), radius, colour, radius * rng.uniform(0.6, 1))


def cone(rng: np.random.Generator) -> Shape:
    """A traffic cone or a construction barrel."""
    if rng.random() < 0.35:
        return Shape().tube((0, 0, 0), (0, 0, rng.uniform(0.8, 1.1)), rng.uniform(0.2, 0.3), (0.8, 0.3, 0.05), 0.2)
    h = rng.uniform(0.45, 0.95)
    return (
        Shape()
        .box((-0.2, -0.2, 0), (0.2, 0.2, 0.04), (0.1, 0.1, 0.1))
        .tube((0, 0, 0), (0, 0, h), 0.15, (0.8, 0.3, 0.05), 0.03)
    )


def dustbin(rng: np.random.Generator) -> Shape:
    """A wheelie bin, a large container or a round litter bin."""
    colour, kind = rng.uniform(0.03, 0.5, 3), rng.integers(3)
    if kind == 0:
        return (
            Shape()
            .box((-0.3, -0.27, 0.08), (0.3, 0.27, 1.0), colour)
            .box((-0.36, -0.3, 1.0), (0.34, 0.3, 1.08), colour)
        )
    if kind == 1:
        return (
            Shape()
            .box((-0.5, -0.68, 0.15), (0.5, 0.68, 1.2), colour)
            .box((-0.55, -0.7, 1.2), (0.45, 0.7, 1.35), colour)
        )
    return Shape().tube(
        (0, 0, rng.uniform(0, 0.3)), (0, 0, rng.uniform(0.8, 1.1)), rng.uniform(0.18, 0.3), colour, sides=12
    )


def bench(rng: np.random.Generator) -> Shape:
    """A bench with or without a back."""
    y, shape = rng.uniform(0.6, 1.1), Shape()
    shape.box((-0.25, -y, 0.4), (0.25, y, 0.46), WOOD)
    for side in (-1, 1):
        shape.box((-0.2, side * y * 0.8 - 0.04, 0), (0.2, side * y * 0.8 + 0.04, 0.4), METAL)
    return shape.box((-0.3, -y, 0.55), (-0.24, y, 0.9), WOOD) if rng.random() < 0.7 else shape


def hydrant(rng: np.random.Generator) -> Shape:
    """A hydrant."""
    h, colour = rng.uniform(0.55, 0.95), rng.uniform(0.1, 0.7, 3)
    shape = Shape().tube((0, 0, 0), (0, 0, h), 0.13, colour).ball((0, 0, h), (0.14, 0.14, 0.12), colour)
    return shape.tube((0, -0.22, h * 0.7), (0, 0.22, h * 0.7), 0.07, colour)


def cabinet(rng: np.random.Generator) -> Shape:
    """A switch cabinet, letter box or parking meter."""
    if rng.random() < 0.4:
        return (
            Shape()
            .tube((0, 0, 0), (0, 0, 1.1), 0.05, METAL)
            .box((-0.15, -0.2, 1.0), (0.15, 0.2, 1.6), rng.uniform(0.1, 0.8, 3))
        )
    x, y = rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.9)
    return Shape().box((-x, -y, 0), (x, y, rng.uniform(0.9, 1.7)), rng.uniform(0.2, 0.7, 3))


def barrier(rng: np.random.Generator) -> Shape:
    """A road works barrier, concrete or on legs."""
    y = rng.uniform(0.7, 1.5)
    if rng.random() < 0.5:
        ring = np.array([[-0.3, 0], [-0.12, 0.3], [-0.08, 0.85], [0.08, 0.85], [0.12, 0.3], [0.3, 0]])
        rings = np.stack([np.stack([ring[:, 0], np.full(6, s * y), ring[:, 1]], 1) for s in (-1, 1)])
        return Shape().loft(rings, (0.6, 0.6, 0.58))
    shape = Shape().box((-0.02, -y, 0.8), (0.02, y, 1.0), RED).box((-0.02, -y, 0.35), (0.02, y, 0.5), WHITE)
    for side in (-1, 1):
        shape.box((-0.3, side * y * 0.8 - 0.03, 0), (0.3, side * y * 0.8 + 0.03, 0.06), METAL)
        shape.box((-0.03, side * y * 0.8 - 0.03, 0), (0.03, side * y * 0.8 + 0.03, 1.0), METAL)
    return shape


def shelter(rng: np.random.Generator) -> Shape:
    """A bus shelter: roof, back and posts."""
    y, shape = rng.uniform(1.4, 2.4), Shape()
    shape.box((-0.8, -y, 2.3), (0.8, y, 2.45), METAL).box((-0.75, -y, 0.3), (-0.7, y, 2.2), (0.1, 0.12, 0.12))
    for x, side in ((-0.72, -1), (-0.72, 1), (0.7, -1), (0.7, 1)):
        shape.tube((x, side * (y - 0.1), 0), (x, side * (y - 0.1), 2.3), 0.05, METAL, sides=6)
    return shape.box((-0.65, -y * 0.7, 0.42), (-0.3, y * 0.7, 0.47), WOOD)


def pallet(rng: np.random.Generator) -> Shape:
    """A stack of boxes or sacks on a pallet, a crate, or rubble."""
    shape = Shape().box((-0.6, -0.4, 0), (0.6, 0.4, 0.14), WOOD)
    for level in range(rng.integers(0, 4)):
        x, y = rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.4)
        shape.box(
            (-x, -y, 0.14 + level * 0.35), (x, y, 0.49 + level * 0.35), rng.uniform(0.1, 0.7, 3), rng.normal(0, 0.08)
        )
    return shape


def tree(rng: np.random.Generator) -> Shape:
    """Trunk, boughs and a crown of leaves; conifers; bare trees in winter."""
    shape, bark = Shape(), np.array(WOOD) * rng.uniform(0.4, 1.0)
    height, girth = rng.uniform(3, 11), rng.uniform(0.06, 0.25)
    green = np.array((0.12, 0.28, 0.07)) * rng.uniform(0.6, 1.8, 3)
    if rng.random() < 0.15:
        shape.tube((0, 0, 0), (0, 0, height), girth, bark, 0.02)
        for z in np.arange(0.8, height, 0.6):
            wide = (1 - z / height) * height * 0.25 + 0.1
            shape.leaves(rng, (0, 0, z), (wide, wide, 0.35), 90, 0.2, green)
        return shape
    fork = height * rng.uniform(0.25, 0.5)
    lean = np.array([*rng.normal(0, 0.2, 2), fork])
    shape.tube((0, 0, 0), lean, girth, bark, girth * 0.75)
    crown, bare = rng.uniform(0.22, 0.4) * height, rng.random() < 0.12
    for _ in range(rng.integers(4, 8) * (1 + bare)):
        end = lean + np.array([*rng.normal(0, crown * 0.55, 2), rng.uniform(0.2, 0.9) * (height - fork)])
        shape.tube(lean, end, girth * 0.45, bark, 0.02, sides=5)
        if not bare:
            shape.leaves(rng, end, np.full(3, crown * rng.uniform(0.45, 0.75)), 260, rng.uniform(0.12, 0.3), green)
    return shape


def bush(rng: np.random.Generator) -> Shape:
    """A bush or a planted tub."""
    shape, green = Shape(), np.array((0.12, 0.28, 0.07)) * rng.uniform(0.6, 1.8, 3)
    x, y, z = rng.uniform(0.3, 1.2), rng.uniform(0.3, 1.2), rng.uniform(0.3, 1.1)
    base = 0.0
    if rng.random() < 0.3:
        base = 0.4
        shape.box((-x * 0.7, -y * 0.7, 0), (x * 0.7, y * 0.7, 0.5), rng.uniform(0.2, 0.7, 3))
    shape.ball((0, 0, base + z * 0.6), (x * 0.5, y * 0.5, z * 0.5), green * 0.5)
    return shape.leaves(rng, (0, 0, base + z * 0.7), (x, y, z * 0.7), 350, 0.13, green)


def hedge(rng: np.random.Generator) -> Shape:
    """A clipped hedge along x."""
    length = rng.uniform(2, 10)
    shape, green = Shape(), np.array((0.1, 0.25, 0.06)) * rng.uniform(0.6, 1.8, 3)
    half, height = rng.uniform(0.25, 0.6), rng.uniform(0.6, 2.2)
    shape.box((-length / 2, -half * 0.6, 0), (length / 2, half * 0.6, height * 0.9), green * 0.5)
    for x in np.arange(-length / 2, length / 2, 1.0) + 0.5:
        shape.leaves(rng, (x, 0, height * 0.52), (0.75, half, height * 0.5), 130, 0.12, green)
    return shape


def fence(rng: np.random.Generator) -> Shape:
    """A fence along x: bars, boards or wire, on posts."""
    length = rng.uniform(3, 10)
    shape, height, kind = Shape(), rng.uniform(0.9, 2.2), rng.integers(3)
    colour = WOOD if rng.random() < 0.4 else np.full(3, rng.uniform(0.1, 0.6))
    for x in np.linspace(-length / 2, length / 2, max(int(length / 2), 2)):
        shape.box((x - 0.04, -0.04, 0), (x + 0.04, 0.04, height), colour)
    if kind == 2:
        return shape.box((-length / 2, -0.015, 0.08), (length / 2, 0.015, height * 0.97), colour)
    for z in (height * 0.2, height * 0.9):
        shape.box((-length / 2, -0.02, z - 0.03), (length / 2, 0.02, z + 0.03), colour)
    gap = rng.uniform(0.11, 0.2)
    wide = 0.012 if kind == 0 else gap * 0.35
    for x in np.arange(-length / 2, length / 2, gap):
        shape.box((x - wide, -0.012, 0.06), (x + wide, 0.012, height), colour)
    return shape


def wall(rng: np.random.Generator) -> Shape:
    """A low or high wall along x."""
    length = rng.uniform(3, 10)
    thick, height = rng.uniform(0.12, 0.25), rng.uniform(0.5, 2.6)
    return Shape().box((-length / 2, -thick, -0.3), (length / 2, thick, height), rng.uniform(0.3, 0.8, 3))


THINGS: dict[str, Callable[[np.random.Generator], Shape]] = {
    "pole": pole, "street lamp": lamp, "sign": sign, "traffic light": traffic_light, "bollard": bollard,
    "traffic cone": cone, "bin": dustbin, "bench": bench, "hydrant": hydrant, "street cabinet": cabinet,
    "barrier": barrier, "shelter": shelter, "pallet": pallet, "tree": tree, "vegetation": bush,
}  # fmt: skip
BORDERS: dict[str, Callable[[np.random.Generator], Shape]] = {"hedge": hedge, "fence": fence, "wall": wall}
