"""`paged_decode` for CUDA, in Triton: a block a sequence, key head and span; the head's queries are the rows of a tile.

Imported where it runs: nothing else of this package needs triton. Unproven on a GPU: the tests run it in Triton's
interpreter and compile it for one. Axes: g query heads of one key head, s positions of a block, d width, e value width.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Positions at a time, and numbers in a tile of them: 128 wide, 64 positions at a time would not fit the registers
#: (compiled for sm_90: 1.4 KB of a thread's spilled in bfloat16; 32 positions use 234 registers, 254 in float32).
BLOCK, TILE = 64, 4096
#: The least that the matrix instruction takes along any axis.
LEAST = 16


def attend_spans(
    q: Tensor,
    k_arena: Tensor,
    v_arena: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    outs: Tensor,
    lses: Tensor,
    *,
    page_size: int,
    span: int,
    scale: float,
) -> None:
    """Write each span's result and weight, float32. Shapes: outs [spans, B, Hq, Dv]; lses [spans, B, Hq]; all dense."""
    (spans, B, Hq, Dv), (Hkv, slots, D) = outs.shape, k_arena.shape
    tile = {"ROWS": Hq // Hkv, "WIDTH": D, "VALUE_WIDTH": Dv}
    tile = {name: max(LEAST, triton.next_power_of_2(n)) for name, n in tile.items()}
    block = max(LEAST, min(BLOCK, TILE // max(tile["WIDTH"], tile["VALUE_WIDTH"])))
    sizes = {"page_size": page_size, "heads": Hkv, "group": Hq // Hkv, "width": D, "value_width": Dv}
    with torch.cuda.device_of(q):
        _spans[(B * Hkv, spans)](
            q, k_arena, v_arena, page_table, lengths, outs, lses, scale, slots, page_table.shape[1], B, span,
            **sizes, **tile, BLOCK=block,
        )  # fmt: skip


@triton.jit
def _spans(
    q, k_arena, v_arena, page_table, lengths, outs, lses, scale, slots, table_width, batch, span,
    page_size: tl.constexpr, heads: tl.constexpr, group: tl.constexpr, width: tl.constexpr, value_width: tl.constexpr,
    ROWS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0) // heads
    h = tl.program_id(0) % heads
    n = tl.program_id(1)
    g = tl.arange(0, ROWS)
    d = tl.arange(0, WIDTH)
    e = tl.arange(0, VALUE_WIDTH)
    row_g = (b * heads + h) * group + g
    q_gd = tl.load(q + row_g[:, None] * width + d[None, :], mask=(g < group)[:, None] & (d < width)[None, :], other=0.0)

    room = table_width * page_size
    length = tl.load(lengths + b)
    wrong = ((length < 0) | (length > room)).to(tl.int32)
    stop = tl.minimum(tl.minimum(length, room), (n + 1) * span)
    top_g = tl.full([ROWS], float("-inf"), tl.float32)
    sum_g = tl.zeros([ROWS], tl.float32)
    out_ge = tl.zeros([ROWS, VALUE_WIDTH], tl.float32)
    for start in range(n * span, stop, BLOCK):
        s = start + tl.arange(0, BLOCK)
        held_s = s < stop
        page_s = tl.load(page_table + b * table_width + s // page_size, mask=held_s, other=0)
        seen_s = held_s & (page_s >= 0) & (page_s < slots // page_size)
        wrong += tl.sum(held_s.to(tl.int32) - seen_s.to(tl.int32), axis=0)
        slot_s = h.to(tl.int64) * slots + page_s.to(tl.int64) * page_size + s % page_size
        k_at = k_arena + slot_s[:, None] * width + d[None, :]
        k_sd = tl.load(k_at, mask=seen_s[:, None] & (d < width)[None, :], other=0.0)
        scores_gs = tl.dot(q_gd, tl.trans(k_sd), input_precision="ieee") * scale
        scores_gs = tl.where(seen_s[None, :], scores_gs, float("-inf"))
        grown_g = tl.maximum(top_g, tl.max(scores_gs, axis=1))
        weights_gs = tl.exp(scores_gs - grown_g[:, None])
        shrink_g = tl.exp(top_g - grown_g)
        v_at = v_arena + slot_s[:, None] * value_width + e[None, :]
        v_se = tl.load(v_at, mask=seen_s[:, None] & (e < value_width)[None, :], other=0.0)
        mixed_ge = tl.dot(weights_gs.to(v_se.dtype), v_se, input_precision="ieee")
        out_ge = out_ge * shrink_g[:, None] + mixed_ge
        sum_g = sum_g * shrink_g + tl.sum(weights_gs, axis=1)
        top_g = grown_g

    # An empty span has the sum 0: its result is 0, its weight log(0).
    out_ge = tl.where(wrong > 0, float("nan"), out_ge / tl.where(sum_g == 0.0, 1.0, sum_g)[:, None])
    at_g = n * batch * heads * group + row_g
    out_at = outs + at_g[:, None] * value_width + e[None, :]
    tl.store(out_at, out_ge, mask=(g < group)[:, None] & (e < value_width)[None, :])
    tl.store(lses + at_g, top_g + tl.log(sum_g), mask=g < group)
