"""A small language model around one attention form: enough to see what attention is worth inside a train step.

Axes: b batch, l positions, c channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.errors import ShapeError
from attention.masks import CausalMaskCache
from attention.modules import Form, SingleHeadAttention


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

    def __init__(self, dim: int, *, form: Form, masks: CausalMaskCache) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(dim)
        self.attention = SingleHeadAttention(dim, form=form, masks=masks)
        self.feed_forward_norm = nn.RMSNorm(dim)
        self.feed_forward = SwiGLU(dim, hidden=4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class TransformerLM(nn.Module):
    """Tokens to the next token's logits, through `num_layers` causal blocks that share one mask cache.

    Shapes: tokens [B, L], int64; result [B, L, vocab_size].
    Cost: num_layers (8 B L C² + 4 B L² C + 24 B L C²) + 2 B L C vocab_size FLOP forward, three times that for a step.
    Raises: ShapeError when tokens is not [B, L] with L <= max_length.
    Source: seed 000's model, with RMSNorm and SwiGLU.
    """

    def __init__(
        self, vocab_size: int, dim: int, num_layers: int, *, max_length: int = 1024, form: Form = "cached"
    ) -> None:
        super().__init__()
        self.max_length = max_length
        masks = CausalMaskCache()
        self.token_embedding = nn.Embedding(vocab_size, dim)
        self.position_embedding = nn.Embedding(max_length, dim)
        self.blocks = nn.ModuleList(Block(dim, form=form, masks=masks) for _ in range(num_layers))
        self.norm = nn.RMSNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.dim() != 2 or tokens.shape[1] > self.max_length:
            raise ShapeError(f"TransformerLM: tokens {list(tokens.shape)}, wanted [B, L] with L <= {self.max_length}")
        positions_l = torch.arange(tokens.shape[1], device=tokens.device)
        x_blc = self.token_embedding(tokens) + self.position_embedding(positions_l)
        for block in self.blocks:
            x_blc = block(x_blc)
        logits: Tensor = self.head(self.norm(x_blc))
        return logits
