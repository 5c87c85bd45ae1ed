"""Furniture as people place it: beds with bedside tables, desks with chairs and screens, kitchen rows, sofa corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.floorplan import Place, Plan
from iseg3d_ros.scenes.furniture_picker import Piece, Pieces
from iseg3d_ros.scenes.mesh import Mesh, box, pose, recoloured, stretch, transform
from iseg3d_ros.scenes.render import Composition
from iseg3d_ros.scenes.room_shell import Shell, jut
from iseg3d_ros.scenes.surfaces import Standing, Support, stand
from iseg3d_ros.scenes.tabletop_objects import carton, paint, printed

ROOMS: dict[str, tuple[str, ...]] = {
    "bedroom": ("bed", "bed", "desk", "storage", "storage"), "living": ("sofa", "sofa", "table", "shelf"),
    "office": ("desk", "desk", "desk", "desk", "shelf", "table"), "bath": ("bathroom",) * 4,
    "kitchen": ("kitchen", "kitchen", "table"), "dining": ("table", "table", "storage", "sofa"),
    "class room": ("rows", "shelf", "storage"), "store": ("shelf", "shelf", "shelf", "storage", "table"),
}  # fmt: skip
SPREAD = ("storage", "shelf", "chair", "stool", "armchair", "plant", "floor lamp", "bin", "floor thing", "floor thing",
          "bag", "table", "cartons", "side by side", "side by side", "soft thing")  # fmt: skip
ROWED = ("storage", "shelf", "chair", "armchair", "office chair", "bin", "stool", "sofa", "desk")
FLAT = ("door", "window", "picture", "wall")  # may lie flush in a wall
# What stands on what, with the most things on it.
CARRIED: dict[str, tuple[tuple[str, ...], int]] = {
    "desk": (("screen", "screen", "desk thing", "small", "books"), 8), "table": (("small", "small", "any", "books"), 7),
    "coffee table": (("small", "any"), 4), "bedside table": (("small", "desk thing"), 3), "tv stand": (("screen",), 2),
    "counter": (("appliance", "small", "any"), 4), "storage": (("small", "books", "any", "plant"), 4),
    "shelf": (("books", "books", "small", "any"), 16), "bed": (("soft thing", "soft thing", "bag"), 5),
    "sofa": (("soft thing", "soft thing", "bag"), 5),
    "armchair": (("soft thing", "bag"), 1), "chair": (("soft thing", "bag"), 1),
}  # fmt: skip


class Furnisher:
    """Fills one room; what no catalogue model serves is built from plain bodies."""

    def __init__(self, world: Composition, room: Shell, rng: np.random.Generator, models: Sequence[Model]) -> None:
        self.world, self.room, self.rng = world, room, rng
        self.pieces = Pieces(rng, models, room.height)
        self.plan = Plan(room)
        self.seen: list[NDArray[np.float64]] = []  # middles of what stands here: where cameras look
        self.supports: list[Support] = []
        self.hung: list[tuple[int, float, float]] = []  # wall, how far along, half width

    def fill(self) -> None:
        """Groups of one kind of room, then single pieces until it is as full as rooms are."""
        self._rug()
        self._juts()
        self._openings()
        kind = str(self.rng.choice(list(ROOMS)))
        for group in ROOMS[kind]:
            self._group(group)
        full = self.rng.uniform(0.15, 0.45)
        for _ in range(40):
            if self.plan.taken.mean() > full:
                break
            self._group(str(self.rng.choice(SPREAD)))
        self._on_walls()
        self._clutter()

    def load(self) -> None:
        """Things on tops and in shelves; the world with the furniture must have been built."""
        for spot in stand(self.world, self.supports, self.rng):
            self._stand(spot)

    def _stand(self, spot: Standing) -> None:
        self._add(spot.thing.mesh, (spot.x, spot.y, spot.z, spot.yaw), spot.thing.name)

    # groups -------------------------------------------------------------------------------------------------------

    def _group(self, group: str) -> None:
        match group:
            case "bed":
                place = self._at_wall("bed")
                if place:
                    self._beside(place, "bedside table", -1)
                    self._beside(place, "bedside table", 1)
            case "desk":
                place = self._at_wall("desk") if self.rng.random() < 0.8 else self._anywhere("desk")
                if place:
                    self._before(place, "office chair" if self.rng.random() < 0.6 else "chair", -0.25)
            case "sofa":
                self._sofa()
            case "table":
                self._table()
            case "kitchen":
                self._kitchen()
            case "rows":
                self._rows()
            case "cartons":
                self._cartons()
            case "side by side":
                self._side_by_side(str(self.rng.choice(ROWED)))
            case "storage" | "shelf" | "bathroom" | "tv stand":
                self._at_wall(group)
            case _:
                self._anywhere(group)

    def _side_by_side(self, role: str) -> None:
        """Several of one model in a row that touch, or nearly: cupboards, chairs, units of a sofa, bins."""
        piece = self.pieces.next(role)
        first = self._at_wall(role) if self.rng.random() < 0.7 else self._anywhere(role)
        for k in range(1, int(self.rng.integers(2, 6))):
            if first is None:
                return
            step = k * (piece.size[0] + self.rng.uniform(0.0, 0.02))
            place = (first[0] + step * np.cos(first[2]), first[1] + step * np.sin(first[2]), first[2])
            self.pieces.again(role, piece)
            if not self._put(role, place):
                break
        self.pieces.used(role)

    def _juts(self) -> None:
        """What stands out of the walls: a part of one, or a wall of its own."""
        for body, place, width, depth in jut(self.room, self.rng):
            if self.plan.take(place, width * 0.97, depth * 0.97):
                self._add(body, (place[0], place[1], 0.0, place[2]), "wall")

    def _sofa(self) -> None:
        """A sofa, a coffee table before it, a television across the room."""
        place = self._at_wall("sofa") if self.rng.random() < 0.8 else self._anywhere("sofa")
        if place and self.rng.random() < 0.8:
            self._before(place, "coffee table", 0.35)
        self._at_wall("tv stand")
        for _ in range(self.rng.integers(0, 3)):
            self._anywhere("armchair")

    def _table(self) -> None:
        """A table with chairs around it, most of them drawn up."""
        piece = self.pieces.next("table")
        for _ in range(20):
            place = (*self._point(), float(self.rng.choice([0, np.pi / 2]) + self.rng.normal(0, 0.1)))
            if self._put("table", place):
                self._chairs(place, *piece.size[:2])
                return

    def _chairs(self, table: Place, width: float, depth: float) -> None:
        body = self.pieces.next("chair")
        for side in range(4):
            length = width if side % 2 == 0 else depth
            for along in (np.arange(int(length / 0.65)) - (int(length / 0.65) - 1) / 2) * 0.65:
                if self.rng.random() < 0.2:
                    continue
                turn = table[2] + side * np.pi / 2
                away = (depth if side % 2 == 0 else width) / 2 + body.size[1] * self.rng.uniform(-0.1, 0.6)
                x = table[0] - np.sin(turn) * away + np.cos(turn) * along
                y = table[1] + np.cos(turn) * away + np.sin(turn) * along
                if self._inside(x, y, max(body.size[:2]) / 2):
                    self._drawn_up(body, (x, y, turn + self.rng.normal(0, 0.2)))
        self.pieces.used("chair")

    def _drawn_up(self, body: Piece, place: Place) -> None:
        """A chair may stand half under its table, but on nothing else: a small core must be free or the table's."""
        back = place[0] - 0.15 * np.sin(place[2]), place[1] + 0.15 * np.cos(place[2])
        if self.plan.take((*back, place[2]), body.size[0] * 0.5, body.size[1] * 0.3):
            self._add(body.mesh, (place[0], place[1], 0.0, place[2]), body.name)

    def _kitchen(self) -> None:
        """A row of counters along a wall with cupboards above and a tall fridge at its end."""
        wall, along = int(self.rng.integers(4)), 0.05
        while along < self.room.length(wall) - 0.6:
            role = "counter" if self.rng.random() < 0.85 else "tall kitchen"
            width = self.pieces.next(role).size[0]
            if along + width > self.room.length(wall) or not self._put(role, self._wall(wall, along + width / 2, role)):
                break
            if role == "counter" and self.rng.random() < 0.6:
                self._put("upper kitchen", self._wall(wall, along + width / 2, "upper kitchen"), hung=True)
            along += width + 0.01

    def _rows(self) -> None:
        """Tables in rows, a chair behind each, all turned one way."""
        yaw = float(self.rng.integers(4)) * np.pi / 2
        piece, chair = self.pieces.next("table"), self.pieces.next("chair")
        step = np.array([piece.size[0] + 0.15, piece.size[1] + 0.9])
        c, s = np.cos(yaw), np.sin(yaw)
        middle = self.room.corner + np.array([self.room.width, self.room.depth]) / 2
        for i in range(-2, 3):
            for j in range(-2, 3):
                u, v = (i, j) * step
                x, y = middle + [c * u - s * v, s * u + c * v]
                self.pieces.again("table", piece)
                if self._inside(x, y, 0.3) and self._put("table", (x, y, yaw)):
                    away = piece.size[1] / 2 + 0.2
                    self._drawn_up(chair, (x - s * away, y + c * away, yaw + self.rng.normal(0, 0.15)))

    def _cartons(self) -> None:
        """A stack of boxes on the floor."""
        x, y = self._point()
        yaw, z = float(self.rng.uniform(0, 6.28)), 0.0
        size = self.rng.uniform(0.25, 0.6, 3)
        if not self.plan.take((x, y, yaw), size[0], size[1]):
            return
        for _ in range(self.rng.integers(1, 5)):
            card = np.array([0.62, 0.46, 0.3]) * self.rng.uniform(0.7, 1.2)
            colour = card if self.rng.random() < 0.6 else paint(self.rng)
            prints = [printed(self.rng, colour) for _ in range(2)]
            self._add(box(size, colour, prints), (x, y, z, yaw + self.rng.normal(0, 0.1)), "box")
            z += size[2] + 1e-3
            size = size * self.rng.uniform(0.75, 1.0, 3)

    def _openings(self) -> None:
        """Doors and windows first, so that furniture keeps away from the doors."""
        for role in ["door"] * int(self.rng.integers(1, 3)) + ["window"] * int(self.rng.integers(0, 4)):
            width = self.pieces.next(role).size[0]
            found = self._hang(role)
            if found and role == "door":
                self.plan.take(self.room.on_wall(*found, 0.45), width * 0.8, 0.7)

    def _on_walls(self) -> None:
        """What hangs on walls and ceiling."""
        for role in self.rng.choice(["wall", "picture", "picture", "curtain"], self.rng.integers(2, 11)):
            self._hang(str(role))
        for _ in range(self.rng.integers(0, 4)):
            piece = self.pieces.next("ceiling")
            self.pieces.used("ceiling")
            self._add(piece.mesh, (*self._point(), self.room.height - piece.size[2] - 0.002, 0.0), piece.name)

    def _hang(self, role: str) -> tuple[int, float] | None:
        """A piece on a wall, clear of what hangs there (a curtain may half cover it); which wall, how far along."""
        piece = self.pieces.next(role)
        if role in FLAT and self.rng.random() < 0.6:
            self.pieces.again(role, self._flush(piece))
        half = piece.size[0] / 2
        for _ in range(4):
            wall = int(self.rng.integers(4))
            if 2 * half > self.room.length(wall) - 0.3:
                continue
            along = float(self.rng.uniform(half + 0.1, self.room.length(wall) - half - 0.1))
            apart = 0.4 if role == "curtain" else 1.02
            if all(w != wall or abs(along - a) > apart * (half + h) for w, a, h in self.hung):
                self.hung.append((wall, along, half))
                return (wall, along) if self._put(role, self._wall(wall, along, role), hung=True) else None
        return None

    def _flush(self, piece: Piece) -> Piece:
        """The same, no more than some millimetres or centimetres proud of its wall, often in the wall's colour."""
        thick = float(np.exp(self.rng.uniform(np.log(0.003), np.log(0.04))))
        body = stretch(piece.mesh, (1.0, thick / max(piece.size[1], thick), 1.0))
        if self.rng.random() < 0.5:
            body = recoloured(body, np.clip(self.room.paint * self.rng.uniform(0.75, 1.1, (2, 1)), 0, 1))
        return replace(piece, mesh=body, size=(piece.size[0], min(thick, piece.size[1]), piece.size[2]))

    def _clutter(self) -> None:
        """Boxes, bags and small things on the floor."""
        for _ in range(self.rng.integers(0, 10)):
            role = str(self.rng.choice(["carton", "bag", "any", "small", "soft thing"]))
            item = carton(self.rng) if role == "carton" else self.pieces.carried(role)
            place = (*self._point(), float(self.rng.uniform(0, 6.28)))
            if self.plan.take(place, 2 * item.half[0], 2 * item.half[1]):
                self._add(item.mesh, (*place[:2], 0.0, place[2]), item.name)

    def _rug(self) -> None:
        if self.rng.random() < 0.35:
            size = [*self.rng.uniform(0.6, 2.5, 2), 0.012]
            turn = float(self.rng.choice([0, np.pi / 2]))
            self._add(box(size, textures=[printed(self.rng, paint(self.rng))] * 6), (*self._point(), 0.0, turn), "rug")

    # placing ------------------------------------------------------------------------------------------------------

    def _at_wall(self, role: str) -> Place | None:
        """One piece with its back to a wall, where there is room; as often as not right beside the last one there."""
        width = self.pieces.next(role).size[0]
        for _ in range(15):
            wall = int(self.rng.integers(4))
            if width > self.room.length(wall) - 0.1:
                continue
            along = self.rng.uniform(width / 2, self.room.length(wall) - width / 2)
            place = self._wall(wall, along, role)
            if self._put(role, place):
                return place
        return None

    def _anywhere(self, role: str) -> Place | None:
        """One piece in the open, turned as it may be."""
        for _ in range(15):
            place = (*self._point(), float(self.rng.uniform(0, 6.28)))
            if self._put(role, place):
                return place
        return None

    def _before(self, place: Place, role: str, gap: float) -> None:
        """Something in front of what was put at `place`, facing it."""
        x, y, yaw = place
        piece = self.pieces.next(role)
        away = self._last[1] / 2 + piece.size[1] / 2 + gap + self.rng.uniform(-0.1, 0.2)
        at = (x + np.sin(yaw) * away, y - np.cos(yaw) * away, yaw + np.pi + self.rng.normal(0, 0.25))
        if "chair" in role:
            self.pieces.used(role)
            self._drawn_up(piece, at)
        else:
            self._put(role, at)

    def _beside(self, place: Place, role: str, side: int) -> None:
        """Something to the left or right of what was put at `place`, as deep against the wall."""
        x, y, yaw = place
        size, last = self.pieces.next(role).size, self._last
        away, back = side * (last[0] / 2 + size[0] / 2 + 0.05), last[1] / 2 - size[1] / 2
        self._put(role, (x + np.cos(yaw) * away - np.sin(yaw) * back, y + np.sin(yaw) * away + np.cos(yaw) * back, yaw))
        self._last = last

    def _put(self, role: str, place: Place, hung: bool = False) -> bool:
        """Place the piece chosen for a role; False where the floor is taken. What it carries is decided here too."""
        piece = self.pieces.next(role)
        if piece.elevation + piece.size[2] > self.room.height - 0.02:
            self.pieces.used(role)
            return False
        if not hung and not self.plan.take(place, piece.size[0] * 0.97, piece.size[1] * 0.97):
            return False
        self.pieces.used(role)
        self._add(piece.mesh, (place[0], place[1], piece.elevation, place[2]), piece.name)
        self._last = piece.size
        if role in CARRIED:
            roles, most = CARRIED[role]
            count = int(self.rng.integers(0, most + 1))
            things = [self.pieces.carried(str(self.rng.choice(roles))) for _ in range(count)]
            self.supports.append(Support(*place, piece.size, things, role == "shelf"))
        return True

    _last: tuple[float, float, float] = (0.6, 0.6, 0.6)

    def _add(self, body: Mesh, place: tuple[float, float, float, float], name: str) -> None:
        x, y, z, yaw = place
        moved = transform(body, pose(x, y, z, yaw))
        self.world.add(moved, class_name=name)
        self.seen.append(moved.vertices.mean(0).astype(np.float64))

    def _inside(self, x: float, y: float, margin: float) -> bool:
        u, v = x - self.room.corner[0], y - self.room.corner[1]
        return bool(margin < u < self.room.width - margin and margin < v < self.room.depth - margin)

    def _wall(self, wall: int, along: float, role: str) -> Place:
        depth = self.pieces.next(role).size[1]
        gap = 0.015 if depth > 0.041 else 0.0
        return self.room.on_wall(wall, float(along), depth / 2 + gap + abs(self.rng.normal(0, gap)))

    def _point(self) -> tuple[float, float]:
        x = self.room.corner[0] + self.rng.uniform(0.3, self.room.width - 0.3)
        return float(x), float(self.room.corner[1] + self.rng.uniform(0.3, self.room.depth - 0.3))
