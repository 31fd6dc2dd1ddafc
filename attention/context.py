"""What a decoder's states take from its encoder's: the attention between them, and the layer that joins its result.

Axes: b batch, t decoder steps, s encoder positions, l either, c encoder width, h hidden width, n heads, d head width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from attention.caches import EncoderKV
from attention.errors import ShapeError
from attention.multihead import BACKENDS, Backend
from attention.weights import convert_weights


class CrossAttention(nn.Module):
    """Decoder states ask, the encoder's keys and values answer; without an output projection of its own.

    The layer that joins the context with the state is linear: a projection before it would only be multiplied into it.

    Shapes: hidden [B, T, H]; encoder [B, S, C]; result [B, T, H].
    Cost: 4 B S C H FLOP for `encode`; 2 B T H² + 4 B T S H for each call.
    Raises: ShapeError when the heads do not divide the width, or the backend is unknown.
    """

    def __init__(self, hidden_size: int, context_size: int, num_heads: int, *, backend: Backend) -> None:
        super().__init__()
        if num_heads < 1 or hidden_size % num_heads:
            raise ShapeError(f"CrossAttention: hidden_size={hidden_size} over {num_heads} heads, wanted a multiple")
        if backend not in BACKENDS:
            raise ShapeError(f"CrossAttention: backend={backend!r}, wanted one of {', '.join(BACKENDS)}")
        self.num_heads, self.head_width, self.backend = num_heads, hidden_size // num_heads, backend
        self.scale = self.head_width**-0.5
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key_value = nn.Linear(context_size, 2 * hidden_size, bias=False)

    def encode(self, encoder_bsc: Tensor) -> EncoderKV:
        """Project the encoder's states. Memory: 2 B S H numbers, of which K and V are views."""
        k_bsh, v_bsh = self.key_value(encoder_bsc).chunk(2, dim=-1)
        return EncoderKV(self._heads(k_bsh), self._heads(v_bsh))

    def forward(self, hidden_bth: Tensor, kv: EncoderKV) -> Tensor:
        kernel = BACKENDS[self.backend]
        context_bntd = kernel(self._heads(self.query(hidden_bth)), kv.k, kv.v, scale=self.scale)
        return context_bntd.transpose(1, 2).flatten(2)

    def _heads(self, t_blh: Tensor) -> Tensor:
        """[B, L, H] -> [B, N, L, D], a view."""
        return t_blh.view(*t_blh.shape[:2], self.num_heads, self.head_width).transpose(1, 2)


class ContextLayer(nn.Module):
    """tanh(W [h; c] + b): one product over state and context joined (`fused`), or one each, one after the other.

    Shapes: hidden, context [..., H]; result as they. Cost: 4 B T H² FLOP.
    Memory: fused, state and context once more; else a second result.
    Source: Luong et al. 2015, arXiv:1508.04025, equation 5; seed 001, "fused context integration".
    """

    def __init__(self, hidden_size: int, *, fused: bool) -> None:
        super().__init__()
        self.hidden_size, self.fused = hidden_size, fused
        if fused:
            self.joint = nn.Linear(2 * hidden_size, hidden_size)
        else:
            self.hidden = nn.Linear(hidden_size, hidden_size)
            self.context = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, hidden: Tensor, context: Tensor) -> Tensor:
        if self.fused:
            return torch.tanh(self.joint(torch.cat((hidden, context), dim=-1)))
        return torch.tanh(self.hidden(hidden) + self.context(context))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the weights of the other form."""
        weights = {f"{prefix}hidden.weight": self.hidden_size, f"{prefix}context.weight": self.hidden_size}
        convert_weights(state_dict, f"{prefix}joint.weight", weights, dim=1, join=self.fused)
        bias = {f"{prefix}hidden.bias": self.hidden_size}
        convert_weights(state_dict, f"{prefix}joint.bias", bias, dim=0, join=self.fused)
        super()._load_from_state_dict(state_dict, prefix, *rest)
