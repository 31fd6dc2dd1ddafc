"""A chunk of queries at a time: a chunk's scores in memory, not all, and little above the diagonal computed.

Axes: b batch, h heads, l queries, s keys, d width, e value width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from attention.errors import ShapeError
from attention.functional import attend_fused, attend_materialised, both_masks, check_shapes
from attention.masks import shared_masks

#: A chunk's q, k, v, its part of the mask, and its corner of the causal mask.
Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor | None], Tensor]


def chunked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
    chunk: int = 64,
) -> Tensor:
    """Attend `chunk` queries at a time to the keys that the last of them may see: half the work under a causal mask.

    Exact. The fused kernel skips only part of what a causal mask hides; on a CPU the chunks win up to about a thousand
    positions. Values of another width than keys would send the fused kernel to a materialised path of whole size: here
    they cost a chunk's.

    Shapes: as every kernel; Hkv = Hq. Memory: the result twice; B H chunk S scores where Dv != D, or with dropout.
    Cost: 2 B H (D + Dv) FLOP for each visible pair of query and key, and of the chunk's diagonal block.
    Raises: ShapeError when batch, heads, width or mask disagree, or chunk < 1.
    Source: seed 002, `compute_with_memory_optimization()`; Rabe and Staats 2021, arXiv:2112.05682.
    """
    check_shapes("chunked_attention", q, k, v, attn_mask, dropout_p=dropout_p)
    if q.shape[-1] != v.shape[-1] or dropout_p > 0.0:
        attend, dtype = _materialised(scale, dropout_p), q.dtype
    else:
        attend, dtype = _fused(scale), torch.bool
    return _by_chunks("chunked_attention", attend, q, k, v, attn_mask, chunk, is_causal=is_causal, dtype=dtype)


def checkpointed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
    chunk: int = 128,
) -> Tensor:
    """Attend by chunks, and compute each chunk's scores again in the backward pass instead of keeping them.

    Shapes: as every kernel; Hkv = Hq. Memory: B H chunk S scores at a time, forward and backward.
    Cost: a forward more than `chunked_attention` in the backward pass.
    Raises: ShapeError when batch, heads, width or mask disagree, or chunk < 1.
    Source: seed 002, `compute_with_checkpointing()`; Chen et al. 2016, arXiv:1604.06174.
    """
    check_shapes("checkpointed_attention", q, k, v, attn_mask, dropout_p=dropout_p)
    attend = _materialised(scale, dropout_p)

    def again(*chunk: Tensor | None) -> Tensor:
        # Only dropout draws numbers that the second time must be the same.
        result: Tensor = checkpoint(attend, *chunk, use_reentrant=False, preserve_rng_state=dropout_p > 0.0)
        return result

    place = "checkpointed_attention"
    return _by_chunks(place, again, q, k, v, attn_mask, chunk, is_causal=is_causal, dtype=q.dtype)


def _fused(scale: float | None) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, corner: Tensor | None) -> Tensor:
        return attend_fused(q, k, v, mask if corner is None else both_masks(mask, corner), scale=scale)

    return attend


def _materialised(scale: float | None, dropout_p: float) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, corner: Tensor | None) -> Tensor:
        return attend_materialised(corner, q, k, v, mask, scale=scale, dropout_p=dropout_p)

    return attend


def _by_chunks(
    place: str,
    attend: Attend,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None,
    chunk: int,
    *,
    is_causal: bool,
    dtype: torch.dtype,
) -> Tensor:
    if chunk < 1:
        raise ShapeError(f"{place}: chunk={chunk}, wanted >= 1")
    L, S = q.shape[2], k.shape[2]
    widest = min(chunk, L)
    parts = []
    # Up to a multiple of the chunk: so a compiled graph depends on the number of chunks, not on the length.
    for start in range(0, -(-L // chunk) * chunk, chunk):
        stop = min(start + chunk, L)
        seen = min(max(stop + S - L, 0), S) if is_causal else S
        mask = None if attn_mask is None else _of_chunk(attn_mask, start, stop, seen)
        corner = None
        if is_causal and stop - start > 1:  # lower-right aligned, every chunk's is a corner of one [chunk, S]
            corner = shared_masks.get(widest, S, device=q.device, dtype=dtype)[widest - stop + start :, S - seen :]
        parts.append(attend(q[:, :, start:stop], k[:, :, :seen], v[:, :, :seen], mask, corner))
    return torch.cat(parts, dim=2) if parts else q.new_zeros(*q.shape[:3], v.shape[3])


def _of_chunk(attn_mask: Tensor, start: int, stop: int, seen: int) -> Tensor:
    """The part of a mask that a chunk's queries and keys have, whatever of it is broadcast."""
    if attn_mask.shape[-1] > 1:
        attn_mask = attn_mask[..., :seen]
    if attn_mask.shape[-2] > 1:
        attn_mask = attn_mask[..., start:stop, :]
    return attn_mask
