"""The steps of attention one by one, each a function to be timed alone as in seed 004, and their composition.

Turning q and k by their positions is `RotaryEmbedding`'s, masks are `masks.py`'s.
Axes: b batch, h heads, l queries, s keys, c channels, d width, e value width, n all heads' widths side by side.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from attention.errors import ShapeError
from attention.functional import add_mask, check_mask, is_autocast, softmax_over_keys
from attention.rotary import RotaryEmbedding


def qkv_projection(x: Tensor, weight: Tensor, *, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Project to the queries, keys and values of all heads in one product.

    Shapes: x [B, L, C]; weight [3 H D, C]; q, k, v [B, H, L, D] each, views of one result.
    Memory: 3 B L H D numbers. Cost: 6 B L C H D FLOP.
    Raises: ShapeError when the widths differ, or the weight's rows are not three times the heads'.
    """
    fits = x.dim() == 3 and weight.dim() == 2 and x.shape[2] == weight.shape[1] and num_heads >= 1
    if not fits or weight.shape[0] < 1 or weight.shape[0] % (3 * num_heads) or not _alike(x, weight):
        met = f"{_told(x=x, weight=weight)}, num_heads={num_heads}"
        raise ShapeError(f"qkv_projection: met {met}, wanted x [B, L, C] and weight [3 H D, C], alike")
    qkv_bl3hd = torch.unflatten(F.linear(x, weight), -1, (3, num_heads, -1))
    q, k, v = qkv_bl3hd.permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def attention_scores(q: Tensor, k: Tensor, *, scale: float | None = None) -> Tensor:
    """q kᵀ times scale, which is D ** -0.5 if not given.

    Shapes: q [B, H, L, D]; k [B, H, S, D]; result [B, H, L, S]. Memory: the result twice. Cost: 2 B H L S D FLOP.
    Raises: ShapeError when batch, heads or width disagree.
    """
    if not (q.dim() == k.dim() == 4 and q.shape[:2] == k.shape[:2] and q.shape[3] == k.shape[3] > 0 and _alike(q, k)):
        raise ShapeError(f"attention_scores: met {_told(q=q, k=k)}, wanted q [B, H, L, D] and k [B, H, S, D], alike")
    return q.matmul(k.transpose(-2, -1)) * (q.shape[-1] ** -0.5 if scale is None else scale)


def masked_scores(scores: Tensor, mask: Tensor) -> Tensor:
    """Hide keys by a boolean mask (True = attends), or add a float one.

    Shapes: scores [B, H, L, S]; mask broadcasts to it; result as scores. Memory: the result.
    Raises: ShapeError when the mask does not broadcast.
    """
    if scores.dim() != 4 or not scores.is_floating_point():
        raise ShapeError(f"masked_scores: met {_told(scores=scores)}, wanted [B, H, L, S] of floats")
    B, H, L, S = scores.shape
    check_mask("masked_scores", mask, (B, H, L, S), scores.device)
    return add_mask(mask, scores)


def attention_weights(scores: Tensor, *, may_be_dead: bool = True) -> Tensor:
    """Softmax over keys. Rows of -inf alone give zeros where they `may_be_dead`, at four passes over the scores more.

    Shapes: scores [..., L, S]; result as scores. Memory: the result; three of it where rows may be dead.
    Raises: ShapeError when scores are not floats with two axes.
    """
    if scores.dim() < 2 or not scores.is_floating_point():
        raise ShapeError(f"attention_weights: met {_told(scores=scores)}, wanted [..., L, S] of floats")
    return softmax_over_keys(scores, may_be_dead=may_be_dead)


def attention_output(weights: Tensor, v: Tensor) -> Tensor:
    """Mix the values by their weights.

    Shapes: weights [B, H, L, S]; v [B, H, S, Dv]; result [B, H, L, Dv]. Cost: 2 B H L S Dv FLOP.
    Raises: ShapeError when batch, heads or keys disagree.
    """
    fits = weights.dim() == v.dim() == 4 and weights.shape[:2] == v.shape[:2] and weights.shape[3] == v.shape[2]
    if not fits or not _alike(weights, v):
        met = _told(weights=weights, v=v)
        raise ShapeError(f"attention_output: met {met}, wanted weights [B, H, L, S] and v [B, H, S, Dv], alike")
    return weights.matmul(v)


def attention_pipeline(
    x: Tensor,
    qkv_weight: Tensor,
    out_weight: Tensor,
    *,
    num_heads: int,
    mask: Tensor | None = None,
    rotary: RotaryEmbedding | None = None,
    scale: float | None = None,
) -> Tensor:
    """All steps in a row: MultiHeadAttention's "naive" backend with its weights given, and the mask.

    Shapes: x [B, L, C]; qkv_weight [3 H D, C]; out_weight [C, H D]; mask broadcasts to [B, H, L, L]; result as x.
    Memory: 3 B L H D numbers, and the steps'. Cost: 8 B L C H D + 4 B H L² D FLOP, and 6 B H L D to turn q and k.
    Raises: ShapeError as the steps.
    """
    q, k, v = qkv_projection(x, qkv_weight, num_heads=num_heads)
    if rotary is not None:
        q, k = rotary(q), rotary(k)
    scores_bhls = attention_scores(q, k, scale=scale)
    if mask is not None:
        scores_bhls = masked_scores(scores_bhls, mask)
    heads_bhle = attention_output(attention_weights(scores_bhls, may_be_dead=mask is not None), v)
    heads_bln = heads_bhle.transpose(1, 2).flatten(2)
    if out_weight.dim() != 2 or out_weight.shape[1] != heads_bln.shape[2] or not _alike(heads_bln, out_weight):
        met, wanted = _told(out_weight=out_weight), f"[C, {heads_bln.shape[2]}] {x.dtype} on {x.device}"
        raise ShapeError(f"attention_pipeline: met {met}, wanted {wanted}")
    return F.linear(heads_bln, out_weight)


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether both are floats of one dtype on one device; under autocast, of any."""
    same = one.dtype == other.dtype or is_autocast(one)
    return same and one.is_floating_point() and other.is_floating_point() and one.device == other.device


def _told(**tensors: Tensor) -> str:
    return ", ".join(f"{name} {list(t.shape)} {t.dtype} on {t.device}" for name, t in tensors.items())
