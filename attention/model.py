"""A small language model around one attention form: enough to see what attention is worth inside a train step.

Axes: b batch, l positions, c channels.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.caches import KVCache
from attention.errors import ShapeError, Unsupported
from attention.modules import SingleHeadAttention
from attention.multihead import MultiHeadAttention


class SwiGLU(nn.Module):
    """Gated feed-forward: down(silu(gate(x)) * up(x)).

    Shapes: x [B, L, C]; result as x. Cost: 6 B L C hidden FLOP. Source: Shazeer 2020, arXiv:2002.05202.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return projected


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Shapes: x [B, L, C]; result as x. Source: Xiong et al. 2020, arXiv:2002.04745 (norm first).
    """

    def __init__(self, dim: int, attention: nn.Module) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(dim)
        self.attention = attention
        self.feed_forward_norm = nn.RMSNorm(dim)
        self.feed_forward = SwiGLU(dim, hidden=4 * dim)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        normed = self.attention_norm(x)
        x = x + (self.attention(normed) if cache is None else self.attention(normed, cache=cache))
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class TransformerLM(nn.Module):
    """Tokens to the next token's logits, through `num_layers` causal blocks; `attention` makes each block's own.

    With `caches`, one a block, the tokens go on where these end, and each block attends through its own: what a model
    is given is what runs (seed 003's fast path was never called).

    Shapes: tokens [B, L], int64; result [B, L, vocab_size].
    Cost: num_layers (8 B L C² + 4 B L² C + 24 B L C²) + 2 B L C vocab_size FLOP forward, three times that for a step.
    Raises: ShapeError when tokens is not [B, L] in whole numbers, or reaches beyond max_length, or caches are not one a
    block and equally long; Unsupported for caches where `attention` takes none.
    Source: seed 000's model, with RMSNorm and SwiGLU.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        num_layers: int,
        *,
        max_length: int = 1024,
        attention: Callable[[int], nn.Module] = SingleHeadAttention,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.token_embedding = nn.Embedding(vocab_size, dim)
        self.position_embedding = nn.Embedding(max_length, dim)
        self.blocks = nn.ModuleList(Block(dim, attention(dim)) for _ in range(num_layers))
        self.norm = nn.RMSNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, tokens: Tensor, *, caches: Sequence[KVCache] | None = None) -> Tensor:
        return self.logits(self.hidden(tokens, caches=caches))

    def hidden(self, tokens: Tensor, *, caches: Sequence[KVCache] | None = None) -> Tensor:
        """The last block's output, [B, L, C]: prefill needs the logits of one position alone."""
        start = self._start(tokens, caches)
        positions_l = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        x_blc: Tensor = self.token_embedding(tokens) + self.position_embedding(positions_l)
        kept: Sequence[KVCache | None] = caches or [None] * len(self.blocks)
        for block, cache in zip(self.blocks, kept, strict=True):
            x_blc = block(x_blc, cache)
        return x_blc

    def logits(self, hidden: Tensor) -> Tensor:
        """Shapes: hidden [..., C]; result [..., vocab_size]."""
        scores: Tensor = self.head(self.norm(hidden))
        return scores

    def _start(self, tokens: Tensor, caches: Sequence[KVCache] | None) -> int:
        if caches is not None and len(caches) != len(self.blocks):
            raise ShapeError(f"TransformerLM: {len(caches)} caches, wanted one for each of {len(self.blocks)} blocks")
        if caches and not all(isinstance(block.attention, MultiHeadAttention) for block in self.blocks):
            raise Unsupported("a single head keeps no cache; attention=partial(MultiHeadAttention, ...) does")
        held = [cache.seq_len for cache in caches or ()]
        if len(set(held)) > 1:
            raise ShapeError(f"TransformerLM: caches hold {held} positions, wanted as many in each")
        start = held[0] if held else 0
        whole = tokens.dtype in (torch.int32, torch.int64)
        if tokens.dim() != 2 or not whole or start + tokens.shape[1] > self.max_length:
            met = f"tokens {list(tokens.shape)} {tokens.dtype}" + (f" behind {start} cached" if start else "")
            wanted = f"whole numbers [B, L] with L <= {self.max_length - start}"
            raise ShapeError(f"TransformerLM: {met}, wanted {wanted}")
        return start
