"""Attention kernels: one interface, three ways to compute it, kept side by side so that each is measured.

Every kernel of this package is called alike (`Kernel`) and means the same. `attn_mask` is boolean (True = attends) or
is added to the scores; with `is_causal` (lower-right aligned) a key must pass both. A query that may see no key gives
zeros.

Shapes: q [B, Hq, L, D]; k [B, Hkv, S, D]; v [B, Hkv, S, Dv]; attn_mask broadcasts to [B, Hq, L, S]; result
[B, Hq, L, Dv]. Hkv divides Hq where a kernel takes grouped heads, and equals it elsewhere.
Axes: b batch, h heads, l query positions, s key positions, d width, e value width, n batch times heads.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend

from attention.errors import ShapeError
from attention.masks import additive, causal_mask, shared_masks


class Kernel(Protocol):
    """How every attention kernel is called."""

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        scale: float | None = None,
        dropout_p: float = 0.0,
    ) -> Tensor: ...


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

    Shapes: Hkv = Hq. Memory: four B x H x L x S tensors and the mask. Cost: 2 B H L S (D + Dv) FLOP.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1; seed 000 before its optimisation.
    """
    check_shapes("naive_attention", q, k, v, attn_mask, dropout_p=dropout_p)
    L, S = q.shape[-2], k.shape[-2]
    scores_bhls = torch.matmul(q, k.transpose(-2, -1)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores_bhls = scores_bhls.masked_fill(~causal_mask(L, S, device=q.device), -math.inf)
    if attn_mask is not None:
        scores_bhls = add_mask(attn_mask, scores_bhls)
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

    Shapes: Hkv = Hq.
    Memory: two B x H x L x S tensors; the cached mask is read through a broadcast. Cost: 2 B H L S (D + Dv) FLOP.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: seed 000; `torch.baddbmm(mask, q, kᵀ, alpha=scale)`.
    """
    check_shapes("masked_attention", q, k, v, attn_mask, dropout_p=dropout_p)
    mask_ls = shared_masks.get(q.shape[2], k.shape[2], device=q.device, dtype=q.dtype) if is_causal else None
    return attend_materialised(mask_ls, q, k, v, attn_mask, scale=scale, dropout_p=dropout_p)


def attend_materialised(
    causal: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    *,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attend with all scores in memory, below the diagonal of a causal mask that is added in the scores' product.

    Shapes: causal [L, S] of q's dtype (0 or -inf, lower-right aligned), or none; else as a kernel, Hkv = Hq, unchecked.
    """
    B, H, L, D = q.shape
    S = k.shape[2]
    scale = D**-0.5 if scale is None else scale
    q_nld, k_nds = q.reshape(B * H, L, D), k.reshape(B * H, S, D).transpose(1, 2)
    if causal is None:
        scores_bhls = torch.bmm(q_nld, k_nds).mul_(scale).view(B, H, L, S)
    else:
        scores_bhls = torch.baddbmm(causal, q_nld, k_nds, alpha=scale).view(B, H, L, S)
    if attn_mask is not None:
        scores_bhls = add_mask(attn_mask, scores_bhls)
    return _weigh(scores_bhls, v, dropout_p, may_be_dead=attn_mask is not None or (causal is not None and L > S))


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

    Shapes: Hkv divides Hq (`enable_gqa`: shared by index, not copied, and read once for each query head).
    Memory: the result and a block of scores per thread (fused backend); a mask where L != S.
    Cost: 2 B Hq L S (D + Dv) FLOP, half of it where the backend skips what a causal mask hides.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: Dao et al. 2022, arXiv:2205.14135.
    """
    check_shapes("sdpa_attention", q, k, v, attn_mask, dropout_p=dropout_p, grouped=True)
    return attend_fused(q, k, v, attn_mask, is_causal=is_causal, scale=scale, dropout_p=dropout_p)


def attend_fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """As `sdpa_attention`, for those who have checked the shapes."""
    L, S = q.shape[-2], k.shape[-2]
    if is_causal and L != 1 and (L != S or attn_mask is not None):
        attn_mask = both_masks(attn_mask, shared_masks.get(L, S, device=q.device, dtype=torch.bool))
    if attn_mask is not None:
        # A three-dimensional mask would fall back to the materialised path; a float one must have the scores' dtype.
        attn_mask = attn_mask.unsqueeze(0) if attn_mask.dim() == 3 else attn_mask
        attn_mask = attn_mask if attn_mask.dtype == torch.bool else attn_mask.to(q.dtype)
    flag = L != 1 and is_causal and attn_mask is None
    # While a compiler traces, a comparison of sizes is symbolic, and SDPA takes no symbol for a flag.
    grouped = True if q.shape[1] != k.shape[1] else False  # noqa: SIM210
    return F.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, flag, scale=scale, enable_gqa=grouped)


def sdpa_backend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout_p: float = 0.0,
) -> str:
    """Tell which backend PyTorch's scaled_dot_product_attention takes for these arguments, without running it.

    They are its own arguments, as they are: a kernel of this package may hand them on in another form. "math", which
    materialises the scores, is taken silently: on a CPU for dropout, Dv != D, a mask of three axes or one that learns,
    five axes, rows that are not contiguous.

    Shapes: as every kernel. Result: flash, efficient, cudnn, overrideable, math; error where none takes them.
    """
    try:
        choice = torch._fused_sdp_choice(q, k, v, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    except NotImplementedError:  # a device with one backend of its own, such as MPS, makes no choice
        return "math"
    return SDPBackend(choice).name.removesuffix("_ATTENTION").lower()


def both_masks(attn_mask: Tensor | None, mask: Tensor) -> Tensor:
    """Let a key be seen where both allow it: `mask` is boolean, `attn_mask` boolean or added to the scores, if given.

    Shapes: as the two broadcast. Memory: one tensor of that shape.
    """
    if attn_mask is None:
        return mask
    return attn_mask & mask if attn_mask.dtype == torch.bool else attn_mask.masked_fill(~mask, -math.inf)


def add_mask(attn_mask: Tensor, scores: Tensor) -> Tensor:
    """Hide by a boolean mask, or add a float one, in the scores' dtype. Shapes: result as scores."""
    if attn_mask.dtype == torch.bool:
        return scores + additive(attn_mask, scores.dtype)
    return scores + attn_mask.to(scores.dtype)


def softmax_over_keys(scores: Tensor, *, may_be_dead: bool) -> Tensor:
    """Softmax over the last axis; rows of -inf alone become zeros, with gradients of zero.

    Shapes: result as scores. Memory: a tensor as scores; three, where rows may be dead.
    """
    if not may_be_dead:
        return scores.softmax(dim=-1)
    dead = (scores == -math.inf).all(dim=-1, keepdim=True)
    # Softmax of -inf alone is NaN, and so is its gradient even where the result is replaced: replace before, too.
    return scores.masked_fill(dead, 0.0).softmax(dim=-1).masked_fill(dead, 0.0)


def check_shapes(
    place: str,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    *,
    dropout_p: float = 0.0,
    grouped: bool = False,
) -> None:
    """Raises: ShapeError, which names `place`, when q, k, v, mask and dropout cannot be attended together."""
    if not (
        q.dim() == k.dim() == v.dim() == 4
        and q.shape[0] == k.shape[0] == v.shape[0]
        and k.shape[1] == v.shape[1]
        and _heads_fit(q.shape[1], k.shape[1], grouped=grouped)
        and q.shape[3] == k.shape[3] > 0
        and k.shape[2] == v.shape[2]
        and v.shape[3] > 0
    ):
        met = f"q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
        heads = "[B, Hkv, S, {}] with Hkv a divisor of H" if grouped else "[B, H, S, {}]"
        wanted = f"q [B, H, L, D], k {heads.format('D')}, v {heads.format('Dv')}, widths >= 1"
        raise ShapeError(f"{place}: met {met}, wanted {wanted}")
    if not (q.dtype == k.dtype == v.dtype and q.is_floating_point() and q.device == k.device == v.device):
        met = ", ".join(f"{name} {t.dtype} on {t.device}" for name, t in (("q", q), ("k", k), ("v", v)))
        raise ShapeError(f"{place}: met {met}, wanted one floating dtype on one device")
    if not 0.0 <= dropout_p <= 1.0:
        raise ShapeError(f"{place}: dropout_p={dropout_p}, wanted 0 to 1")
    if attn_mask is not None:
        check_mask(place, attn_mask, (*q.shape[:3], k.shape[2]), q.device)


def check_mask(place: str, attn_mask: Tensor, scores: tuple[int, ...], device: torch.device) -> None:
    """Raises: ShapeError, which names `place`, when a mask does not fit scores of that shape on that device."""
    mask = (1,) * (4 - attn_mask.dim()) + tuple(attn_mask.shape)
    if not 2 <= attn_mask.dim() <= 4 or any(met not in (1, wanted) for met, wanted in zip(mask, scores, strict=True)):
        met = f"attn_mask {list(attn_mask.shape)}"
        raise ShapeError(f"{place}: met {met}, wanted two to four axes that broadcast to {list(scores)}")
    # Zeros and ones in whole numbers would be added to the scores, and hide nothing.
    if not (attn_mask.dtype == torch.bool or attn_mask.is_floating_point()) or attn_mask.device != device:
        met = f"attn_mask {attn_mask.dtype} on {attn_mask.device}"
        raise ShapeError(f"{place}: met {met}, wanted bool or floating on {device}")


def is_autocast(t: Tensor) -> bool:
    """Whether operations on `t` choose their own dtypes."""
    device = t.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _heads_fit(query_heads: int, key_heads: int, *, grouped: bool) -> bool:
    return query_heads == key_heads or (grouped and 0 < key_heads < query_heads and query_heads % key_heads == 0)


def _weigh(scores_bhls: Tensor, v_bhse: Tensor, dropout_p: float, *, may_be_dead: bool) -> Tensor:
    weights_bhls = softmax_over_keys(scores_bhls, may_be_dead=may_be_dead)
    if dropout_p > 0.0:
        weights_bhls = F.dropout(weights_bhls, dropout_p)
    return torch.matmul(weights_bhls, v_bhse)
