"""Multi-head attention with its projections: self or cross, shared key heads, any widths, every kernel, every cache.

Axes: b batch, h heads, l query positions, s key positions, c channels, d head width, e value width.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from attention.caches import EncoderKV, KVCache
from attention.chunked import checkpointed_attention, chunked_attention
from attention.errors import ShapeError, Unsupported
from attention.functional import Kernel, masked_attention, naive_attention, sdpa_attention
from attention.grouped import grouped_query_attention, repeated_kv_attention
from attention.modules import check_input
from attention.rotary import RotaryEmbedding
from attention.weights import convert_weights

Backend = Literal["naive", "masked", "sdpa", "chunked", "checkpointed", "repeated_kv", "grouped"]
BACKENDS: dict[Backend, Kernel] = {
    "naive": naive_attention,
    "masked": masked_attention,
    "sdpa": sdpa_attention,
    "chunked": chunked_attention,
    "checkpointed": checkpointed_attention,
    "repeated_kv": repeated_kv_attention,
    "grouped": grouped_query_attention,
}
#: Kernels that take fewer key heads than query heads.
GROUPED: tuple[Backend, ...] = ("sdpa", "repeated_kv", "grouped")


class MultiHeadAttention(nn.Module):
    """x -> q, k, v -> attention -> output projection; keys and values from `context`, seen whole, where it is given.

    Weights are the same numbers whether the three projections are one product (`fused_qkv`) or three: a state_dict of
    either loads into the other.

    Shapes: x [B, L, C]; context [B, S, kv_width]; mask broadcasts to [B, Hq, L, S]; positions as RotaryEmbedding;
    result as x.
    Memory: q, k, v are views of one result (fused), the kernel's own, and the output. With `checkpoint` the kernel's is
    computed again in the backward pass.
    Cost: 2 B L C (Hq D + Hkv D + Hkv Dv + Hq Dv) FLOP for the projections, and the kernel's.
    Raises: ShapeError when sizes, dtypes or devices do not fit together; Unsupported for what a backend, a cache or an
    int8 layer cannot do.
    Source: seeds 001, 002; Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        key_dim: int | None = None,
        value_dim: int | None = None,
        kv_width: int | None = None,
        fused_qkv: bool = True,
        backend: Backend = "grouped",
        causal: bool = True,
        dropout: float = 0.0,
        checkpoint: bool = False,
        rotary: RotaryEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if backend not in BACKENDS:
            raise ShapeError(f"MultiHeadAttention: backend={backend!r}, wanted one of {', '.join(BACKENDS)}")
        if min(embed_dim, num_heads, self.num_kv_heads) < 1 or num_heads % self.num_kv_heads:
            met = f"embed_dim={embed_dim}, num_heads={num_heads}, num_kv_heads={self.num_kv_heads}"
            raise ShapeError(f"MultiHeadAttention: met {met}, wanted num_kv_heads a divisor of num_heads")
        if key_dim is None and embed_dim % num_heads:
            raise ShapeError(f"MultiHeadAttention: embed_dim={embed_dim} over {num_heads} heads, wanted a multiple")
        if self.num_kv_heads != num_heads and backend not in GROUPED:
            raise Unsupported(f"the {backend} backend has no shared key heads; {', '.join(GROUPED)} have")
        self.key_dim = embed_dim // num_heads if key_dim is None else key_dim
        self.value_dim = self.key_dim if value_dim is None else value_dim
        self.kv_width = embed_dim if kv_width is None else kv_width
        if min(self.key_dim, self.value_dim, self.kv_width) < 1:
            met = f"key_dim={self.key_dim}, value_dim={self.value_dim}, kv_width={self.kv_width}"
            raise ShapeError(f"MultiHeadAttention: met {met}, wanted at least 1 each")
        if fused_qkv and self.kv_width != embed_dim:
            raise Unsupported("keys and values of another width than queries have projections of their own: fused_qkv")
        self.backend, self.causal, self.dropout, self.checkpoint = backend, causal, dropout, checkpoint
        self.scale = self.key_dim**-0.5
        self.rotary = rotary
        self.widths = (
            num_heads * self.key_dim,
            self.num_kv_heads * self.key_dim,
            self.num_kv_heads * self.value_dim,
        )
        self.fused_qkv = fused_qkv
        if fused_qkv:
            self.qkv = nn.Linear(embed_dim, sum(self.widths), bias=False)
        else:
            self.query = nn.Linear(embed_dim, self.widths[0], bias=False)
            self.key = nn.Linear(self.kv_width, self.widths[1], bias=False)
            self.value = nn.Linear(self.kv_width, self.widths[2], bias=False)
        self.out = nn.Linear(num_heads * self.value_dim, embed_dim, bias=False)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        positions: int | Tensor | None = None,
    ) -> Tensor:
        self._check(x, context, mask, cache, positions)
        if isinstance(cache, EncoderKV):
            heads_bhle = cache.attend(self._query(x), scale=self.scale)
        else:
            q, k, v = self._project(x, context)
            if self.rotary is not None:
                offset = (0 if cache is None else cache.seq_len) if positions is None else positions
                q, k = self.rotary(q, offset), self.rotary(k, offset)
            if cache is not None:
                cache.append(k, v)
                heads_bhle = cache.attend(q, scale=self.scale)
            else:
                heads_bhle = self._attend(q, k, v, mask, is_causal=self.causal and context is None)
        out: Tensor = self.out(heads_bhle.transpose(1, 2).flatten(2))
        return out

    def encode(self, context: Tensor) -> EncoderKV:
        """Project an encoder's states once, for all steps of a decoder: `m(x, cache=m.encode(context))`."""
        self._check_input("context", context, self.kv_width)
        return EncoderKV(*self._key_value(context))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            dropout_p = self.dropout if self.training else 0.0
            kernel = BACKENDS[self.backend]
            return kernel(q, k, v, attn_mask=mask, is_causal=is_causal, scale=self.scale, dropout_p=dropout_p)

        if self.checkpoint and torch.is_grad_enabled():
            # Only dropout draws numbers that the second time must be the same.
            drops = self.training and self.dropout > 0.0
            again: Tensor = checkpoint(core, q, k, v, use_reentrant=False, preserve_rng_state=drops)
            return again
        return core(q, k, v)

    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        if context is None and self.fused_qkv:
            q, k, v = self.qkv(x).split_with_sizes(self.widths, dim=-1)
            return self._heads(q, self.num_heads), self._heads(k, self.num_kv_heads), self._heads(v, self.num_kv_heads)
        return self._query(x), *self._key_value(x if context is None else context)

    def _query(self, x: Tensor) -> Tensor:
        q = F.linear(x, self._rows(slice(None, self.widths[0]))) if self.fused_qkv else self.query(x)
        return self._heads(q, self.num_heads)

    def _key_value(self, context: Tensor) -> tuple[Tensor, Tensor]:
        if self.fused_qkv:
            k, v = F.linear(context, self._rows(slice(self.widths[0], None))).split_with_sizes(self.widths[1:], dim=-1)
        else:
            k, v = self.key(context), self.value(context)
        return self._heads(k, self.num_kv_heads), self._heads(v, self.num_kv_heads)

    def _rows(self, rows: slice) -> Tensor:
        """Some of the joint projection's rows, a view."""
        if not self.qkv.weight.is_floating_point():
            raise Unsupported("a quantised joint projection is not taken apart: fused_qkv=False")
        return self.qkv.weight[rows]

    @staticmethod
    def _heads(t: Tensor, heads: int) -> Tensor:
        """[B, L, H D] -> [B, H, L, D], a view."""
        return torch.unflatten(t, -1, (heads, -1)).transpose(1, 2)

    def _check(
        self,
        x: Tensor,
        context: Tensor | None,
        mask: Tensor | None,
        cache: KVCache | None,
        positions: int | Tensor | None,
    ) -> None:
        self._check_input("x", x, self.embed_dim)
        if context is not None:
            self._check_input("context", context, self.kv_width)
        elif self.kv_width != self.embed_dim and not isinstance(cache, EncoderKV):
            raise ShapeError(f"MultiHeadAttention: no context, wanted one [B, S, {self.kv_width}]")
        if cache is not None and (context is not None or mask is not None):
            raise Unsupported("a cache attends to what it holds: with it, neither a context nor a mask")
        if cache is not None and not self.causal and not isinstance(cache, EncoderKV):
            raise Unsupported("a cache of past positions is causal, this module is not")
        if cache is not None and self.training and self.dropout:
            raise Unsupported("a cache attends without dropout: eval(), or dropout=0.0")
        if positions is not None and self.rotary is None:
            raise Unsupported("positions turn nothing without a rotary embedding")
        if self.rotary is not None and (context is not None or isinstance(cache, EncoderKV)):
            raise Unsupported("positions of two sequences are not comparable: no rotary embedding across them")

    def _check_input(self, name: str, t: Tensor, width: int) -> None:
        check_input("MultiHeadAttention", name, t, width, (self.qkv if self.fused_qkv else self.query).weight)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the weights of the other form of projection: three joined, or one split."""
        names = (f"{prefix}{name}.weight" for name in ("query", "key", "value"))
        parts = dict(zip(names, self.widths, strict=True))
        convert_weights(state_dict, f"{prefix}qkv.weight", parts, dim=0, join=self.fused_qkv)
        super()._load_from_state_dict(state_dict, prefix, *rest)
