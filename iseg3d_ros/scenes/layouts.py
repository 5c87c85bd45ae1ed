"""How streets, junctions, car parks and yards are laid out: who stands where, in which rows, how close."""

from __future__ import annotations

import numpy as np

from iseg3d_ros.scenes.mesh import stretch
from iseg3d_ros.scenes.site import Site
from iseg3d_ros.scenes.terrain import Road

ALONG = 85.0  # metres of street either way from the sensor
PARKED = (*["car"] * 6, "van", "van", "pickup truck", "truck", "trailer", "container")
DRIVEN = ("car", "car", "car", "car", "van", "truck", "bus", "motorcycle", "bicycle", "pickup truck")
STACKED = ("pallet", "container", "trailer", "truck", "bin", "traffic cone", "barrier", "van", "bollard")
SMALL = ("bin", "bin", "bench", "hydrant", "street cabinet", "bollard", "bollard", "barrier", "traffic cone",
         "vegetation", "pallet", "bicycle", "motorcycle", "sign", "shelter", "pole")  # fmt: skip


def roads(rng: np.random.Generator) -> tuple[Road, ...]:
    """A street along x, with a side street in four of ten scenes."""
    main = Road(0, float(rng.uniform(-3, 3)), float(rng.uniform(3.2, 8.5)), float(rng.uniform(1.5, 6)))
    if rng.random() > 0.4:
        return (main,)
    side = Road(
        1, float(rng.choice([-1, 1]) * rng.uniform(3, 40)), float(rng.uniform(2.8, 6)), float(rng.uniform(1.5, 4))
    )
    return main, side


def fill_street(site: Site) -> None:
    """A street as one drives through: moving first, then parked, then what stands on the pavements and behind."""
    for road in site.terrain.roads:
        _traffic(site, road)
        for side in (-1, 1):
            _parked_row(site, road, side)
            _houses(site, road, side)
            _pavement(site, road, side)
    _people(site, int(site.rng.integers(2, 26)))
    _corners(site)


def fill_yard(site: Site) -> None:
    """A car park or works yard: rows of bays, lorries, stacks, a wall or fence around."""
    rng = site.rng
    for y in np.arange(-32, 33, rng.uniform(11, 18)) + rng.uniform(-4, 4):
        _bays(site, float(y))
    for _ in range(rng.integers(6, 30)):
        (x, y), yaw = rng.uniform(-45, 45, 2), float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.1)
        site.put(str(rng.choice(STACKED)), x, y, yaw, gap=0.05)
    for _ in range(rng.integers(2, 10)):
        x, y = rng.uniform(-45, 45, 2)
        site.put("tree" if rng.random() < 0.6 else "street lamp", x, y, rng.uniform(0, 6.3))
    edge = rng.uniform(22, 50)
    for side, yaw in ((1, 0.0), (-1, 0.0), (1, np.pi / 2), (-1, np.pi / 2)):
        _yard_side(site, side * edge, yaw)
    _people(site, int(rng.integers(2, 16)))


def _at(road: Road, along: float, across: float) -> tuple[float, float]:
    """A place from metres along a road and metres to the left of its middle."""
    return (along, road.offset + across) if road.axis == 0 else (road.offset - across, along)


def _yaw(road: Road) -> float:
    return 0.0 if road.axis == 0 else np.pi / 2


def _traffic(site: Site, road: Road) -> None:
    """Vehicles in their lanes, both ways; some stand in a queue."""
    rng = site.rng
    for lane in np.arange(1.7, road.half_width - 0.8, 3.2):
        for side in (-1, 1):
            queue, along = rng.random() < 0.3, -ALONG + rng.uniform(0, 20)
            while along < ALONG:
                kind = str(rng.choice(DRIVEN))
                speed = 0.0 if queue else float(rng.uniform(2, 14))
                x, y = _at(road, along, side * lane + rng.normal(0, 0.2))
                if abs(site.terrain.beyond(x, y)) > 0.5 and rng.random() < 0.8:
                    site.put(kind, x, y, _yaw(road) + (np.pi if side > 0 else 0) + rng.normal(0, 0.03), speed, gap=0.5)
                along += rng.uniform(5.5, 9) if queue else rng.exponential(24) + 8


def _parked_row(site: Site, road: Road, side: int) -> None:
    """Parked bumper to bumper, or side by side across the kerb, or not at all."""
    rng = site.rng
    style = rng.choice(3, p=[0.55, 0.15, 0.3])
    if style == 2:
        return
    filled, along = rng.uniform(0.4, 0.95), -ALONG + rng.uniform(0, 5)
    across = side * (road.half_width - (1.05 if style == 0 else 0.2) + rng.uniform(-0.1, 0.5))
    while along < ALONG:
        if rng.random() < filled:
            kind = str(rng.choice(PARKED)) if style == 0 else str(rng.choice(["car", "car", "car", "van"]))
            x, y = _at(road, along, across + rng.normal(0, 0.08))
            turned = _yaw(road) + (np.pi / 2 if style else 0) + (np.pi if rng.random() < 0.3 else 0)
            site.put(kind, x, y, turned + rng.normal(0, 0.02), gap=0.12)
        along += rng.uniform(5.0, 6.5) if style == 0 else rng.uniform(2.3, 2.7)


def _houses(site: Site, road: Road, side: int) -> None:
    """Houses behind the pavement or behind front gardens with hedges, fences or walls."""
    rng = site.rng
    back = float(rng.choice([0.2, rng.uniform(1.5, 9)]))
    gap, tall = rng.choice([0.0, rng.uniform(0.5, 12)], p=[0.6, 0.4]), rng.uniform(0.6, 1.6)
    along = -ALONG - 10 + rng.uniform(0, 10)
    while along < ALONG:
        house = stretch(site.model("building"), (1, 1, tall * rng.uniform(0.8, 1.2)))
        length = float(house.bounds[1][0])
        if rng.random() < 0.88:
            x, y = _at(road, along + (length if side < 0 else 0), side * (road.half_width + road.pavement + back))
            # +y of a house leads away from its road
            site.add(house, "building", x, y, _yaw(road) + (0 if side > 0 else np.pi), gap=-0.3)
        if back > 1:
            _garden(site, road, side, along + length / 2, length, back)
        along += length + (gap * rng.uniform(0, 2) if gap else 0.0)


def _garden(site: Site, road: Road, side: int, along: float, length: float, back: float) -> None:
    rng, edge = site.rng, road.half_width + road.pavement
    kind = str(rng.choice(["hedge", "fence", "wall", "none"]))
    if kind != "none":
        site.put(kind, *_at(road, along, side * (edge + 0.35)), _yaw(road), gap=-0.3)
    for _ in range(rng.integers(0, 4)):
        thing = str(rng.choice(["tree", "vegetation", "bin", "vegetation", "bench", "car", "bicycle"]))
        x, y = _at(road, along + rng.uniform(-0.5, 0.5) * length, side * (edge + rng.uniform(0.8, max(back, 1.0))))
        site.put(thing, x, y, rng.uniform(0, 6.3))


def _pavement(site: Site, road: Road, side: int) -> None:
    """Rows of lamps, trees and bollards along the kerb; single things anywhere; racks of bicycles; road works."""
    rng = site.rng
    for kind, often, step in (("street lamp", 0.7, (18, 35)), ("tree", 0.5, (6, 20)), ("bollard", 0.2, (1.2, 3)),
                              ("sign", 0.6, (12, 40)), ("pole", 0.25, (20, 40))):  # fmt: skip
        if rng.random() > often:
            continue
        edge, along, spacing = rng.uniform(0.35, 0.9), -ALONG + rng.uniform(0, 20), rng.uniform(*step)
        stop = ALONG if kind != "bollard" else along + rng.uniform(10, 40)
        while along < stop:
            x, y = _at(road, along, side * (road.half_width + edge))
            site.put(kind, x, y, _yaw(road) + (np.pi / 2 if side < 0 else -np.pi / 2) * (kind != "sign"))
            along += spacing * rng.uniform(0.8, 1.2)
    for _ in range(rng.integers(2, 16)):
        x, y = _at(road, rng.uniform(-50, 50), side * (road.half_width + rng.uniform(0.4, road.pavement)))
        site.put(str(rng.choice(SMALL)), x, y, _yaw(road) + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1), gap=0.03)
    if rng.random() < 0.3:
        _rack(site, road, side)


def _rack(site: Site, road: Road, side: int) -> None:
    """Two-wheelers side by side."""
    rng = site.rng
    along, across, step = rng.uniform(-25, 25), side * (road.half_width + 1.2), rng.uniform(0.45, 0.9)
    kind = str(rng.choice(["bicycle", "motorcycle"]))
    for k in range(rng.integers(3, 9)):
        x, y = _at(road, along + k * step, across)
        site.put(kind, x, y, _yaw(road) + np.pi / 2 + rng.normal(0, 0.1), gap=-0.25)


def _people(site: Site, count: int) -> None:
    """Alone or in groups that nearly touch, mostly beside the road, some on it, standing or walking."""
    rng = site.rng
    while count > 0:
        x, y, way = rng.uniform(-40, 40), rng.normal(0, 12), rng.choice([0, np.pi, rng.uniform(0, 6.3)])
        if site.terrain.beyond(x, y) < 0 and rng.random() < 0.6:
            continue
        group = int(rng.choice([1, 1, 2, 3, 5]))
        speed = float(rng.choice([0, rng.uniform(0.6, 1.8)]))
        for _ in range(group):
            dx, dy = rng.normal(0, 0.45, 2) * (group > 1)
            site.put(
                "person", x + dx, y + dy, way + (rng.normal(0, 0.15) if speed else rng.uniform(0, 6.3)), speed, gap=0.02
            )
        count -= group


def _corners(site: Site) -> None:
    """Traffic lights and signs at the corners of a junction, road works on the carriageway."""
    rng = site.rng
    if len(site.terrain.roads) == 2:
        main, side = site.terrain.roads
        for sx in (-1, 1):
            for sy in (-1, 1):
                x = side.offset + sx * (side.half_width + rng.uniform(0.5, 1.2))
                y = main.offset + sy * (main.half_width + rng.uniform(0.5, 1.2))
                yaw = float(rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]))
                site.put("traffic light" if rng.random() < 0.6 else "sign", x, y, yaw)
    if rng.random() < 0.25:
        x, y = rng.uniform(-25, 25), rng.uniform(-4, 4)
        for k in range(rng.integers(3, 10)):
            kind = str(rng.choice(["traffic cone", "barrier", "traffic cone", "pallet"]))
            site.put(kind, x + 1.6 * k, y + rng.normal(0, 0.2), np.pi / 2 + rng.normal(0, 0.2))


def _bays(site: Site, y: float) -> None:
    """Two rows of parked vehicles nose to nose."""
    rng, width, filled = site.rng, site.rng.uniform(2.25, 2.8), site.rng.uniform(0.2, 0.9)
    for side in (0, 1):
        for x in np.arange(-42, 42, width):
            if rng.random() < filled:
                kind = str(rng.choice(["car"] * 8 + ["van", "pickup truck", "trailer", "motorcycle"]))
                heading = (np.pi / 2 if rng.random() < 0.75 else -np.pi / 2) * (1 if side else -1)
                site.put(
                    kind,
                    x + rng.normal(0, 0.1),
                    y + side * 5.3 + rng.normal(0, 0.2),
                    heading + rng.normal(0, 0.03),
                    gap=0.08,
                )


def _yard_side(site: Site, offset: float, yaw: float) -> None:
    rng = site.rng
    kind = str(rng.choice(["building", "hedge", "fence", "wall", "open"]))
    along = -45.0
    while along < 45 and kind != "open":
        mesh = site.model(kind)
        length = float(np.ptp(mesh.bounds, axis=0)[0])
        middle = along + (length / 2 if kind != "building" else 0)
        x, y = (middle, offset) if yaw == 0 else (offset, middle)
        turned = kind == "building" and (offset > 0) != (yaw == 0)  # fronts look inwards
        site.add(mesh, kind, x, y, yaw + np.pi * turned, gap=-0.3)
        along += length
