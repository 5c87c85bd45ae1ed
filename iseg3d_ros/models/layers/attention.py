"""AGILE3D's click attention: clicks look at the scene and at each other, and the scene looks back at the clicks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers.multi_head_attention import Attention


class FeedForward(nn.Module):
    """Linear, ReLU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """The two linear maps, without the residual."""
        return self.out(self.hidden(x).relu())


@dataclass(frozen=True)
class SceneProjections:
    """What a layer makes of a scene before any click: its keys and values, and its own queries.

    At inference on a CPU keys and values are kept by heads, queries are not made at all (None), and `background` is
    what the learned background queries of the first layer see, if they see everything.
    """

    keys: Tensor
    values: Tensor
    queries: Tensor | None
    background: Tensor | None = None


@dataclass(frozen=True)
class View:
    """A scene's points (N, width) as a layer finds them, their position codes, and projections where it has some."""

    points: Tensor
    position: Tensor
    projections: SceneProjections | None


class ClickLayer(nn.Module):
    """Click-to-scene, click-to-click, feed-forward, scene-to-click; post-norm, position codes on queries and keys."""

    def __init__(self, width: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.click_to_scene = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.click_to_click = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ffn)
        self.norm3 = nn.LayerNorm(width)
        self.scene_to_click = Attention(width, heads)
        self.norm4 = nn.LayerNorm(width)

    def project(self, scene: Tensor, position: Tensor) -> SceneProjections:
        """The scene's projections, which no click changes before this layer's own update."""
        placed, attention = scene + position, self.click_to_scene
        if not cpu_attention.should_fold(scene):
            return SceneProjections(attention.key(placed), attention.value(scene), self.scene_to_click.query(placed))
        keys, values = (attention.heads_first(x).contiguous() for x in (attention.key(placed), attention.value(scene)))
        return SceneProjections(keys, values, None)

    def view(self, points: Tensor, position: Tensor, first: SceneProjections | None = None) -> View:
        """The scene as this layer takes it; `first` is what was projected before."""
        if not cpu_attention.should_fold(points) and (first is None or first.queries is None):
            first = self.project(points, position)
        return View(points, position, first)

    def look(self, clicks: Tensor, place: Tensor, view: View, label: Tensor, seen: Tensor | None) -> Tensor:
        """What the queries find in the points that their label sees, `seen` bool (labels, N), or in all of them."""
        attention, made = self.click_to_scene, view.projections
        queries = attention.query(clicks + place)
        if seen is not None and cpu_attention.should_fold(view.points):
            return cpu_attention.attend_visible(attention, queries, view.points, view.position, label, seen)
        if made is None:
            made = self.project(view.points, view.position)
        if seen is not None and cpu_attention.should_split_labels(attention, view.points):
            return cpu_attention.attend_visible_projected(attention, queries, made.keys, made.values, label, seen)
        if made.background is not None and seen is None:
            own = attention.attend(queries[len(made.background) :], made.keys, made.values)
            return torch.cat([made.background, own])
        return attention.attend(queries, made.keys, made.values, None if seen is None else click_mask(seen, label))

    def update_clicks(self, clicks: Tensor, place: Tensor, looked: Tensor) -> Tensor:
        """Queries after looking at the scene, which found `looked`, and at one another."""
        clicks = self.norm1(clicks + looked)
        placed = clicks + place
        clicks = self.norm2(clicks + self.click_to_click(placed, placed, clicks))
        return self.norm3(clicks + self.ffn(clicks))

    def update_scene(self, view: View, clicks: Tensor, place: Tensor) -> Tensor:
        """Scene features after looking at the clicks."""
        attention, points, made = self.scene_to_click, view.points, view.projections
        keys, values = attention.key(clicks + place), attention.value(clicks)
        if not cpu_attention.should_fold(points) and made is not None and made.queries is not None:
            return self.norm4(points + attention.attend(made.queries, keys, values))
        if cpu_attention.few_clicks(attention, len(clicks)):
            return cpu_attention.SceneToClicks(attention, keys, values).update(points, view.position, self.norm4)
        updated = torch.empty_like(points)
        for block in cpu_attention.blocks(points):
            found = attention.attend(attention.query(points[block] + view.position[block]), keys, values)
            updated[block] = self.norm4(found.add_(points[block]))
        return updated


def sees(logits: Tensor) -> Tensor:
    """Bool (labels, N): a label's clicks see the points now predicted as its own, or all where there are none."""
    own = logits >= logits.amax(0)
    return own | ~own.any(1, keepdim=True)


def click_mask(seen: Tensor, label: Tensor) -> Tensor:
    """What attention adds to the scores (K, N) of clicks: 0 where their label sees, minus infinity elsewhere."""
    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, -torch.inf)[label]


def best_of_clicks(logits: Tensor, label: Tensor, labels: int) -> Tensor:
    """Scores (labels, N) from scores a click (K, N): the best of each object's clicks; very low where it has none."""
    low = logits.new_full((labels, logits.shape[1]), -1e4)
    return low.scatter_reduce(0, label[:, None].expand_as(logits), logits, "amax")


def mean_of_clicks(queries: Tensor, label: Tensor, labels: int) -> Tensor:
    """Mean query (labels, C) of each object's clicks; zero where it has none."""
    member = (label == torch.arange(labels, device=label.device)[:, None]).to(queries.dtype)
    return member @ queries / member.sum(1, keepdim=True).clamp(min=1)
