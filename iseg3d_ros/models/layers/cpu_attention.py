"""Attention between few clicks and many points that never projects the points, for inference on a CPU.

A projection of all points that only meets a few clicks is moved to the clicks, where it costs nothing:
(x Wq) (Wk c)^T = x (Wq Wk c)^T, and of a sum of weighted values, sum a (x Wv) = (sum a x) Wv. Points are worked on in
blocks that stay in the cache, and each object's clicks meet only the points they see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.sparse.scratch import scratch

BLOCK_NUMBERS = 1 << 18  # a megabyte, so that a few such buffers stay in the cache
MAX_FOLDED_CLICKS_PER_CHANNEL = 2.0  # clicks times heads; more: projecting the points is faster
MIN_FOLDED_NUMBERS = 1 << 22  # in a scene's features, 33k points of 128; with fewer it was not measured to be faster


def should_fold(points: Tensor) -> bool:
    """Whether it pays, and nothing but the result is wanted: in training and pruning every layer must be at work."""
    return torch.is_inference_mode_enabled() and points.device.type == "cpu" and points.numel() >= MIN_FOLDED_NUMBERS


def should_split_labels(attention: Attention, points: Tensor) -> bool:
    """Whether each object's clicks look at their own points by themselves: with one head, all clicks together would
    keep one thread busy."""
    return torch.is_inference_mode_enabled() and points.device.type == "cpu" and attention.heads == 1


def few_clicks(attention: Attention, clicks: int) -> bool:
    """Whether so few clicks take less work folded."""
    return clicks * attention.heads <= MAX_FOLDED_CLICKS_PER_CHANNEL * attention.query.weight.shape[1]


def attend_visible(
    attention: Attention, queries: Tensor, points: Tensor, position: Tensor, label: Tensor, seen: Tensor
) -> Tensor:
    """Clicks (K, width) that look at the points which their label sees; `queries` are projected, `seen` (labels, N)."""

    def gather(clicks: Tensor, rows: Tensor | None) -> Tensor:
        values, codes = (each if rows is None else each.index_select(0, rows) for each in (points, position))
        return gathered(attention, queries[clicks], values + codes, values)

    return attention.out(by_label(label, seen, gather))


def attend_visible_projected(
    attention: Attention, queries: Tensor, keys: Tensor, values: Tensor, label: Tensor, seen: Tensor
) -> Tensor:
    """The same where the points' projections (N, width) are at hand."""

    def gather(clicks: Tensor, rows: Tensor | None) -> Tensor:
        own = (each if rows is None else each.index_select(0, rows) for each in (keys, values))
        return attention.gather(queries[clicks], *own)

    return attention.out(by_label(label, seen, gather))


def by_label(label: Tensor, seen: Tensor, gather: Callable[[Tensor, Tensor | None], Tensor]) -> Tensor:
    """What `gather` finds for the clicks of every label in the rows it sees; labels that see everything go together."""
    counts, labels = seen.sum(1).tolist(), label.tolist()
    groups: dict[int, list[int]] = {}
    for k, m in enumerate(labels):
        groups.setdefault(-1 if counts[m] == seen.shape[1] else m, []).append(k)
    members = [torch.tensor(each) for each in groups.values()]
    rows = (None if m < 0 else seen[m].nonzero()[:, 0] for m in groups)
    found = torch.cat([gather(*each) for each in zip(members, rows, strict=True)])
    return torch.empty_like(found).index_copy_(0, torch.cat(members), found)


def gathered(attention: Attention, queries: Tensor, placed: Tensor, values: Tensor) -> Tensor:
    """What projected queries (K, width) gather of all these points, heads side by side, before the last projection."""
    if not few_clicks(attention, len(queries)):
        return attention.gather(queries, attention.key(placed), attention.value(values))
    heads, each = attention.heads, queries.unflatten(1, (attention.heads, -1))
    # The keys' bias adds the same to all of a query's scores, which the softmax does not see.
    folded = torch.einsum("khd,hdw->hkw", each * attention.scale, attention.key.weight.unflatten(0, (heads, -1)))
    share = (folded.flatten(0, 1) @ placed.T).softmax(1)
    pooled = (share @ values).unflatten(0, (heads, -1))
    found = torch.einsum("hkw,hdw->khd", pooled, attention.value.weight.unflatten(0, (heads, -1))).flatten(1)
    return found + attention.value.bias


class SceneToClicks:
    """Points that look at the clicks: both projections of the points are in two matrices made of the clicks."""

    def __init__(self, attention: Attention, keys: Tensor, values: Tensor) -> None:
        heads = attention.heads
        self.heads, self.out_bias = heads, attention.out.bias
        each = keys.unflatten(1, (heads, -1)) * attention.scale
        query = attention.query.weight.unflatten(0, (heads, -1))
        self.weight = torch.einsum("khd,hdw->whk", each, query).flatten(1)
        self.bias = torch.einsum("khd,hd->hk", each, attention.query.bias.unflatten(0, (heads, -1))).flatten()
        out = attention.out.weight.unflatten(1, (heads, -1))
        self.out = torch.einsum("khd,whd->hkw", values.unflatten(1, (heads, -1)), out).flatten(0, 1)

    def update(self, points: Tensor, position: Tensor, norm: nn.LayerNorm) -> Tensor:
        """Points (N, width) and what they take from the clicks, normalised."""
        updated = torch.empty_like(points)
        for block in blocks(points):
            own = points[block]
            placed = torch.add(own, position[block], out=scratch("placed", len(own), own.shape[1], own))
            updated[block] = norm(self.found(placed).add_(own))
        return updated

    def found(self, placed: Tensor) -> Tensor:
        """What points with their position codes take from the clicks, written over them."""
        scores, share = (scratch(name, len(placed), len(self.bias), placed) for name in ("scores", "share"))
        torch.addmm(self.bias, placed, self.weight, out=scores)
        torch.softmax(self.by_heads(scores), 2, out=self.by_heads(share))
        return torch.addmm(self.out_bias, share, self.out, out=placed)

    def by_heads(self, values: Tensor) -> Tensor:
        """(N, heads * clicks) as (N, heads, clicks)."""
        return values.unflatten(1, (self.heads, -1))


def blocks(points: Tensor) -> Iterator[slice]:
    """Slices of the points that stay in the cache."""
    step = max(1, BLOCK_NUMBERS // points.shape[1])
    return (slice(start, min(start + step, len(points))) for start in range(0, len(points), step))
