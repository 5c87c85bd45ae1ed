"""Furniture as people place it: beds with bedside tables, desks with chairs and screens, kitchen rows, sofa corners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.catalogue import Model, by_role
from iseg3d_ros.scenes.goods import Thing, carton, from_model, thing
from iseg3d_ros.scenes.mesh import Mesh, box, merge, pose, stretch, tinted, transform
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.shell import Shell

CELL = 0.05  # metres of the floor plan's grid
SUPPORTS = ("table", "desk", "coffee table", "bedside table", "counter", "tv stand", "storage", "shelf")
Place = tuple[float, float, float]  # x, y, yaw


class Plan:
    """Which parts of a room's floor are taken."""

    def __init__(self, room: Shell) -> None:
        self.room = room
        self.taken = np.zeros((int(room.width / CELL) + 1, int(room.depth / CELL) + 1), bool)

    def take(self, place: Place, width: float, depth: float) -> bool:
        """Claim a turned rectangle; False (and nothing claimed) where it does not fit."""
        cells = self._cells(place, width, depth)
        inside = (cells >= 0).all() and (cells < self.taken.shape).all()
        if not inside or len(cells) == 0 or self.taken[cells[:, 0], cells[:, 1]].any():
            return False
        self.taken[cells[:, 0], cells[:, 1]] = True
        return True

    def free(self, x: float, y: float) -> bool:
        """Whether nothing stands at a point."""
        i, j = int((x - self.room.corner[0]) / CELL), int((y - self.room.corner[1]) / CELL)
        return 0 <= i < self.taken.shape[0] and 0 <= j < self.taken.shape[1] and not self.taken[i, j]

    def _cells(self, place: Place, width: float, depth: float) -> NDArray[np.int64]:
        x, y, yaw = place[0] - self.room.corner[0], place[1] - self.room.corner[1], place[2]
        reach = np.arange(-np.hypot(width, depth) / 2, np.hypot(width, depth) / 2 + CELL, CELL * 0.7)
        across, along = (part.ravel() for part in np.meshgrid(reach, reach, indexing="ij"))
        c, s = np.cos(yaw), np.sin(yaw)
        inside = (np.abs(c * across + s * along) <= width / 2) & (np.abs(c * along - s * across) <= depth / 2)
        cells = np.floor(np.stack([x + across[inside], y + along[inside]], 1) / CELL).astype(np.int64)
        return np.unique(cells, axis=0)


class Furnisher:
    """Fills one room; without catalogue models it builds plain furniture from boxes."""

    def __init__(self, world: Composition, room: Shell, rng: np.random.Generator, models: Sequence[Model]) -> None:
        self.world, self.room, self.rng = world, room, rng
        self.roles = by_role(models)
        self.small = [m for m in models if 0.04 < max(m.size) < 0.4 and m.elevation == 0 and m.role]
        self.plan = Plan(room)
        self.seen: list[NDArray[np.float64]] = []  # middles of what stands here: where cameras look

    def fill(self) -> None:
        """A few groups that belong to one kind of room, then storage, things on the floor and on the walls."""
        groups = {
            "bedroom": (self.bed, self.desk, self.wardrobe), "living": (self.sofa, self.table, self.shelf),
            "office": (self.desk, self.desk, self.desk, self.shelf, self.table), "bath": (self.bath,) * 3,
            "kitchen": (self.kitchen, self.kitchen, self.table), "dining": (self.table, self.wardrobe, self.sofa),
        }  # fmt: skip
        chosen = groups[str(self.rng.choice(list(groups)))]
        for group in chosen:
            group()
        for _ in range(self.rng.integers(1, 4 + int(self.room.width * self.room.depth / 8))):
            [self.wardrobe, self.shelf, self.seat, self.floor_thing, self.floor_thing][self.rng.integers(5)]()
        self.on_walls()
        self.clutter()

    def bed(self) -> None:
        """A bed at a wall, bedside tables beside it."""
        place = self.at_wall("bed")
        if place:
            for side in (-1, 1):
                self.beside(place, "bedside table", side)

    def desk(self) -> None:
        """A desk at a wall with a chair before it and screens and things on it."""
        place = self.at_wall("desk")
        if place:
            self.before(place, "office chair")

    def sofa(self) -> None:
        """A sofa, a coffee table before it, a television across the room."""
        place = self.at_wall("sofa")
        if place:
            self.before(place, "coffee table", gap=0.35)
        self.at_wall("tv stand", things=("screen",))
        self.anywhere("armchair")

    def table(self) -> None:
        """A table with chairs around it, most of them drawn up."""
        size = self.size("table")
        for _ in range(20):
            x, y = self._point()
            yaw = float(self.rng.choice([0, np.pi / 2]) + self.rng.normal(0, 0.1))
            if self.put("table", (x, y, yaw)):
                self._chairs((x, y, yaw), *size[:2])
                return

    def kitchen(self) -> None:
        """A row of counters along a wall with cupboards above and a tall fridge at its end."""
        wall, along = int(self.rng.integers(4)), 0.05
        while along < self.room.length(wall) - 0.6:
            role = "counter" if self.rng.random() < 0.85 else "tall kitchen"
            width = self.size(role)[0]
            place = self._wall_place(wall, along + width / 2, role)
            if place is None or not self.put(role, place, things=("appliance", "small")):
                break
            if role == "counter" and self.rng.random() < 0.6:
                self.put("upper kitchen", self._wall_place(wall, along + width / 2, "upper kitchen"), hung=True)
            along += width + 0.01

    def bath(self) -> None:
        """Something of a bathroom, at a wall."""
        self.at_wall("bathroom")

    def wardrobe(self) -> None:
        """Storage at a wall."""
        self.at_wall("storage")

    def shelf(self) -> None:
        """A shelf at a wall."""
        self.at_wall("shelf")

    def seat(self) -> None:
        """A chair, stool or armchair by itself."""
        self.anywhere(str(self.rng.choice(["chair", "stool", "armchair", "plant", "floor lamp"])))

    def floor_thing(self) -> None:
        """A plant, bin, suitcase … somewhere."""
        self.anywhere(str(self.rng.choice(["plant", "bin", "floor thing", "floor thing", "floor lamp"])))

    def on_walls(self) -> None:
        """Doors, windows, and what hangs on walls and ceiling."""
        roles = ["door"] * int(self.rng.integers(1, 3)) + ["window"] * int(self.rng.integers(0, 3))
        for role in roles + ["wall"] * int(self.rng.integers(0, 4)):
            width = self.size(role)[0]
            wall = int(self.rng.integers(4))
            if width < self.room.length(wall) - 0.3:
                along = self.rng.uniform(width / 2 + 0.1, self.room.length(wall) - width / 2 - 0.1)
                self.put(role, self._wall_place(wall, along, role), hung=True)
        if self.rng.random() < 0.6:
            self._ceiling_lamp()

    def clutter(self) -> None:
        """Boxes, bags and small things on the floor."""
        for _ in range(self.rng.integers(0, 8)):
            item = carton(self.rng) if self.rng.random() < 0.4 else thing(self.rng, self.small)
            x, y = self._point()
            place = (x, y, float(self.rng.uniform(0, 6.28)))
            if self.plan.take(place, 2 * item.half[0], 2 * item.half[1]):
                self._add(item.mesh, (*place[:2], 0.0, place[2]), item.name)

    # placing ------------------------------------------------------------------------------------------------------

    def at_wall(self, role: str, things: tuple[str, ...] = ()) -> Place | None:
        """One piece with its back to a wall, where there is room."""
        width = self.size(role)[0]
        for _ in range(15):
            wall = int(self.rng.integers(4))
            if width > self.room.length(wall) - 0.1:
                continue
            along = self.rng.uniform(width / 2, self.room.length(wall) - width / 2)
            place = self._wall_place(wall, along, role)
            if place and self.put(role, place, things):
                return place
        return None

    def anywhere(self, role: str) -> None:
        """One piece in the open, turned as it may be."""
        for _ in range(15):
            if self.put(role, (*self._point(), float(self.rng.uniform(0, 6.28)))):
                return

    def before(self, place: Place, role: str, gap: float = 0.05) -> None:
        """Something in front of what stands at `place`, facing it."""
        x, y, yaw = place
        away = self._last_depth / 2 + self.size(role)[1] / 2 + gap + self.rng.uniform(-0.1, 0.15)
        self.put(role, (x + np.sin(yaw) * away, y - np.cos(yaw) * away, yaw + np.pi + self.rng.normal(0, 0.25)))

    def beside(self, place: Place, role: str, side: int) -> None:
        """Something to the left or right of what stands at `place`, as deep against the wall."""
        x, y, yaw = place
        away = side * (self._last_width / 2 + self.size(role)[0] / 2 + 0.05)
        back = self._last_depth / 2 - self.size(role)[1] / 2
        kept = self._last_width, self._last_depth
        self.put(role, (x + np.cos(yaw) * away - np.sin(yaw) * back, y + np.sin(yaw) * away + np.cos(yaw) * back, yaw))
        self._last_width, self._last_depth = kept

    def put(self, role: str, place: Place | None, things: tuple[str, ...] = (), hung: bool = False) -> bool:
        """Place the piece chosen for a role, and things on it; False where the floor is taken."""
        body, size, name, elevation = self._chosen(role)
        if place is None or (not hung and not self.plan.take(place, size[0] * 0.97, size[1] * 0.97)):
            return False
        if elevation + size[2] > self.room.height:
            return False
        self._pieces.pop(role)
        self._add(body, (place[0], place[1], elevation, place[2]), name)
        self._last_width, self._last_depth = size[0], size[1]
        if role in SUPPORTS and size[2] < 1.4:
            self._on_top(place, size, things or ("small", "desk thing") if role == "desk" else things)
        return True

    def size(self, role: str) -> tuple[float, float, float]:
        """Of the piece that the next `put` of this role will place."""
        return self._chosen(role)[1]

    # details ------------------------------------------------------------------------------------------------------

    _last_width = _last_depth = 0.6

    @property
    def _pieces(self) -> dict[str, tuple[Mesh, tuple[float, float, float], str, float]]:
        self.__dict__.setdefault("_waiting", {})
        waiting: dict[str, tuple[Mesh, tuple[float, float, float], str, float]] = self.__dict__["_waiting"]
        return waiting

    def _chosen(self, role: str) -> tuple[Mesh, tuple[float, float, float], str, float]:
        if role not in self._pieces:
            self._pieces[role] = self._from_catalogue(role) if self.roles.get(role) else plain(role, self.rng)
        return self._pieces[role]

    def _from_catalogue(self, role: str) -> tuple[Mesh, tuple[float, float, float], str, float]:
        model = self.roles[role][self.rng.integers(len(self.roles[role]))]
        scale = self.rng.uniform(0.9, 1.1)
        body = stretch(model.load(), scale)
        if self.rng.random() < 0.6:
            body = tinted(body, self.rng.uniform(0.65, 1.35, 3))
        low, high = body.bounds
        size = (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2]))
        return body, size, model.name.lower(), model.elevation

    def _add(self, body: Mesh, place: tuple[float, float, float, float], name: str) -> None:
        x, y, z, yaw = place
        moved = transform(body, pose(x, y, z, yaw))
        self.world.add(moved, class_name=name)
        self.seen.append(moved.vertices.mean(0).astype(np.float64))

    def _on_top(self, place: Place, size: tuple[float, float, float], roles: tuple[str, ...]) -> None:
        """Things on a flat top, none into another."""
        taken: list[tuple[float, float, float]] = []
        for _ in range(self.rng.integers(0, 7)):
            item = self._top_thing(roles)
            u = self.rng.uniform(-0.5, 0.5, 2) * np.maximum(np.array(size[:2]) - 2 * np.array(item.half), 0.0)
            if item.half[0] > size[0] / 2 or any(np.hypot(u[0] - a, u[1] - b) < item.radius + r for a, b, r in taken):
                continue
            taken.append((u[0], u[1], item.radius))
            c, s = np.cos(place[2]), np.sin(place[2])
            at = (place[0] + c * u[0] - s * u[1], place[1] + s * u[0] + c * u[1], size[2] + 1e-3)
            self._add(item.mesh, (*at, place[2] + self.rng.normal(0, 0.5)), item.name)

    def _top_thing(self, roles: tuple[str, ...]) -> Thing:
        pool = [m for role in roles for m in self.roles.get(role, ())]
        if pool and self.rng.random() < 0.6:
            return from_model(self.rng, pool[self.rng.integers(len(pool))])
        return thing(self.rng, self.small)

    def _chairs(self, table: Place, width: float, depth: float) -> None:
        for side in range(4):
            if self.rng.random() < 0.25:
                continue
            turn = table[2] + side * np.pi / 2
            away = (depth if side % 2 == 0 else width) / 2 + self.size("chair")[1] * self.rng.uniform(0.2, 0.6)
            x, y = table[0] - np.sin(turn) * away, table[1] + np.cos(turn) * away
            body, size, name, _ = self._chosen("chair")
            if self.plan.free(x, y) and self._inside(x, y, max(size[:2]) / 2):
                self.plan.take((x, y, turn), size[0] * 0.5, size[1] * 0.5)
                self._pieces.pop("chair")
                self._add(body, (x, y, 0.0, turn + self.rng.normal(0, 0.2)), name)

    def _inside(self, x: float, y: float, margin: float) -> bool:
        u, v = x - self.room.corner[0], y - self.room.corner[1]
        return margin < u < self.room.width - margin and margin < v < self.room.depth - margin

    def _ceiling_lamp(self) -> None:
        body, size, name, _ = self._chosen("ceiling")
        self._pieces.pop("ceiling")
        x, y = self._point()
        self._add(body, (x, y, self.room.height - size[2] - 0.002, 0.0), name)

    def _wall_place(self, wall: int, along: float, role: str) -> Place | None:
        depth = self.size(role)[1]
        return self.room.on_wall(wall, along, depth / 2 + 0.02 + abs(self.rng.normal(0, 0.01)))

    def _point(self) -> tuple[float, float]:
        x = self.room.corner[0] + self.rng.uniform(0.3, self.room.width - 0.3)
        return float(x), float(self.room.corner[1] + self.rng.uniform(0.3, self.room.depth - 0.3))


# Width, depth, height (ranges) and elevation of plain furniture, for machines without the catalogue.
_PLAIN: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float], float]] = {
    "bed": ((0.9, 1.8), (1.9, 2.1), (0.4, 0.6), 0.0), "bedside table": ((0.35, 0.5), (0.35, 0.45), (0.4, 0.6), 0.0),
    "desk": ((1.0, 1.8), (0.6, 0.8), (0.7, 0.76), 0.0), "table": ((0.8, 2.0), (0.7, 1.0), (0.7, 0.76), 0.0),
    "coffee table": ((0.6, 1.2), (0.4, 0.7), (0.35, 0.5), 0.0), "chair": ((0.4, 0.5), (0.4, 0.5), (0.8, 1.0), 0.0),
    "sofa": ((1.4, 2.4), (0.8, 1.0), (0.7, 0.9), 0.0), "storage": ((0.5, 1.8), (0.35, 0.6), (0.8, 2.1), 0.0),
    "shelf": ((0.5, 1.2), (0.25, 0.4), (1.2, 2.1), 0.0), "counter": ((0.4, 0.9), (0.55, 0.65), (0.85, 0.92), 0.0),
    "tall kitchen": ((0.55, 0.7), (0.55, 0.7), (1.6, 2.0), 0.0), "tv stand": ((0.9, 1.6), (0.35, 0.5), (0.4, 0.6), 0.0),
    "upper kitchen": ((0.4, 0.9), (0.3, 0.35), (0.5, 0.7), 1.45), "door": ((0.8, 1.0), (0.05, 0.1), (1.95, 2.1), 0.0),
    "window": ((0.6, 1.6), (0.06, 0.14), (0.7, 1.2), 0.95), "wall": ((0.2, 0.8), (0.03, 0.2), (0.2, 0.7), 1.3),
    "ceiling": ((0.2, 0.6), (0.2, 0.6), (0.05, 0.4), 0.0), "bathroom": ((0.4, 0.8), (0.5, 0.7), (0.4, 0.85), 0.0),
}  # fmt: skip
_SEATS = ("chair", "office chair", "armchair", "stool", "sofa")


def plain(role: str, rng: np.random.Generator) -> tuple[Mesh, tuple[float, float, float], str, float]:
    """A piece of furniture from boxes: legs under a board, a seat with a back, or a body."""
    from iseg3d_ros.scenes.goods import paint

    known = _PLAIN.get(
        "chair" if role in _SEATS and role != "sofa" else role, ((0.2, 0.6), (0.2, 0.6), (0.3, 1.2), 0.0)
    )
    size = (float(rng.uniform(*known[0])), float(rng.uniform(*known[1])), float(rng.uniform(*known[2])))
    w, d, h = size
    colour = paint(rng)
    if role in ("table", "desk", "coffee table"):
        board = transform(box([w, d, 0.04], colour), pose(0, 0, h - 0.04))
        legs = [transform(box([0.05, 0.05, h - 0.04], colour), pose(x, y)) for x in (-w / 2 + 0.04, w / 2 - 0.04)
                for y in (-d / 2 + 0.04, d / 2 - 0.04)]  # fmt: skip
        return merge([board, *legs]), size, role, known[3]
    if role in _SEATS:
        seat = box([w, d, h * 0.5], colour) if role in ("sofa", "armchair") else transform(
            box([w, d, 0.05], colour), pose(0, 0, h * 0.48))  # fmt: skip
        back = transform(box([w, 0.08, h * 0.55], colour), pose(0, d / 2 - 0.04, h * 0.45))
        foot = transform(box([0.06, 0.06, h * 0.48], colour), pose())
        return merge([seat, back, foot]), size, role, 0.0
    return box(size, colour), size, role, known[3]
