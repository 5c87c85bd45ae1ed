"""What is drawn in the page's 3D view: the cloud, clicks, boxes, names, the suggested click."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.console.display import Display, palette
from iseg3d_ros.console.updates import Box, LabelsUpdate, StateUpdate

CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
EDGES = np.array([[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]])
ON_BACKGROUND = (25, 25, 25)
SUGGESTED = (255, 214, 10)
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@dataclass
class Look:
    """How the operators want to see it."""

    doubt: bool = False
    boxes: bool = True
    point_scale: float = 1.0
    cut: float = 1.0  # share of the height that is shown
    hidden: frozenset[str] = frozenset()


@dataclass
class Stage:
    """The nodes of viser's scene. All calls come from the console's own thread."""

    scene: Any
    camera: Any
    clients: Any  # () -> the browsers that are connected
    display: Display | None = None
    look: Look = field(default_factory=Look)
    _cloud: Any = None
    _seen: NDArray[np.bool_] | None = None
    _nodes: dict[str, Any] = field(default_factory=dict)

    def take(self, display: Display) -> None:
        """Another cloud; the cameras of all browsers go to it only if it lies elsewhere."""
        before, self.display, self._seen = self.display, display, None
        if before is None or _elsewhere(before, display):
            self.frame()

    def frame(self) -> None:
        """Point every camera at the whole cloud, from above and aside."""
        if self.display is None or len(self.display.chosen) == 0:
            return
        eye, middle = viewpoint(self.display)
        up = tuple(float(value) for value in self.display.up)
        self.scene.set_up_direction(up)
        self.camera.position, self.camera.look_at, self.camera.up = eye, middle, up
        for client in self.clients():
            client.camera.up_direction = up
            client.camera.position, client.camera.look_at = eye, middle

    @property
    def below(self) -> float:
        """The height up to which points are shown."""
        if self.display is None or self.look.cut >= 1.0 or len(self.display.chosen) == 0:
            return np.inf
        low, high = np.percentile(self.display.height[self.display.chosen], [0.5, 99.5])
        return float(low + self.look.cut * (high - low))

    def draw(self, state: StateUpdate, labels: LabelsUpdate | None) -> None:
        """Everything anew; only what differs is sent."""
        if self.display is None:
            return
        self._draw_cloud(self.display, state, labels)
        self._draw_clicks(self.display, state)
        self._draw_boxes(self.display, state)
        self._draw_suggestion(self.display, state)

    def visible(self, state: StateUpdate, labels: LabelsUpdate | None) -> NDArray[np.bool_]:
        """Which of all points may be clicked on: what is hidden is not in the way."""
        assert self.display is not None
        table = np.zeros(max((item.index for item in state.objects), default=0) + 1, bool)
        for item in state.objects:
            table[item.index] = item.id in self.look.hidden
        return self.display.shown(labels, table, self.below)

    @property
    def point_size(self) -> float:
        """Metres: points of surfaces just touch."""
        return 1.15 * self.look.point_scale * (self.display.spacing if self.display else 0.01)

    def _draw_cloud(self, display: Display, state: StateUpdate, labels: LabelsUpdate | None) -> None:
        doubt = self.look.doubt and labels is not None
        colours = display.doubts(labels, len(state.objects)) if doubt and labels else display.colours(
            labels, palette(state)
        )  # fmt: skip
        seen = self.visible(state, labels)[display.chosen]
        if self._seen is not None and np.array_equal(seen, self._seen):
            self._cloud.colors = colours[seen]
            self._cloud.point_size = self.point_size
            return
        points = display.local[display.chosen][seen]
        self._cloud = self.scene.add_point_cloud(
            "/cloud", points, colours[seen], point_size=self.point_size, precision="float32", point_shading="flat"
        )
        self._seen = seen

    def _draw_clicks(self, display: Display, state: StateUpdate) -> None:
        marks = [(point, pale(item.colour)) for item in state.objects for point in item.clicks]
        marks += [(point, ON_BACKGROUND) for point in state.background]
        if not marks:
            self._remove("clicks")
            return
        places = np.array([point for point, _ in marks]) - display.origin
        vertices, faces = ball(self._radius())
        self._nodes["clicks"] = self.scene.add_batched_meshes_simple(
            "/clicks", vertices, faces, np.tile(UPRIGHT, (len(marks), 1)), places.astype(np.float32),
            batched_colors=np.array([colour for _, colour in marks], np.uint8), lod="off", cast_shadow=False,
            receive_shadow=False,
        )  # fmt: skip

    def _draw_boxes(self, display: Display, state: StateUpdate) -> None:
        drawn = [
            item for item in state.objects if item.box and self.look.boxes and item.id not in self.look.hidden
        ]  # fmt: skip
        for name in [name for name in self._nodes if name.startswith("name")]:
            self._remove(name)
        if not drawn:
            self._remove("boxes")
            return
        lines = np.concatenate([edges(item.box, display.origin) for item in drawn if item.box])
        colours = np.repeat(np.array([item.colour for item in drawn], np.uint8), len(EDGES), axis=0)
        self._nodes["boxes"] = self.scene.add_line_segments(
            "/boxes", lines, np.repeat(colours[:, None], 2, axis=1), thickness=2.0, thickness_units="screen"
        )
        for item in drawn:
            assert item.box is not None
            top = (
                item.box.centre
                - display.origin
                + display.up * (np.abs(item.box.rotation.T @ display.up) @ item.box.size / 2)
            )
            self._nodes[f"name{item.index}"] = self.scene.add_label(
                f"/names/{item.index}", item.name, position=tuple(top), anchor="bottom-center"
            )

    def _draw_suggestion(self, display: Display, state: StateUpdate) -> None:
        if state.suggestion is None:
            self._remove("hint")
            self._remove("suggestion")
            return
        place = tuple(np.array(state.suggestion.point) - display.origin)
        self._nodes["suggestion"] = self.scene.add_icosphere(
            "/suggestion", 1.4 * self._radius(), SUGGESTED, subdivisions=2, wireframe=True, position=place,
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._nodes["hint"] = self.scene.add_label(
            "/hint", "click here next: Enter", position=place, anchor="top-center"
        )

    def _radius(self) -> float:
        """Of a click's ball: seen from afar, and not larger than small things."""
        assert self.display is not None
        points = self.display.local[self.display.chosen]
        low, high = np.percentile(points[:: max(1, len(points) // 5000)], [2, 98], axis=0)
        return max(0.006 * float(np.linalg.norm(high - low)), 2 * self.display.spacing)

    def _remove(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is not None:
            node.remove()


def viewpoint(display: Display) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where a camera stands, and what it looks at: from the side of the sensor if it was aside."""
    points = display.local[display.chosen].astype(np.float64)
    low, high = np.percentile(points, [1, 99], axis=0)
    middle = (low + high) / 2
    aside = -middle - display.origin
    aside -= display.up * (aside @ display.up)
    if np.linalg.norm(aside) < 0.25 * np.linalg.norm(high - low):
        aside = np.cross(display.up, np.eye(3)[np.abs(display.up).argmin()])
    aside /= max(float(np.linalg.norm(aside)), 1e-9)
    eye = middle + (0.58 * aside + 0.58 * display.up) * max(float(np.linalg.norm(high - low)), 0.05)
    return tuple(float(value) for value in eye), tuple(float(value) for value in middle)


def pale(colour: tuple[int, int, int]) -> tuple[int, ...]:
    """An object's colour as its clicks have it, which lie on the object."""
    return tuple((channel + 2 * 255) // 3 for channel in colour)


def edges(box: Box, origin: np.ndarray) -> NDArray[np.float32]:
    """The twelve edges of a box (12, 2, 3)."""
    corners = (CORNERS * box.size) @ box.rotation.T + (box.centre - origin)
    return corners[EDGES].astype(np.float32)


def ball(radius: float) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """A sphere of 8 by 12 facets."""
    polar, round_ = np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 13)
    p, r = (grid.ravel() for grid in np.meshgrid(polar, round_, indexing="ij"))
    vertices = radius * np.stack([np.sin(p) * np.cos(r), np.sin(p) * np.sin(r), np.cos(p)], axis=1)
    first = (np.arange(8)[:, None] * 13 + np.arange(12)).ravel()
    faces = np.concatenate(
        [np.stack([first, first + 13, first + 1], 1), np.stack([first + 1, first + 13, first + 14], 1)]
    )
    return vertices.astype(np.float32), faces.astype(np.uint32)


def _elsewhere(before: Display, now: Display) -> bool:
    """Whether two clouds have less than half of their extents in common."""
    if len(before.chosen) == 0 or len(now.chosen) == 0:
        return True
    extents: list[NDArray[np.float64]] = []
    for display in (before, now):
        points = display.local[display.chosen][:: max(1, len(display.chosen) // 5000)]
        extents.append(np.percentile(points, [2, 98], axis=0) + display.origin)
    common = np.minimum(extents[0][1], extents[1][1]) - np.maximum(extents[0][0], extents[1][0])
    return bool((common < 0.5 * (extents[1][1] - extents[1][0]) - 1e-6).any())
