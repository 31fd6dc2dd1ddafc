"""A chunk of queries at a time: a chunk's scores in memory, not all, and little above the diagonal computed.

Axes: b batch, h heads, l queries, s keys, d width, e value width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from attention.errors import ShapeError
from attention.functional import Kernel, both_masks, check_shapes, naive_attention, sdpa_attention
from attention.masks import shared_masks

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


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
    fused = q.shape[-1] == v.shape[-1] and dropout_p == 0.0
    attend = _attend(sdpa_attention if fused else naive_attention, scale, dropout_p)
    return _by_chunks("chunked_attention", attend, q, k, v, attn_mask, chunk, is_causal=is_causal)


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
    attend = _attend(naive_attention, scale, dropout_p)

    def again(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        # Only dropout draws numbers that the second time must be the same.
        result: Tensor = checkpoint(attend, q, k, v, mask, use_reentrant=False, preserve_rng_state=dropout_p > 0.0)
        return result

    return _by_chunks("checkpointed_attention", again, q, k, v, attn_mask, chunk, is_causal=is_causal)


def _attend(kernel: Kernel, scale: float | None, dropout_p: float) -> Attend:
    return lambda q, k, v, mask: kernel(q, k, v, attn_mask=mask, scale=scale, dropout_p=dropout_p)


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
        if is_causal and stop - start > 1:
            mask = both_masks(mask, _diagonal(stop - start, seen, widest, S, q.device))
        parts.append(attend(q[:, :, start:stop], k[:, :, :seen], v[:, :, :seen], mask))
    return torch.cat(parts, dim=2) if parts else q.new_zeros(*q.shape[:3], v.shape[3])


def _diagonal(length: int, seen: int, chunk: int, S: int, device: torch.device) -> Tensor:
    """The lower-right aligned causal mask [length, seen] of a chunk: every chunk's is a corner of one [chunk, S]."""
    return shared_masks.get(chunk, S, device=device, dtype=torch.bool)[chunk - length :, S - seen :]


def _of_chunk(attn_mask: Tensor, start: int, stop: int, seen: int) -> Tensor:
    """The part of a mask that a chunk's queries and keys have, whatever of it is broadcast."""
    if attn_mask.shape[-1] > 1:
        attn_mask = attn_mask[..., :seen]
    if attn_mask.shape[-2] > 1:
        attn_mask = attn_mask[..., start:stop, :]
    return attn_mask
