"""Fewer key heads than query heads, and keys in parts: sharing and splitting by views, beside the copy they replaced.

Axes: b batch, k key heads, g query heads of one key head, n parts of the keys, l queries, s keys, d width,
e value width.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from attention.errors import ShapeError
from attention.functional import attend_fused, check_shapes


def repeated_kv_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Copy each key head for every query head that shares it, then attend: the form that the others replace.

    Shapes: as every kernel; Hkv divides Hq. Memory: Hq / Hkv times K and V. Cost: as `sdpa_attention`, and the copies.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: seed 002, `repeat()` "creates actual copies".
    """
    check_shapes("repeated_kv_attention", q, k, v, attn_mask, dropout_p=dropout_p, grouped=True)
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    return attend_fused(q, k, v, attn_mask, is_causal=is_causal, scale=scale, dropout_p=dropout_p)


def grouped_query_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attend with shared key heads, without a copy: one query's group becomes rows, several queries go by index.

    The query heads of a group see the same keys, so a decode step's group is a block of rows: K and V are read once for
    all of them, not once for each. With several queries the causal rows would differ, and the arithmetic dominates.

    Shapes: as every kernel; Hkv divides Hq. Memory: the result.
    Cost: 2 B Hq L S (D + Dv) FLOP; at L = 1, B Hkv S (D + Dv) numbers read.
    Raises: ShapeError when batch, heads, width or mask disagree.
    Source: Ainslie et al. 2023, arXiv:2305.13245; seed 002, "view-based sharing".
    """
    check_shapes("grouped_query_attention", q, k, v, attn_mask, dropout_p=dropout_p, grouped=True)
    B, Hq, L, D = q.shape
    Hkv = k.shape[1]
    if L != 1 or Hq == Hkv:
        return attend_fused(q, k, v, attn_mask, is_causal=is_causal, scale=scale, dropout_p=dropout_p)
    if attn_mask is not None and attn_mask.dim() > 2 and attn_mask.shape[-3] > 1:
        attn_mask = torch.unflatten(attn_mask, -3, (Hkv, Hq // Hkv)).squeeze(-2)
    q_bkgd = q.reshape(B, Hkv, Hq // Hkv, D)
    out_bkge = attend_fused(q_bkgd, k, v, attn_mask, scale=scale, dropout_p=dropout_p)
    return out_bkge.reshape(B, Hq, 1, v.shape[3])


def split_kv_attention(q: Tensor, k: Tensor, v: Tensor, *, splits: int, scale: float | None = None) -> Tensor:
    """Attend to `splits` parts of the keys as if each were a head of its own, and merge: work for every thread.

    One query and few key heads leave most threads idle, since kernels share out batch and heads. The parts are views.
    Every query sees every key. With one thread there is nothing to gain.

    Shapes: q [B, Hq, L, D]; k [B, Hkv, S, D]; v [B, Hkv, S, Dv]; result [B, Hq, L, Dv]; Hkv divides Hq.
    Memory: `splits` results. Cost: 2 B Hq L S (D + Dv) FLOP, and 2 B Hq L Dv for each part.
    Raises: ShapeError when batch, heads or width disagree, or splits < 1.
    Source: Dao et al. 2023, "Flash-Decoding for long-context inference".
    """
    check_shapes("split_kv_attention", q, k, v, grouped=True)
    if splits < 1:
        raise ShapeError(f"split_kv_attention: splits={splits}, wanted >= 1")
    B, Hq, L, D = q.shape
    Hkv, S = k.shape[1:3]
    length, rest = divmod(S, splits)
    q_kld = q.reshape(B * Hkv, 1, (Hq // Hkv) * L, D)
    k_ksd, v_kse = k.flatten(0, 1), v.flatten(0, 1)
    states: list[tuple[Tensor, Tensor]] = []
    if length:
        k_knsd, v_knse = (torch.unflatten(t[:, : S - rest], 1, (splits, length)) for t in (k_ksd, v_kse))
        out_knle, lse_knl = attention_state(q_kld.expand(-1, splits, -1, -1), k_knsd, v_knse, scale=scale)
        states += zip(out_knle.unbind(1), lse_knl.unbind(1), strict=True)
    if rest or not states:
        out_k1le, lse_k1l = attention_state(q_kld, k_ksd[:, None, S - rest :], v_kse[:, None, S - rest :], scale=scale)
        states.append((out_k1le[:, 0], lse_k1l[:, 0]))
    out_kle, _ = merge_attention_states(*zip(*states, strict=True))
    return out_kle.reshape(B, Hq, L, v.shape[3])


def attention_state(
    q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool = False, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """Attend, and tell the weight of what was seen: the log of the sum of all scores' exponentials.

    Shapes: q [B, H, L, D]; k [B, H, S, D]; v [B, H, S, Dv]; the result [B, H, L, Dv] and its weight [B, H, L], float32
    at least. is_causal wants L == S.
    Memory: on a CPU, without gradients and with D = Dv, the result; elsewhere two B x H x L x S tensors.
    Raises: ShapeError when batch, heads or width disagree.
    """
    check_shapes("attention_state", q, k, v)
    if is_causal and q.shape[2] != k.shape[2]:
        raise ShapeError(f"attention_state: causal with L={q.shape[2]}, S={k.shape[2]}, wanted L == S")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if _fused_tells_weight(q, k, v):
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out_bhle, weight_bhl = flash(q, k, v, 0.0, is_causal, scale=scale)
        return out_bhle, weight_bhl
    wide = torch.promote_types(q.dtype, torch.float32)
    scores_bhls = torch.matmul(q, k.transpose(-2, -1)).to(wide) * scale
    if is_causal:
        hidden_ls = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).triu(1)
        scores_bhls = scores_bhls.masked_fill(hidden_ls, -math.inf)
    weight_bhl = scores_bhls.logsumexp(dim=-1)
    weights_bhls = (scores_bhls - weight_bhl.nan_to_num(neginf=0.0)[..., None]).exp()
    return torch.matmul(weights_bhls.to(v.dtype), v), weight_bhl


def _fused_tells_weight(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the CPU's fused kernel may be called past the checks of PyTorch's own front."""
    return (
        q.device.type == "cpu"
        and q.shape[3] == v.shape[3]
        and min(q.numel(), k.numel()) > 0
        # It reads rows as if their numbers lay side by side.
        and q.stride(3) == k.stride(3) == v.stride(3) == 1
        # Autograd takes its weight for a constant: what is merged by it would have wrong gradients.
        and not (torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad))
    )


def merge_attention_states(outs: Sequence[Tensor], lses: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Join results over disjoint parts of the keys into the result over all of them; parts without a key weigh nothing.

    Shapes: outs [..., L, Dv] each, lses [..., L] each; the joined result and its weight, as one of them.
    Memory: as all parts together. Cost: 3 numbers of work for each number of the parts.
    Raises: ShapeError when there is no part, or they differ in shape.
    Source: Milakov and Gimelshein 2018, arXiv:1805.02867.
    """
    if not outs or len(outs) != len(lses):
        raise ShapeError(f"merge_attention_states: {len(outs)} results and {len(lses)} weights, wanted as many, >= 1")
    shape = outs[0].shape
    if any(out.shape != shape or lse.shape != shape[:-1] for out, lse in zip(outs, lses, strict=True)):
        met = f"results {[list(out.shape) for out in outs]}, weights {[list(lse.shape) for lse in lses]}"
        raise ShapeError(f"merge_attention_states: met {met}, wanted [..., L, Dv] and [..., L], all alike")
    if len(outs) == 1:
        return outs[0], lses[0]
    parts_nl = torch.stack(tuple(lses))
    # Where no part saw a key every weight is -inf: their differences would be NaN, and so would the gradients.
    dead_l = (parts_nl == -math.inf).all(dim=0)
    weight_l = parts_nl.masked_fill(dead_l, 0.0).logsumexp(dim=0)
    shares_nl = (parts_nl - weight_l).exp()
    joined_le = (torch.stack(tuple(outs)) * shares_nl[..., None]).sum(dim=0)
    return joined_le.to(outs[0].dtype), weight_l.masked_fill(dead_l, -math.inf)
