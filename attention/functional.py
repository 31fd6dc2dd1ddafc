"""Attention kernels: one interface, three ways to compute it, kept side by side so that each is measured.

Axes: b batch, h heads, l query positions, s key positions, d width, e value width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from attention.errors import ShapeError
from attention.masks import additive, causal_mask, shared_masks


def naive_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attend as the formula reads: scores, scale, mask built anew, softmax, values.

    `attn_mask` is boolean (True = attends) or is added to the scores; with `is_causal` (lower-right aligned) a key must
    pass both. A query that may see no key gives zeros.

    Shapes: q [B, H, L, D]; k [B, H, S, D]; v [B, H, S, Dv]; attn_mask broadcasts to [B, H, L, S]; result [B, H, L, Dv].
    Memory: four B x H x L x S tensors and the mask. Cost: 2 B H L S (D + Dv) FLOP.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1; seed 000 before its optimisation.
    """
    _check("naive_attention", q, k, v, attn_mask)
    L, S = q.shape[-2], k.shape[-2]
    scores_bhls = torch.matmul(q, k.transpose(-2, -1)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores_bhls = scores_bhls.masked_fill(~causal_mask(L, S, device=q.device), -math.inf)
    if attn_mask is not None:
        scores_bhls = _apply(attn_mask, scores_bhls)
    return _weigh(scores_bhls, v, dropout_p, may_be_dead=attn_mask is not None or (is_causal and L > S))


def masked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attend as `naive_attention`, with the causal mask from the shared cache and fused into the scores' product.

    Shapes: as naive_attention.
    Memory: two B x H x L x S tensors; the cached mask is read through a broadcast. Cost: 2 B H L S (D + Dv) FLOP.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: seed 000; `torch.baddbmm(mask, q, kᵀ, alpha=scale)`.
    """
    _check("masked_attention", q, k, v, attn_mask)
    B, H, L, D = q.shape
    S = k.shape[-2]
    scale = D**-0.5 if scale is None else scale
    q_nld, k_nds = q.reshape(B * H, L, D), k.reshape(B * H, S, D).transpose(1, 2)
    if is_causal:
        mask_ls = shared_masks.get(L, S, device=q.device, dtype=q.dtype)
        scores_bhls = torch.baddbmm(mask_ls, q_nld, k_nds, alpha=scale).view(B, H, L, S)
    else:
        scores_bhls = torch.bmm(q_nld, k_nds).mul_(scale).view(B, H, L, S)
    if attn_mask is not None:
        scores_bhls = _apply(attn_mask, scores_bhls)
    return _weigh(scores_bhls, v, dropout_p, may_be_dead=attn_mask is not None or (is_causal and L > S))


def sdpa_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attend through PyTorch's scaled_dot_product_attention, in the forms that its fused backends take.

    Its own `is_causal` is upper-left aligned, and beside a mask it is ignored, refused or combined by backend: the flag
    is passed on only where L == S and no mask is given, a single query needs none, and the rest gets one explicit mask.

    Shapes: as naive_attention.
    Memory: the result and a block of scores per thread (fused backend); a mask where L != S. Cost: as naive_attention.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: Dao et al. 2022, arXiv:2205.14135.
    """
    _check("sdpa_attention", q, k, v, attn_mask)
    L, S = q.shape[-2], k.shape[-2]
    if is_causal and L != 1 and (L != S or attn_mask is not None):
        mask_ls = shared_masks.get(L, S, device=q.device, dtype=torch.bool)
        if attn_mask is None:
            attn_mask = mask_ls
        elif attn_mask.dtype == torch.bool:
            attn_mask = attn_mask & mask_ls
        else:
            attn_mask = attn_mask.masked_fill(~mask_ls, -math.inf)
    if attn_mask is not None:
        # A three-dimensional mask would fall back to the materialised path; a float one must have the scores' dtype.
        attn_mask = attn_mask.unsqueeze(0) if attn_mask.dim() == 3 else attn_mask
        attn_mask = attn_mask if attn_mask.dtype == torch.bool else attn_mask.to(q.dtype)
    flag = is_causal and attn_mask is None and L != 1
    return F.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, flag, scale=scale)


def _apply(attn_mask: Tensor, scores_bhls: Tensor) -> Tensor:
    if attn_mask.dtype == torch.bool:
        return scores_bhls + additive(attn_mask, scores_bhls.dtype)
    return scores_bhls + attn_mask.to(scores_bhls.dtype)


def _weigh(scores_bhls: Tensor, v_bhse: Tensor, dropout_p: float, *, may_be_dead: bool) -> Tensor:
    """Softmax the scores over keys and mix the values; rows of -inf alone become zeros, with gradients of zero."""
    if not may_be_dead:
        weights_bhls = scores_bhls.softmax(dim=-1)
    else:
        dead_bhls = (scores_bhls == -math.inf).all(dim=-1, keepdim=True)
        # Softmax of -inf alone is NaN, and so is its gradient even where the result is replaced: replace before, too.
        weights_bhls = scores_bhls.masked_fill(dead_bhls, 0.0).softmax(dim=-1).masked_fill(dead_bhls, 0.0)
    if dropout_p > 0.0:
        weights_bhls = F.dropout(weights_bhls, dropout_p)
    return torch.matmul(weights_bhls, v_bhse)


def _check(place: str, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None) -> None:
    if not (
        q.dim() == k.dim() == v.dim() == 4
        and q.shape[:2] == k.shape[:2] == v.shape[:2]
        and q.shape[3] == k.shape[3]
        and k.shape[2] == v.shape[2]
    ):
        met = f"q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
        raise ShapeError(f"{place}: met {met}, wanted q [B, H, L, D], k [B, H, S, D], v [B, H, S, Dv]")
    if attn_mask is not None:
        scores = (*q.shape[:3], k.shape[2])
        mask = (1,) * (4 - attn_mask.dim()) + tuple(attn_mask.shape)
        if len(mask) != 4 or any(met not in (1, wanted) for met, wanted in zip(mask, scores, strict=True)):
            raise ShapeError(f"{place}: attn_mask {list(attn_mask.shape)} does not broadcast to {list(scores)}")
