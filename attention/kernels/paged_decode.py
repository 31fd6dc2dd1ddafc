"""Decode from pages: one query of each sequence, its keys and values wherever a page table says that they are.

`gathered_decode` copies the pages together and attends: plain PyTorch, on any device. `paged_decode` is one operator
that reads them where they lie: a Triton kernel on CUDA, a Metal kernel on MPS. On a CPU it is the gathered form.

Unproven: neither kernel has run on its device. The tests run one in Triton's interpreter, the other as C++.

Shapes: q [B, Hq, D]; k_arena [Hkv, slots, D]; v_arena [Hkv, slots, Dv]; page_table [B, P] and lengths [B], int32;
result [B, Hq, Dv]. Page p is the slots from p * page_size on; page_table[b, i] holds sequence b's positions from
i * page_size on, and is not read where lengths[b] ends before. A sequence of length 0 gets zeros.
Axes: b batch, k key heads, s positions, d width, e value width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attention.errors import ShapeError, Unsupported
from attention.grouped import grouped_query_attention, merge_attention_states
from attention.pager import Pager

#: A span is at least as many positions: below, merging spans costs more than they are worth.
SPAN = 256
#: Spans are made until there are as many blocks: about four for each multiprocessor of the largest devices.
BLOCKS = 512
#: What the kernels compute with; float64 has no matrix instruction in Triton, and no type in Metal.
KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def paged_decode(
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    *,
    page_size: int,
    scale: float | None = None,
) -> Tensor:
    """Attend with each sequence's query to its pages, where they lie.

    A page or a length that cannot be is refused on a CPU; on a device, where asking would wait for the queue to
    drain, that sequence's result is NaN.

    Memory: the result, and one in float32 for each span of positions; a copy of an arena that is not contiguous; on a
    CPU as `gathered_decode`.
    Cost: B Hkv S (D + Dv) numbers read once, whatever Hq is; 2 B Hq S (D + Dv) FLOP.
    Raises: ShapeError when sizes, dtypes or devices do not fit together; Unsupported for a gradient, for float64 on a
    device, and on CUDA without Triton.
    Source: Kwon et al. 2023, arXiv:2309.06180; Dao et al. 2023, "Flash-Decoding for long-context inference".
    """
    _check("paged_decode", q, k_arena, v_arena, page_table, lengths, page_size)
    if torch.is_grad_enabled() and (q.requires_grad or k_arena.requires_grad or v_arena.requires_grad):
        raise Unsupported("paged_decode has no gradient: gathered_decode has one, or use torch.no_grad()")
    out: Tensor = _operator(q, k_arena, v_arena, page_table, lengths, page_size, _scale(q, scale))
    return out


def gathered_decode(
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    *,
    page_size: int,
    scale: float | None = None,
) -> Tensor:
    """Copy each sequence's pages together, then attend: the form that the kernels replace.

    A sequence with a page or a length that cannot be gets NaN.

    Memory: B Hkv P page_size (D + Dv) numbers, twice. Cost: those numbers moved, and 2 B Hq P page_size (D + Dv) FLOP.
    Raises: ShapeError when sizes, dtypes or devices do not fit together.
    """
    _check("gathered_decode", q, k_arena, v_arena, page_table, lengths, page_size)
    return _gathered(q, k_arena, v_arena, page_table, lengths, page_size, _scale(q, scale))


def page_tables(pager: Pager, sequences: Sequence[int], *, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """What a step's kernel reads, from the pager's host state: one copy each to the device, none back.

    Shapes: the page table [B, P], P as many pages as the longest sequence fills, and the lengths [B]; int32.
    Raises: ShapeError for a sequence that is not held.
    """
    lengths = [pager.length(sequence) for sequence in sequences]
    filled = [-(-length // pager.page_size) for length in lengths]
    width = max(filled, default=0)
    table = torch.zeros(len(lengths), width, dtype=torch.int32)
    for row, sequence, pages in zip(table, sequences, filled, strict=True):
        row[:pages] = torch.tensor(pager.pages(sequence)[:pages], dtype=torch.int32)
    return table.to(device), torch.tensor(lengths, dtype=torch.int32).to(device)


@torch.library.custom_op("attention::paged_decode", mutates_args=(), device_types="cpu")
def _operator(
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    page_size: int,
    scale: float,
) -> Tensor:
    _check_table(k_arena.shape[1], page_table, lengths, page_size)
    return _gathered(q, k_arena, v_arena, page_table, lengths, page_size, scale)


@_operator.register_fake
def _shape(q: Tensor, _k_arena: Tensor, v_arena: Tensor, *_: Any) -> Tensor:
    return q.new_empty(q.shape[0], q.shape[1], v_arena.shape[2])


@_operator.register_kernel("cuda")
def _on_cuda(*inputs: Any) -> Tensor:
    try:
        from attention.kernels.paged_triton import attend_spans
    except ModuleNotFoundError as error:
        raise Unsupported("paged_decode on CUDA is a Triton kernel, and triton is not installed") from error
    return in_spans(attend_spans, *inputs)


@_operator.register_kernel("mps")
def _on_mps(*inputs: Any) -> Tensor:
    from attention.kernels.paged_metal import attend_spans

    return in_spans(attend_spans, *inputs)


def in_spans(
    attend_spans: Callable[..., None],
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    page_size: int,
    scale: float,
) -> Tensor:
    """Run a kernel on spans of positions and merge them, so that one long sequence alone fills a device, too.

    Where spans end follows from the table's width: the lengths stay on the device.
    """
    if q.dtype not in KERNEL_DTYPES:
        raise Unsupported(f"paged_decode on {q.device.type} has no {q.dtype}: gathered_decode has")
    (B, Hq, _), (Hkv, _, Dv) = q.shape, v_arena.shape
    if B == 0:
        return q.new_empty(0, Hq, Dv)
    room = page_table.shape[1] * page_size
    spans = max(1, min(-(-room // SPAN), BLOCKS // (B * Hkv)))
    outs = q.new_empty(spans, B, Hq, Dv, dtype=torch.float32)
    lses = q.new_empty(spans, B, Hq, dtype=torch.float32)
    inputs = [t.contiguous() for t in (q, k_arena, v_arena, page_table, lengths)]
    attend_spans(*inputs, outs, lses, page_size=page_size, span=-(-room // spans), scale=scale)
    out, _ = merge_attention_states(outs.unbind(0), lses.unbind(0))
    return out.to(q.dtype)


def _gathered(
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    page_size: int,
    scale: float,
) -> Tensor:
    position_s = torch.arange(page_table.shape[1] * page_size, device=q.device)
    page_bs = page_table.long().repeat_interleave(page_size, dim=1)
    held_bs = position_s < lengths[:, None]
    exists_bs = (page_bs >= 0) & (page_bs < k_arena.shape[1] // page_size)
    wrong_b = (held_bs & ~exists_bs).any(dim=1) | (lengths < 0) | (lengths > len(position_s))
    seen_bs = held_bs & exists_bs
    slot_bs = (page_bs * page_size + position_s % page_size).where(seen_bs, 0)
    # What was never written may be NaN, which a mask alone would let through.
    unseen_bs1 = ~seen_bs[..., None]
    k_kbsd, v_kbse = (t[:, slot_bs].masked_fill(unseen_bs1, 0.0) for t in (k_arena, v_arena))
    out_bk1e = grouped_query_attention(
        q[:, :, None], k_kbsd.transpose(0, 1), v_kbse.transpose(0, 1), attn_mask=seen_bs[:, None, None], scale=scale
    )
    return out_bk1e.squeeze(2).masked_fill(wrong_b[:, None, None], torch.nan).contiguous()


def _scale(q: Tensor, scale: float | None) -> float:
    return float(q.shape[-1] ** -0.5) if scale is None else scale


def _check(
    place: str, q: Tensor, k_arena: Tensor, v_arena: Tensor, page_table: Tensor, lengths: Tensor, page_size: int
) -> None:
    if not (
        q.dim() == k_arena.dim() == v_arena.dim() == 3
        and page_table.dim() == 2
        and lengths.dim() == 1
        and q.shape[0] == page_table.shape[0] == lengths.shape[0]
        and k_arena.shape[:2] == v_arena.shape[:2]
        and q.shape[2] == k_arena.shape[2]
        and min(k_arena.shape[0], q.shape[2], page_size) >= 1
        and q.shape[1] % k_arena.shape[0] == 0
        and k_arena.shape[1] >= page_size
        and k_arena.shape[1] % page_size == 0
    ):
        names = ("q", "k_arena", "v_arena", "page_table", "lengths")
        tensors = zip(names, (q, k_arena, v_arena, page_table, lengths), strict=True)
        met = ", ".join(f"{name} {list(t.shape)}" for name, t in tensors)
        wanted = "[B, Hq, D], [Hkv, slots, D], [Hkv, slots, Dv], [B, P], [B]; Hkv divides Hq, page_size divides slots"
        raise ShapeError(f"{place}: met {met}, page_size {page_size}, wanted {wanted}")
    floats, whole = (q, k_arena, v_arena), (page_table, lengths)
    if not (
        q.is_floating_point()
        and all(t.dtype == q.dtype for t in floats)
        and all(t.dtype == torch.int32 for t in whole)
        and all(t.device == q.device for t in (*floats, *whole))
    ):
        met = ", ".join(f"{t.dtype} on {t.device}" for t in (*floats, *whole))
        raise ShapeError(f"{place}: met {met}, wanted one floating dtype thrice, int32 twice, all on one device")


def _check_table(slots: int, page_table: Tensor, lengths: Tensor, page_size: int) -> None:
    room, pages = page_table.shape[1] * page_size, slots // page_size
    if bool(((lengths < 0) | (lengths > room)).any()):
        raise ShapeError(f"paged_decode: lengths {lengths.tolist()}, wanted 0 to {room}")
    read = torch.arange(0, room, page_size, device=lengths.device) < lengths[:, None]
    wrong = page_table[read & ((page_table < 0) | (page_table >= pages))]
    if wrong.numel():
        raise ShapeError(f"paged_decode: page_table names page {int(wrong[0])}, wanted 0 to {pages - 1}")
