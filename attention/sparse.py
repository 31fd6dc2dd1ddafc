"""Local and strided patterns by views: dense attention on regrouped positions, not a mask over all of them.

Both are causal and exact, with backward. Key heads may be shared: a group's queries become rows of one block.
Axes: b batch, h query heads, k key heads, g query heads of one key head, n blocks or steps, w positions of a window,
m twice as many, r positions with the same remainder, l positions, d width, e value width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from attention.errors import ShapeError
from attention.functional import check_shapes, sdpa_attention
from attention.masks import sliding_window_mask, strided_mask


def local_attention(q: Tensor, k: Tensor, v: Tensor, *, window: int, scale: float | None = None) -> Tensor:
    """Attend to the query's own position and the `window - 1` before it.

    Blocks of `window` queries see their own block and the one before, which holds all they may see; both are views.

    Shapes: q [B, Hq, L, D]; k [B, Hkv, L, D]; v [B, Hkv, L, Dv]; result [B, Hq, L, Dv]; Hkv divides Hq.
    Memory: the result twice, a mask of 2 window² cells for each query of a group; never an L x L matrix.
    Cost: 4 B Hq L window (D + Dv) FLOP: twice the visible pairs.
    Raises: ShapeError when batch, heads, length or width differ, or window < 1.
    Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1; seed 001, "local attention windows".
    """
    _check_self("local_attention", q, k, v, "window", window)
    L = q.shape[2]
    whole = L // window * window
    parts = [_rows(q[:, :, :window], k[:, :, :window], v[:, :, :window], window, scale)]
    if whole > window:
        parts.append(_blocks(q[:, :, window:whole], k[:, :, :whole], v[:, :, :whole], window, scale))
    if whole and whole < L:
        first = whole - window + 1
        parts.append(_rows(q[:, :, whole:], k[:, :, first:], v[:, :, first:], window, scale))
    return torch.cat(parts, dim=2)


def masked_local_attention(q: Tensor, k: Tensor, v: Tensor, *, window: int, scale: float | None = None) -> Tensor:
    """As `local_attention`, by a mask over all positions: the form that it replaces.

    Shapes: as local_attention. Memory: L² mask cells. Cost: 2 B Hq L² (D + Dv) FLOP.
    Raises: ShapeError as local_attention.
    """
    _check_self("masked_local_attention", q, k, v, "window", window)
    mask_ls = sliding_window_mask(q.shape[2], window=window, device=q.device)
    return sdpa_attention(q, k, v, attn_mask=mask_ls, scale=scale)


def masked_strided_attention(q: Tensor, k: Tensor, v: Tensor, *, stride: int, scale: float | None = None) -> Tensor:
    """As `strided_attention`, by a mask over all positions: the form that it replaces.

    Shapes: as local_attention. Memory: L² mask cells, eight bytes each while building. Cost: 2 B Hq L² (D + Dv) FLOP.
    Raises: ShapeError as strided_attention.
    """
    _check_self("masked_strided_attention", q, k, v, "stride", stride)
    mask_ls = strided_mask(q.shape[2], stride=stride, device=q.device)
    return sdpa_attention(q, k, v, attn_mask=mask_ls, scale=scale)


def strided_attention(q: Tensor, k: Tensor, v: Tensor, *, stride: int, scale: float | None = None) -> Tensor:
    """Attend to the query's own position and every `stride`-th before it.

    Positions with the same remainder are a sequence of their own, under the plain causal mask: `stride` dense ones.

    Shapes: as local_attention. Memory: the result twice; q, k, v once more where stride does not divide L.
    Cost: 2 B Hq L² / stride (D + Dv) FLOP, half of it where the kernel skips what a causal mask hides.
    Raises: ShapeError when batch, heads, length or width differ, or stride < 1.
    Source: Child et al. 2019, arXiv:1904.10509, section 4.3; seed 001, "strided attention for long sequences".
    """
    _check_self("strided_attention", q, k, v, "stride", stride)
    B, Hq, L, _ = q.shape
    Hkv = k.shape[1]
    stride = min(stride, max(L, 1))
    # Positions behind the last are hidden from all real ones by the causal mask; their results are cut off.
    missing = -L % stride
    if missing:
        q, k, v = (F.pad(t, (0, 0, 0, missing)) for t in (q, k, v))
    steps = (L + missing) // stride

    def by_remainder(t: Tensor, group: int) -> Tensor:
        t_kgnrd = t.reshape(B * Hkv, group, steps, stride, t.shape[-1])
        return t_kgnrd.permute(0, 3, 1, 2, 4).flatten(1, 2)

    group = Hq // Hkv
    out = sdpa_attention(by_remainder(q, group), by_remainder(k, 1), by_remainder(v, 1), is_causal=True, scale=scale)
    out_krgne = torch.unflatten(out, 1, (stride, group))
    return out_krgne.permute(0, 2, 3, 1, 4).reshape(B, Hq, L + missing, v.shape[-1])[:, :, :L]


def _blocks(q: Tensor, k: Tensor, v: Tensor, window: int, scale: float | None) -> Tensor:
    """Whole blocks behind the first: each block of queries on two blocks of keys, all blocks in one call."""
    B, Hq, L, D = q.shape
    Hkv = k.shape[1]
    group, blocks = Hq // Hkv, L // window
    q_kgnwd = q.reshape(B * Hkv, group, blocks, window, D)
    q_kngwd = q_kgnwd.transpose(1, 2).reshape(B * Hkv, blocks, group * window, D)
    k_knmd, v_knme = (t.flatten(0, 1).unfold(1, 2 * window, window).transpose(2, 3) for t in (k, v))
    mask_gwm = sliding_window_mask(window, 2 * window, window=window, device=q.device).repeat(group, 1)
    out = F.scaled_dot_product_attention(q_kngwd, k_knmd, v_knme, mask_gwm, scale=scale)
    out_kngwe = torch.unflatten(out, 2, (group, window))
    return out_kngwe.transpose(1, 2).reshape(B, Hq, L, v.shape[-1])


def _rows(q: Tensor, k: Tensor, v: Tensor, window: int, scale: float | None) -> Tensor:
    """A few queries, the last of which has the last key, under a mask of their own."""
    B, Hq, L, D = q.shape
    Hkv, S = k.shape[1:3]
    group = Hq // Hkv
    mask_gls = sliding_window_mask(L, S, window=window, device=q.device).repeat(group, 1)
    out = F.scaled_dot_product_attention(q.reshape(B, Hkv, group * L, D), k, v, mask_gls, scale=scale)
    return out.reshape(B, Hq, L, v.shape[-1])


def _check_self(place: str, q: Tensor, k: Tensor, v: Tensor, name: str, given: int) -> None:
    check_shapes(place, q, k, v, grouped=True)
    if q.shape[2] != k.shape[2]:
        raise ShapeError(f"{place}: L={q.shape[2]}, S={k.shape[2]}, wanted L == S")
    if given < 1:
        raise ShapeError(f"{place}: {name}={given}, wanted >= 1")
