"""Chunks of queries: any length of chunk gives the oracle's numbers, and less is kept and computed than at once."""

import pytest
import torch
from torch import Tensor

from attention import ShapeError, attention_reference, checkpointed_attention, chunked_attention, naive_attention
from benchmarks.observe import operators

both = pytest.mark.parametrize("attend", [chunked_attention, checkpointed_attention])
FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13


def qkv(L: int, S: int, Dv: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(7)
    sizes = (L, 8), (S, 8), (S, Dv)
    q, k, v = (torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True) for size in sizes)
    return q, k, v


@both
@pytest.mark.parametrize("chunk", [2, 10**12])
@pytest.mark.parametrize(("L", "S"), [(7, 7), (6, 9), (9, 6)])
@pytest.mark.parametrize("Dv", [8, 5])
def test_any_length_of_chunk_equals_the_oracle(attend, Dv, L, S, chunk) -> None:
    inputs = qkv(L, S, Dv)
    masks = None, torch.rand(2, 1, L, S) > 0.3, torch.randn(L, 1, dtype=torch.float64), torch.rand(3, 1, S) > 0.3
    for mask in masks:
        for is_causal in (False, True):
            out = attend(*inputs, attn_mask=mask, is_causal=is_causal, chunk=chunk)
            exact = attention_reference(*inputs, attn_mask=mask, is_causal=is_causal)
            assert (out - exact).abs().max() <= TOLERANCE
            gradients = (torch.autograd.grad(t.square().sum(), inputs) for t in (out, exact))
            assert all((mine - true).abs().max() <= TOLERANCE for mine, true in zip(*gradients, strict=True))


def test_each_chunk_is_one_fused_call() -> None:
    q, k, v = (t.detach() for t in qkv(10, 10))
    for is_causal in (False, True):
        assert operators(lambda c=is_causal: chunked_attention(q, k, v, is_causal=c, chunk=4)).counts[FLASH] == 3


def test_a_causal_chunk_is_given_no_key_behind_its_last_query() -> None:
    q, k, v = (t.detach() for t in qkv(8, 8))
    v[:, :, 4:] = torch.nan  # a weight of zero would still make it NaN
    assert torch.isfinite(chunked_attention(q, k, v, is_causal=True, chunk=4)[:, :, :4]).all()


def kept(attend, *inputs: Tensor, **options: object) -> int:
    """The numbers in the largest tensor that autograd keeps for the backward pass."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        attend(*inputs, **options)
    return max(sizes, default=0)


def test_checkpointed_keeps_no_scores() -> None:
    inputs = qkv(40, 40)
    assert kept(naive_attention, *inputs) == 2 * 3 * 40 * 40
    assert kept(checkpointed_attention, *inputs, chunk=8) <= inputs[0].numel()


@both
def test_what_is_dropped_forward_is_dropped_backward(attend) -> None:
    q, k, v = qkv(9, 9)
    torch.manual_seed(3)
    out = attend(q, k, v, dropout_p=0.5, chunk=4)
    along = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * along).sum(), v)
    # The result is linear in v: with the weights of the forward pass, and no others, both sums are one.
    assert abs((out * along).sum() - (gradient * v).sum()) <= TOLERANCE * out.numel()


@both
def test_a_chunk_of_nothing_is_refused(attend) -> None:
    with pytest.raises(ShapeError, match="chunk=0, wanted >= 1"):
        attend(*qkv(2, 2), chunk=0)
