"""Shared key heads and split keys: the oracle's numbers on repeated heads, and nothing copied on the way."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attention import (
    ShapeError,
    attention_reference,
    attention_state,
    merge_attention_states,
    split_kv_attention,
    variants,
)
from benchmarks.observe import operators

KERNELS = [kernel for kernel in variants("attention") if kernel.gqa]
every_kernel = pytest.mark.parametrize("attend", [k.build for k in KERNELS], ids=[k.name for k in KERNELS])
every_sharing = pytest.mark.parametrize("kv_heads", [1, 2])
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13


def qkv(L: int, S: int, kv_heads: int, *, Dv: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(7)
    sizes = ((6, L, 8), (kv_heads, S, 8), (kv_heads, S, Dv))
    q, k, v = (torch.randn(2, *size, dtype=torch.float64, requires_grad=True) for size in sizes)
    return q, k, v


def repeated(q: Tensor, k: Tensor, v: Tensor, **options: object) -> Tensor:
    """The oracle with each key head copied for the query heads 0, 1, ... that share it."""
    group = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(group, dim=1) for t in (k, v))
    return attention_reference(q, k, v, **options)


def assert_equal(result: Tensor, exact: Tensor) -> None:
    assert result.shape == exact.shape
    assert (result - exact).abs().max() <= TOLERANCE


#: Each differs between the query heads of one key head, as far as it has heads.
MASKS = {
    "none": lambda L, S: None,
    "bool [L, S]": lambda L, S: torch.rand(L, S) > 0.4,
    "bool [H, L, S]": lambda L, S: torch.rand(6, L, S) > 0.4,
    "bool [H, 1, 1]": lambda L, S: torch.rand(6, 1, 1) > 0.4,
    "float [B, 1, 1, S]": lambda L, S: torch.randn(2, 1, 1, S),
    "float [B, H, L, S]": lambda L, S: torch.randn(2, 6, L, S),
}


@every_kernel
@every_sharing
@pytest.mark.parametrize(("L", "S"), [(1, 5), (3, 5), (5, 3)])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("form", MASKS)
def test_shared_heads_equal_repeated_ones(attend, form, is_causal, L, S, kv_heads) -> None:
    mask = MASKS[form](L, S)
    mask = mask.double() if mask is not None and mask.is_floating_point() else mask
    inputs = qkv(L, S, kv_heads, Dv=8 if kv_heads == 2 else 5)
    results = [f(*inputs, attn_mask=mask, is_causal=is_causal, scale=0.4) for f in (attend, repeated)]
    assert_equal(*results)
    gradients = (torch.autograd.grad(out.square().sum(), inputs) for out in results)
    for mine, exact in zip(*gradients, strict=True):
        assert_equal(mine, exact)


@every_kernel
@pytest.mark.parametrize("L", [1, 4])
def test_dropout_drops_what_the_seed_says(attend, L) -> None:
    inputs = qkv(L, 5, 2)
    torch.manual_seed(3)
    factors = torch.nn.functional.dropout(torch.ones(2, 6, L, 5, dtype=torch.float64), 0.25)
    torch.manual_seed(3)
    assert_equal(attend(*inputs, dropout_p=0.25), repeated(*inputs, dropout_mask=factors))


@every_kernel
@pytest.mark.parametrize(("B", "L", "S"), [(2, 1, 0), (2, 4, 0), (2, 0, 4), (0, 1, 4)])
def test_an_empty_axis_gives_zeros_or_nothing(attend, B, L, S) -> None:
    q, k = torch.randn(B, 6, L, 8), torch.randn(B, 2, S, 8)
    assert torch.equal(attend(q, k, k, is_causal=True), torch.zeros(B, 6, L, 8))


@every_kernel
@pytest.mark.parametrize("heads", [(6, 4), (6, 0), (2, 6), (0, 2)])
def test_heads_that_cannot_be_shared_are_named(attend, heads) -> None:
    q, k = torch.zeros(1, heads[0], 1, 8), torch.zeros(1, heads[1], 5, 8)
    with pytest.raises(ShapeError, match=rf"q \[1, {heads[0]}, 1, 8\], k \[1, {heads[1]}, 5, 8\].*divisor"):
        attend(q, k, k)


class Largest(TorchDispatchMode):
    """How many numbers the largest result had."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.numbers = max(self.numbers, *(t.numel() for t in (out if isinstance(out, tuple) else (out,))))
        return out


def test_only_the_replaced_form_copies_key_heads() -> None:
    q, cache = torch.zeros(2, 6, 1, 8), torch.zeros(2, 2, 60, 8)
    k = cache[:, :, :40]  # as a static cache hands it out
    for kernel in KERNELS:
        with Largest() as largest:
            kernel.build(q, k, k, is_causal=True)
        assert (largest.numbers >= k.numel()) == (kernel.name == "repeated_kv"), kernel.name


@pytest.mark.parametrize("splits", [1, 2, 3, 7, 20])
@every_sharing
@pytest.mark.parametrize("L", [1, 3])
def test_split_keys_equal_whole_ones(L, kv_heads, splits) -> None:
    inputs = qkv(L, 14, kv_heads)
    results = split_kv_attention(*inputs, splits=splits, scale=0.4), repeated(*inputs, scale=0.4)
    assert_equal(*results)
    with torch.no_grad():
        assert_equal(split_kv_attention(*inputs, splits=splits, scale=0.4), results[1])
    gradients = (torch.autograd.grad(out.square().sum(), inputs) for out in results)
    for mine, exact in zip(*gradients, strict=True):
        assert_equal(mine, exact)


def test_the_parts_of_a_cache_are_views() -> None:
    q, cache = torch.zeros(2, 6, 1, 8), torch.zeros(2, 2, 60, 8)
    k = cache[:, :, :41]
    counts = operators(lambda: split_kv_attention(q, k, k, splits=4)).counts
    assert counts["aten::_scaled_dot_product_flash_attention_for_cpu"] == 2  # four parts at once, and the last key
    assert not {"aten::clone", "aten::copy_", "aten::cat", "aten::index_select"} & set(counts)


def test_split_keys_may_be_none_at_all() -> None:
    q, k = torch.randn(2, 6, 3, 8), torch.zeros(2, 2, 0, 8)
    assert torch.equal(split_kv_attention(q, k, k, splits=2), torch.zeros(2, 6, 3, 8))
    with pytest.raises(ShapeError, match="splits=0"):
        split_kv_attention(q, k, k, splits=0)
    with pytest.raises(ShapeError, match="split_kv_attention: met q"):
        split_kv_attention(q, k[:, :1], k, splits=1)


def forms(q: Tensor, k: Tensor, v: Tensor) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """The same numbers for each way that attention_state may go."""
    plain = q.detach(), k.detach(), v.detach()
    return {
        "fused": plain,
        "with gradients": (q, k, v),
        "keys by column": (plain[0], plain[1].mT.contiguous().mT, plain[2]),
        "wider values": (plain[0], plain[1], torch.cat((plain[2], plain[2]), dim=-1)),
    }


@pytest.mark.parametrize("form", ["fused", "with gradients", "keys by column", "wider values"])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
def test_a_state_is_the_result_and_the_weight_of_what_was_seen(is_causal, form) -> None:
    q, k, v = forms(*qkv(7, 7, 6))[form]
    out, weight = attention_state(q, k, v, is_causal=is_causal, scale=0.4)
    assert_equal(out, attention_reference(q, k, v, is_causal=is_causal, scale=0.4))
    hidden = torch.ones(7, 7).triu(1).bool() if is_causal else torch.zeros(7, 7).bool()
    assert_equal(weight, (q @ k.mT * 0.4).masked_fill(hidden, -math.inf).logsumexp(dim=-1))


@pytest.mark.parametrize("form", ["fused", "with gradients"])
def test_a_narrow_result_has_a_wide_weight(form) -> None:
    q, k, v = forms(*(t.detach().bfloat16().requires_grad_() for t in qkv(5, 9, 6)))[form]
    out, weight = attention_state(q, k, v)
    assert (out.dtype, weight.dtype) == (torch.bfloat16, torch.float32)
    # Scores of a few units, products of eight bfloat16 numbers rounded once at most: half a step of 2 ** -8.
    exact = (q.double() @ k.double().mT * 8**-0.5).logsumexp(dim=-1)
    assert (weight - exact).abs().max() <= 4 * 2**-8


def test_states_without_keys_weigh_nothing() -> None:
    q, k, v = (t.detach() for t in qkv(3, 4, 6))
    out, weight = attention_state(q, k[:, :, :0], v[:, :, :0])
    assert torch.equal(out, torch.zeros_like(q))
    assert torch.equal(weight, torch.full((2, 6, 3), -math.inf, dtype=torch.float64))
    some = attention_state(q, k, v)
    joined = merge_attention_states(*zip((out, weight), some, (out, weight), strict=True))
    assert all(torch.equal(mine, whole) for mine, whole in zip(joined, some, strict=True))
    nothing = merge_attention_states((out, out), (weight, weight))
    assert torch.equal(nothing[0], out)
    assert torch.equal(nothing[1], weight)


@pytest.mark.parametrize("cuts", [(5,), (1, 2), (0, 3), (3, 3, 7)])
def test_parts_in_any_split_equal_the_whole_forward_and_backward(cuts) -> None:
    inputs = q, k, v = qkv(3, 7, 6)
    edges = (0, *cuts, 7)
    parts = [attention_state(q, k[:, :, a:b], v[:, :, a:b]) for a, b in pairwise(edges)]
    out, weight = merge_attention_states(*zip(*parts, strict=True))
    exact = (q @ k.mT * 8**-0.5).logsumexp(dim=-1)
    assert_equal(out, attention_reference(q, k, v))
    assert_equal(weight, exact)
    mine = torch.autograd.grad(out.square().sum() + weight.sum(), inputs, materialize_grads=True)
    whole = attention_reference(q, k, v).square().sum() + exact.sum()
    for gradient, true in zip(mine, torch.autograd.grad(whole, inputs), strict=True):
        assert_equal(gradient, true)


def test_a_row_that_no_part_saw_has_gradients_of_zero() -> None:
    weights = torch.tensor([[0.5, -math.inf], [1.5, -math.inf]], requires_grad=True)
    out, weight = merge_attention_states(list(torch.ones(2, 2, 3)), list(weights))
    assert torch.allclose(out, torch.tensor([[1.0], [0.0]]).expand(2, 3))
    (gradient,) = torch.autograd.grad(out.sum() + weight[0], weights)
    assert torch.isfinite(gradient).all()
    assert (gradient[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("outs", "lses", "met"),
    [
        ([], [], "0 results and 0 weights"),
        ([(2, 3)], [(2,), (2,)], "1 results and 2 weights"),
        ([(2, 3), (2, 4)], [(2,), (2,)], r"\[\[2, 3\], \[2, 4\]\]"),
        ([(2, 3), (2, 3)], [(2,), (1,)], r"\[\[2\], \[1\]\]"),
    ],
)
def test_parts_that_do_not_fit_are_named(outs, lses, met) -> None:
    with pytest.raises(ShapeError, match=met):
        merge_attention_states([torch.zeros(n) for n in outs], [torch.zeros(n) for n in lses])


def test_a_causal_state_has_as_many_keys_as_queries() -> None:
    with pytest.raises(ShapeError, match="L=3, S=4"):
        attention_state(*qkv(3, 4, 6), is_causal=True)
