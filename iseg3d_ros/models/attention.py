"""AGILE3D's click attention: clicks look at the scene and at each other, and the scene looks back at the clicks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head attention whose projections can be taken ahead of time and kept.

    `heads` follows the weights when heads are pruned away; the softmax's scale stays that of the unpruned head.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        for linear in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Plain attention of (N, width) over (L, width)."""
        return self.attend(self.query(queries), self.key(keys), self.value(values))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention over projections; `mask` (N, L) is 0 where a query may look, and minus infinity elsewhere."""
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(0, 1)[None] for x in (queries, keys, values))
        bias = None if mask is None else mask.to(q.dtype)[None, None]
        seen = scaled_dot_product_attention(q, k, v, bias, scale=self.scale)
        return self.out(seen[0].transpose(0, 1).flatten(1))


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
    """What the first layer makes of a scene before any click: its keys and values, and its own queries."""

    keys: Tensor
    values: Tensor
    queries: Tensor


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
        placed = scene + position
        return SceneProjections(
            self.click_to_scene.key(placed), self.click_to_scene.value(scene), self.scene_to_click.query(placed)
        )

    def update_clicks(self, clicks: Tensor, place: Tensor, scene: SceneProjections, mask: Tensor | None) -> Tensor:
        """Queries after looking at the scene and at one another."""
        seen = self.click_to_scene.attend(self.click_to_scene.query(clicks + place), scene.keys, scene.values, mask)
        clicks = self.norm1(clicks + seen)
        placed = clicks + place
        clicks = self.norm2(clicks + self.click_to_click(placed, placed, clicks))
        return self.norm3(clicks + self.ffn(clicks))

    def update_scene(self, scene: Tensor, queries: Tensor, clicks: Tensor, place: Tensor) -> Tensor:
        """Scene features after looking at the clicks; `queries` are their projections."""
        attention = self.scene_to_click
        return self.norm4(scene + attention.attend(queries, attention.key(clicks + place), attention.value(clicks)))


def click_mask(logits: Tensor, label: Tensor) -> Tensor:
    """(K, N): a click sees the points now predicted as its own object, or everything where there are none.

    0 where it sees and minus infinity elsewhere, as the attention adds it: no other copy of it is made.
    """
    own = logits >= logits.amax(0)
    seen = own | ~own.any(1, keepdim=True)
    return torch.zeros_like(logits).masked_fill_(~seen, -torch.inf)[label]


def best_of_clicks(logits: Tensor, label: Tensor, labels: int) -> Tensor:
    """Scores (labels, N) from scores a click (K, N): the best of each object's clicks; very low where it has none."""
    low = logits.new_full((labels, logits.shape[1]), -1e4)
    return low.scatter_reduce(0, label[:, None].expand_as(logits), logits, "amax")


def mean_of_clicks(queries: Tensor, label: Tensor, labels: int) -> Tensor:
    """Mean query (labels, C) of each object's clicks; zero where it has none."""
    member = (label == torch.arange(labels, device=label.device)[:, None]).to(queries.dtype)
    return member @ queries / member.sum(1, keepdim=True).clamp(min=1)
