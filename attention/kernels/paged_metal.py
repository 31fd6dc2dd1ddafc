"""`paged_decode` for MPS, in Metal: a simdgroup a sequence, key head and span; its lanes share out the width.

A position's key and value are read once for all query heads of the key head. Unproven on a Mac; the tests compile the
same text as C++, one lane to a group. Axes: g query heads of one key head, d width, e value width.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

LANES = 32
NUMBERS = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat"}

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"

KERNEL = """
kernel void paged_spans(
    device const NUMBER* q, device const NUMBER* k_arena, device const NUMBER* v_arena,
    device const int* page_table, device const int* lengths, device float* outs, device float* lses,
    constant float& scale, constant long& slots, constant long& table_width, constant long& batch, constant long& span,
    uint3 place [[thread_position_in_grid]]) {
  constexpr int D_LANE = (WIDTH + LANES - 1) / LANES, E_LANE = (VALUE_WIDTH + LANES - 1) / LANES;
  const long lane = place.x, b = place.y / HEADS, h = place.y % HEADS, n = place.z;
  const long row = (b * HEADS + h) * GROUP;
  float q_gd[GROUP][D_LANE], out_ge[GROUP][E_LANE], top_g[GROUP], sum_g[GROUP], k_d[D_LANE], v_e[E_LANE];
  for (int g = 0; g < GROUP; ++g) {
    top_g[g] = -INFINITY;
    sum_g[g] = 0;
    for (int i = 0; i < E_LANE; ++i) out_ge[g][i] = 0;
    for (int i = 0; i < D_LANE; ++i) {
      const long d = i * LANES + lane;
      q_gd[g][i] = d < WIDTH ? float(q[(row + g) * WIDTH + d]) * scale : 0;
    }
  }

  const long room = table_width * PAGE_SIZE, length = lengths[b];
  const long stop = min(min(length, room), (n + 1) * span);
  bool wrong = length < 0 || length > room;
  for (long s = n * span; s < stop; ++s) {
    const long page = page_table[b * table_width + s / PAGE_SIZE];
    if (page < 0 || page >= slots / PAGE_SIZE) {
      wrong = true;
      break;
    }
    const long slot = h * slots + page * PAGE_SIZE + s % PAGE_SIZE;
    for (int i = 0; i < D_LANE; ++i) {
      const long d = i * LANES + lane;
      k_d[i] = d < WIDTH ? float(k_arena[slot * WIDTH + d]) : 0;
    }
    for (int i = 0; i < E_LANE; ++i) {
      const long e = i * LANES + lane;
      v_e[i] = e < VALUE_WIDTH ? float(v_arena[slot * VALUE_WIDTH + e]) : 0;
    }
    for (int g = 0; g < GROUP; ++g) {
      float part = 0;
      for (int i = 0; i < D_LANE; ++i) part += q_gd[g][i] * k_d[i];
      const float score = simd_sum(part), grown = max(top_g[g], score);
      const float shrink = exp(top_g[g] - grown), weight = exp(score - grown);
      for (int i = 0; i < E_LANE; ++i) out_ge[g][i] = out_ge[g][i] * shrink + weight * v_e[i];
      sum_g[g] = sum_g[g] * shrink + weight;
      top_g[g] = grown;
    }
  }

  for (int g = 0; g < GROUP; ++g) {
    const long at = n * batch * HEADS * GROUP + row + g;
    for (int i = 0; i < E_LANE; ++i) {
      const long e = i * LANES + lane;
      // An empty span has the sum 0: its result is 0, its weight log(0).
      if (e < VALUE_WIDTH) outs[at * VALUE_WIDTH + e] = wrong ? NAN : out_ge[g][i] / (sum_g[g] == 0 ? 1 : sum_g[g]);
    }
    if (lane == 0) lses[at] = top_g[g] + log(sum_g[g]);
  }
}
"""


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
    kernel = _compiled(source(q.dtype, page_size=page_size, heads=Hkv, group=Hq // Hkv, width=D, value_width=Dv))
    sizes = (slots, page_table.shape[1], B, span)
    tensors = (q, k_arena, v_arena, page_table, lengths, outs, lses)
    kernel(*tensors, scale, *sizes, threads=(LANES, B * Hkv, spans), group_size=(LANES, 1, 1))


def source(dtype: torch.dtype, *, page_size: int, heads: int, group: int, width: int, value_width: int) -> str:
    """The kernel for one shape of heads and pages. Lengths are arguments: a sequence that grows compiles nothing."""
    known = {
        "NUMBER": NUMBERS[dtype],
        "PAGE_SIZE": page_size,
        "HEADS": heads,
        "GROUP": group,
        "WIDTH": width,
        "VALUE_WIDTH": value_width,
        "LANES": LANES,
    }
    return "".join(f"#define {name} {value}\n" for name, value in known.items()) + KERNEL


@lru_cache(maxsize=64)
def _compiled(text: str) -> Any:
    return torch.mps.compile_shader(HEADER + text).paged_spans
