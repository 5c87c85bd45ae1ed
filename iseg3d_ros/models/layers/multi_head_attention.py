"""Multi-head attention over unbatched rows."""

from __future__ import annotations

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
        return self.out(self.gather(queries, keys, values, mask))

    def gather(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same before the last projection."""
        q, k, v = (self.heads_first(x)[None] for x in (queries, keys, values))
        bias = None if mask is None else mask.to(q.dtype)[None, None]
        return scaled_dot_product_attention(q, k, v, bias, scale=self.scale)[0].transpose(0, 1).flatten(1)

    def heads_first(self, x: Tensor) -> Tensor:
        """Projections (N, width) as (heads, N, channels of one); those that are so already stay."""
        return x if x.ndim == 3 else x.unflatten(-1, (self.heads, -1)).transpose(0, 1)
