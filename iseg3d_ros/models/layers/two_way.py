"""Attention both ways between a handful of prompt tokens and the voxels of a scene, biased by distance.

Tokens are few and voxels many, so voxels are never projected: the projections of keys, queries and values are
multiplied into the tokens' side, which gives the same numbers for a third of the work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

ROWS = 2048  # voxels worked on at once without gradient: what stays in a core's cache

Answer = Callable[[Tensor, slice], Tensor]  # of voxels (B, m, C), which are these rows of all


def in_blocks(work: Callable[[slice], Tensor], count: int) -> Tensor:
    """`work` on all of `count` rows, side by side along dimension 1; in blocks on a CPU that keeps no gradient."""
    if not torch.is_inference_mode_enabled() or count <= ROWS:
        return work(slice(None))
    whole: Tensor | None = None
    for at in range(0, count, ROWS):
        part = work(slice(at, at + ROWS))
        if whole is None:
            whole = part.new_empty((part.shape[0], count, *part.shape[2:]))
        whole[:, at : at + ROWS] = part
    assert whole is not None
    return whole


class CrossAttention(nn.Module):
    """Multi-head attention with a narrow inside, in three uses: among tokens, tokens to voxels, voxels to tokens."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (inner // heads) ** -0.5
        self.query, self.key = nn.Linear(width, inner), nn.Linear(width, inner)
        self.value, self.out = nn.Linear(width, inner), nn.Linear(inner, width)

    def among(self, queries: Tensor, values: Tensor) -> Tensor:
        """Tokens (B, T, C) attend to one another; `queries` serve as keys too."""
        q, k, v = (self._by_head(x) for x in (self.query(queries), self.key(queries), self.value(values)))
        weights = (q @ k.transpose(-1, -2) * self.scale).softmax(-1)
        attended: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return attended

    def tokens_to_voxels(
        self, tokens: Tensor, voxels: Tensor, bias: Tensor | None = None, weight: Tensor | None = None
    ) -> Tensor:
        """What tokens (B, T, C) gather from voxels (B, M, C); `bias` (B, K, heads, M) for the last K tokens, `weight`
        (M,) for all: the logarithm of how many voxels each stands for.

        A key's constant part shifts all scores of a token alike, so softmax does not see it.
        """
        q = self._by_head(self.query(tokens)) * self.scale
        scores = self._scores(q @ self._by_row(self.key.weight), voxels, bias)
        if weight is not None:
            scores += weight
        gathered = (scores.softmax(-1).flatten(1, 2) @ voxels).unflatten(1, (-1, self.heads))  # (B, T, heads, C)
        values = gathered.transpose(1, 2) @ self._by_row(self.value.weight).transpose(1, 2)
        attended: Tensor = self.out(values.transpose(1, 2).flatten(2) + self.value.bias)
        return attended

    def voxels_to_tokens(self, keys: Tensor, values: Tensor, bias: Tensor) -> Answer:
        """What voxels (B, m, C) take from tokens (B, T, C); `bias` (B, K, heads, M) for the last K tokens."""
        k, v = self._by_head(self.key(keys)) * self.scale, self._by_head(self.value(values))
        constant = (k @ self.query.bias.view(self.heads, -1, 1)).transpose(1, 2)  # (B, T, heads, 1)
        folded = k @ self._by_row(self.query.weight)  # (B, heads, T, C)
        table = v @ self.out.weight.T.view(self.heads, -1, self.out.out_features)
        table = table.transpose(1, 2).flatten(1, 2)  # (B, T * heads, C)

        def answer(voxels: Tensor, rows: slice) -> Tensor:
            weights = (self._scores(folded, voxels, bias[..., rows]) + constant).softmax(1)
            return weights.flatten(1, 2).transpose(1, 2) @ table + self.out.bias

        return answer

    def _scores(self, folded: Tensor, voxels: Tensor, bias: Tensor | None) -> Tensor:
        """Scores (B, T, heads, M), whose long side lies contiguous, of tokens (B, heads, T, C) against voxels."""
        scores = folded.transpose(1, 2).flatten(1, 2) @ voxels.transpose(1, 2)
        scores = scores.unflatten(1, (-1, self.heads))
        if bias is not None:
            scores[:, scores.shape[1] - bias.shape[1] :] += bias
        return scores

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _by_row(self, weight: Tensor) -> Tensor:
        return weight.view(self.heads, -1, weight.shape[1])


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to voxels, an MLP of the tokens, voxels to tokens (as in SAM's decoder).

    The bias of attention by `channels` of nearness and likeness is learned for negative and positive clicks; the two
    tokens without a place have none.
    """

    def __init__(self, width: int, inner: int, heads: int, channels: int) -> None:
        super().__init__()
        self.self_attention = CrossAttention(width, width, heads)
        self.look, self.back = CrossAttention(width, inner, heads), CrossAttention(width, inner, heads)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        bias = torch.zeros(2, 2, heads, channels)
        bias[0, ..., 0], bias[1, ..., 0] = -1.0, -2.0
        self.by_distance = nn.Parameter(bias)

    def forward(
        self, tokens: Tensor, first: Tensor, voxels: Tensor, near: Tensor, sign: Tensor, weight: Tensor | None = None
    ) -> tuple[Tensor, Answer]:
        """Refined tokens, and how the voxels find what they are to add to themselves.

        `first` are the tokens as they began (their place is in them), `near` (B, K, channels, M) how near the K clicks
        are, and how like, `sign` (B, K) 0 or 1, `weight` (M,) the logarithm of how many voxels each stands for.
        """
        look, back = (weight @ near for weight in self.by_distance[:, sign])  # (B, K, heads, M) each
        tokens = self.norm1(tokens + self.self_attention.among(tokens + first, tokens))
        tokens = self.norm2(tokens + self.look.tokens_to_voxels(tokens + first, voxels, look, weight))
        tokens = self.norm3(tokens + self.mlp(tokens))
        return tokens, self.back.voxels_to_tokens(tokens + first, tokens, back)
