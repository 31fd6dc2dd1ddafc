"""The oracle: attention in float64, materialised, as the formula reads. Nothing else in this package imports it.

Axes: b batch, h heads, l query positions, s key positions, d width.
"""

import math

import torch
from torch import Tensor

from attention.errors import ShapeError


def attention_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    window: int | None = None,
    dropout_mask: Tensor | None = None,
) -> Tensor:
    """Compute softmax(q kᵀ · scale + mask) v in float64; a row that may see no key gives zeros.

    `is_causal` is lower-right aligned; `window`, with it, keeps the query's own position and the `window - 1` before;
    `dropout_mask` holds the factor of each weight: 0 where dropped, 1 / (1 - p) where kept.

    Shapes: q [B, H, L, D]; k [B, H, S, D]; v [B, H, S, Dv]; masks broadcast to [B, H, L, S]; result [B, H, L, Dv].
    Memory: six B x H x L x S tensors. Cost: 2 B H L S (D + Dv) FLOP.
    Raises: ShapeError when a window is given without is_causal, or is below 1.
    """
    if window is not None and (window < 1 or not is_causal):
        raise ShapeError(f"attention_reference: window={window} with is_causal={is_causal}, wanted >= 1 and causal")
    q, k, v = q.double(), k.double(), v.double()
    L, S = q.shape[-2], k.shape[-2]
    # 1 / sqrt is the textbook's form; the kernels say D ** -0.5. That the two agree is one of the things tested.
    scores_bhls = torch.einsum("bhld,bhsd->bhls", q, k) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    distance_ls = torch.arange(L, device=q.device)[:, None] + (S - L) - torch.arange(S, device=q.device)[None, :]
    if is_causal:
        scores_bhls = scores_bhls.masked_fill(distance_ls < 0, -math.inf)
    if window is not None:
        scores_bhls = scores_bhls.masked_fill(distance_ls >= window, -math.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores_bhls = scores_bhls.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores_bhls = scores_bhls + attn_mask.double()
    dead_bhls = (scores_bhls == -math.inf).all(dim=-1, keepdim=True)
    weights_bhls = scores_bhls.masked_fill(dead_bhls, 0.0).softmax(dim=-1).masked_fill(dead_bhls, 0.0)
    if dropout_mask is not None:
        weights_bhls = weights_bhls * dropout_mask.double()
    return torch.einsum("bhls,bhse->bhle", weights_bhls, v)
