"""Attention both ways between a handful of prompt tokens and the voxels of a scene, biased by distance.

Tokens are few and voxels many, so voxels are never projected: the projections of keys, queries and values are
multiplied into the tokens' side, which gives the same numbers for a third of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from iseg3d_ros.models.layers.click_position import DISTANCE_CHANNELS


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

    def tokens_to_voxels(self, tokens: Tensor, voxels: Tensor, bias: Tensor | None = None) -> Tensor:
        """What tokens (B, T, C) gather from voxels (B, M, C); `bias` (B, heads, T, M) is added to the scores.

        A key's constant part shifts all scores of a token alike, so softmax does not see it.
        """
        q = self._by_head(self.query(tokens)) * self.scale
        seen = (q @ self._by_row(self.key.weight)).flatten(1, 2) @ voxels.transpose(1, 2)  # (B, heads * T, M)
        weights = (seen if bias is None else seen + bias.flatten(1, 2)).softmax(-1)
        gathered = (weights @ voxels).unflatten(1, (self.heads, -1))  # (B, heads, T, C)
        values = gathered @ self._by_row(self.value.weight).transpose(1, 2)
        attended: Tensor = self.out(values.transpose(1, 2).flatten(2) + self.value.bias)
        return attended

    def voxels_to_tokens(self, voxels: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """What voxels (B, M, C) take from tokens (B, T, C); `bias` (B, M, heads, T)."""
        k, v = self._by_head(self.key(keys)) * self.scale, self._by_head(self.value(values))
        constant = k @ self.query.bias.view(self.heads, -1, 1)  # (B, heads, T, 1)
        scores = voxels @ (k @ self._by_row(self.query.weight)).flatten(1, 2).transpose(1, 2)
        scores = scores.unflatten(2, (self.heads, -1)) + constant.squeeze(-1)[:, None] + bias
        table = v @ self.out.weight.T.view(self.heads, -1, self.out.out_features)  # (B, heads, T, C)
        attended: Tensor = scores.softmax(-1).flatten(2) @ table.flatten(1, 2) + self.out.bias
        return attended

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _by_row(self, weight: Tensor) -> Tensor:
        return weight.view(self.heads, -1, weight.shape[1])


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to voxels, an MLP of the tokens, voxels to tokens (as in SAM's decoder).

    The bias of attention by distance is learned for negative and positive clicks; the two tokens without a place
    have none.
    """

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attention = CrossAttention(width, width, heads)
        self.look, self.back = CrossAttention(width, inner, heads), CrossAttention(width, inner, heads)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        bias = torch.zeros(2, 2, heads, DISTANCE_CHANNELS)
        bias[0, ..., 0], bias[1, ..., 0] = -1.0, -2.0
        self.by_distance = nn.Parameter(bias)

    def forward(
        self, tokens: Tensor, first: Tensor, voxels: Tensor, near: Tensor, sign: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Refined tokens, and what the voxels are to add to themselves.

        `first` are the tokens as they began (their place is in them), `near` (B, M, K, channels) the distance features
        of the K clicks, `sign` (B, K) 0 or 1.
        """
        weights = self.by_distance[:, sign]  # (2, B, K, heads, channels)
        look, back = (torch.einsum("bmkp,bkhp->bmhk", near, weight) for weight in weights)
        placeless = look.new_zeros(*look.shape[:3], tokens.shape[1] - look.shape[3])
        look, back = (torch.cat([placeless, bias], -1) for bias in (look, back))
        tokens = self.norm1(tokens + self.self_attention.among(tokens + first, tokens))
        tokens = self.norm2(tokens + self.look.tokens_to_voxels(tokens + first, voxels, look.permute(0, 2, 3, 1)))
        tokens = self.norm3(tokens + self.mlp(tokens))
        return tokens, self.back.voxels_to_tokens(voxels, tokens + first, tokens, back)
