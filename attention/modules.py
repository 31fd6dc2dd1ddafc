"""Attention with its projections, in the forms before and after optimisation.

Axes: b batch, l query positions, s key positions, d head width.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.errors import ShapeError
from attention.functional import is_autocast
from attention.masks import CausalMaskCache, mask_by_full_triu, shared_masks

Form = Literal["plain", "stored_scale", "cached", "fused", "sdpa"]
FORMS: tuple[Form, ...] = ("plain", "stored_scale", "cached", "fused", "sdpa")


class SingleHeadAttention(nn.Module):
    """One causal head: x -> q, k, v -> attention -> output projection, in one of five forms with equal results.

    ============ ================ ============================= =========================================
    form         causal mask      scale and softmax             scores
    ============ ================ ============================= =========================================
    plain        every forward    recomputed, nn.Softmax built  product, times scale, plus mask
    stored_scale every forward    stored, torch.softmax         product, times scale, plus mask
    cached       from the cache   stored, torch.softmax         product, times scale, plus mask
    fused        from the cache   stored, torch.softmax         one baddbmm(mask, q, kᵀ, alpha=scale)
    sdpa         none             inside the kernel             scaled_dot_product_attention(is_causal)
    ============ ================ ============================= =========================================

    Shapes: x [B, L, C]; result as x. Parameters are the same in every form: a state_dict fits all five.
    Memory: four B x L x L tensors (plain), two (fused), none (sdpa).
    Cost: 2 B L C (3 D + D) FLOP for the projections, 4 B L² D for attention.
    Raises: ShapeError when x is not [B, L, embed_dim] in the weights' dtype and on their device, a width is below 1, or
    the form is unknown.
    Source: seed 000, `llm_lab/core/model/attention.py`.
    """

    def __init__(
        self,
        embed_dim: int,
        head_dim: int | None = None,
        *,
        form: Form = "cached",
        masks: CausalMaskCache | None = None,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ShapeError(f"SingleHeadAttention: form={form!r}, wanted one of {', '.join(FORMS)}")
        self.embed_dim = embed_dim
        self.head_dim = embed_dim if head_dim is None else head_dim
        if min(self.embed_dim, self.head_dim) < 1:
            met = f"embed_dim={self.embed_dim}, head_dim={self.head_dim}"
            raise ShapeError(f"SingleHeadAttention: met {met}, wanted at least 1 each")
        self.form = form
        self.scale = self.head_dim**-0.5
        self.masks = shared_masks if masks is None else masks
        self.query = nn.Linear(embed_dim, self.head_dim, bias=False)
        self.key = nn.Linear(embed_dim, self.head_dim, bias=False)
        self.value = nn.Linear(embed_dim, self.head_dim, bias=False)
        self.out = nn.Linear(self.head_dim, embed_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        check_input("SingleHeadAttention", "x", x, self.embed_dim, self.query.weight)
        return self._project_out(self._attend(self.query(x), self.key(x), self.value(x)))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        L = q.shape[1]
        if self.form == "sdpa":
            # Four axes: with three the fused backends are not considered.
            heads = F.scaled_dot_product_attention(
                q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1), is_causal=True, scale=self.scale
            )
            return heads.squeeze(1)
        if self.form == "plain":
            mask_ls = mask_by_full_triu(L, dtype=q.dtype, device=q.device)
            scores_bls = torch.bmm(q, k.transpose(1, 2)) * (1.0 / math.sqrt(q.shape[-1])) + mask_ls
            return torch.bmm(nn.Softmax(dim=-1)(scores_bls), v)
        if self.form == "stored_scale":
            mask_ls = mask_by_full_triu(L, dtype=q.dtype, device=q.device)
        else:
            mask_ls = self.masks.get(L, L, device=q.device, dtype=q.dtype)
        if self.form == "fused":
            scores_bls = torch.baddbmm(mask_ls, q, k.transpose(1, 2), alpha=self.scale)
        else:
            scores_bls = torch.bmm(q, k.transpose(1, 2)) * self.scale + mask_ls
        return torch.bmm(torch.softmax(scores_bls, dim=-1), v)

    def _project_out(self, heads: Tensor) -> Tensor:
        projected: Tensor = self.out(heads)
        return projected


def check_input(place: str, name: str, x: Tensor, width: int, weight: Tensor) -> None:
    """Raises: ShapeError, which names `place`, when x is not [B, L, width], or in a dtype or place not the weight's."""
    if x.dim() != 3 or x.shape[-1] != width:
        raise ShapeError(f"{place}: {name} {list(x.shape)}, wanted [B, L, {width}]")
    # Autocast brings any float to its own dtype, and so does a layer with int8 weights.
    fits = x.dtype == weight.dtype or (x.is_floating_point() and (is_autocast(x) or not weight.is_floating_point()))
    if x.device != weight.device or not fits:
        raise ShapeError(f"{place}: met {name} {x.dtype} on {x.device}, wanted {weight.dtype} on {weight.device}")
