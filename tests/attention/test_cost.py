"""The formulas against counts: pairs by masks, operations by PyTorch's counter, bytes by the tensors themselves."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention import MultiHeadAttention, ShapeError, StaticKVCache, causal_mask, naive_attention, sliding_window_mask
from attention.cost import (
    Roofline,
    attention_bytes,
    attention_flops,
    decode_bytes,
    projection_flops,
    rotary_flops,
    visible_pairs,
)


@pytest.mark.parametrize("L", range(6))
@pytest.mark.parametrize("S", range(6))
def test_visible_pairs_are_the_cells_of_a_mask(L, S) -> None:
    assert visible_pairs(L, S) == L * S
    assert visible_pairs(L, S, is_causal=True) == causal_mask(L, S).sum()
    for window in (1, 2, 4, 9):
        cells = sliding_window_mask(L, S, window=window).sum()
        assert visible_pairs(L, S, is_causal=True, window=window) == cells


def counted(run, *inputs) -> int:
    with FlopCounterMode(display=False) as counter:
        run(*inputs)
    return counter.get_total_flops()


def test_attention_flops_are_what_the_plain_kernel_multiplies() -> None:
    q, k, v = (torch.empty(2, 3, *size, device="meta") for size in ((5, 8), (7, 8), (7, 6)))
    assert counted(naive_attention, q, k, v) == attention_flops(2, 3, 5, 7, 8, 6)
    assert attention_flops(2, 3, 5, 7, 8) == attention_flops(2, 3, 5, 7, 8, 8)


def test_attention_flops_follow_the_pairs() -> None:
    whole, causal = attention_flops(2, 3, 4, 4, 8), attention_flops(2, 3, 4, 4, 8, is_causal=True)
    assert causal / whole == 10 / 16
    assert attention_flops(2, 3, 4, 4, 8, is_causal=True, window=2) / whole == 7 / 16
    # Forward two products; backward each of them twice, and the scores again.
    assert attention_flops(2, 3, 4, 4, 8, backward=True) == whole + 5 / 2 * whole


def test_projection_flops_and_attention_flops_are_the_module() -> None:
    heads, kv_heads, D, Dv, C = 6, 6, 8, 5, 12
    module = MultiHeadAttention(C, heads, key_dim=D, value_dim=Dv, backend="naive", causal=False).to("meta")
    projections = projection_flops(2 * 7, (C, heads * D), (C, kv_heads * D), (C, kv_heads * Dv), (heads * Dv, C))
    x = torch.empty(2, 7, C, device="meta")
    assert counted(module, x) == projections + attention_flops(2, heads, 7, 7, D, Dv)


def test_bytes_are_those_of_the_tensors() -> None:
    q, k, v, out = (torch.empty(2, *size).bfloat16() for size in ((6, 5, 8), (3, 7, 8), (3, 7, 4), (6, 5, 4)))
    assert attention_bytes(2, 6, 3, 5, 7, 8, 4, itemsize=2) == sum(t.nbytes for t in (q, k, v, out))
    assert attention_bytes(2, 6, 3, 5, 7, 8) == attention_bytes(2, 6, 3, 5, 7, 8, 8, itemsize=4)
    assert decode_bytes(2, 3, 7, 8, 4) == StaticKVCache(2, 3, 7, 8, 4).nbytes
    assert decode_bytes(2, 3, 7, 8) == decode_bytes(2, 3, 7, 8, 8)


def test_turning_a_pair_takes_four_products_and_two_sums() -> None:
    assert rotary_flops(1, 1, 1, 2) == 6
    assert rotary_flops(2, 3, 5, 8) == 6 * (2 * 3 * 5 * 4)


def test_no_kernel_is_faster_than_the_slower_of_its_limits() -> None:
    machine = Roofline(flops=100.0, bytes=20.0)
    assert machine.ridge == 5.0
    assert machine.seconds(1000.0, 20.0) == 10.0
    assert machine.seconds(100.0, 200.0) == 10.0


@pytest.mark.parametrize(
    ("arguments", "met"),
    [
        ({"L": -1, "S": 3}, "L=-1, S=3"),
        ({"L": 3, "S": 3, "window": 2}, "window=2 with is_causal=False"),
        ({"L": 3, "S": 3, "window": 0, "is_causal": True}, "window=0 with is_causal=True"),
    ],
)
def test_what_has_no_pairs_is_refused(arguments, met) -> None:
    with pytest.raises(ShapeError, match=met):
        visible_pairs(**arguments)
