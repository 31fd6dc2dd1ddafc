"""The steps of attention one by one: each what its line of the formula says, all of them multi-head attention."""

import math

import pytest
import torch

from attention import MultiHeadAttention, RotaryEmbedding, ShapeError, causal_mask
from attention.masks import mask_by_full_triu
from attention.pipeline import (
    attention_output,
    attention_pipeline,
    attention_scores,
    attention_weights,
    masked_scores,
    qkv_projection,
)

B, H, L, S, D, C = 2, 3, 5, 7, 4, 12
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13


def some(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_projection_is_three_products_taken_apart_by_heads() -> None:
    x, weight = some(B, L, C), some(3 * H * D, C)
    parts = qkv_projection(x, weight, num_heads=H)
    for part, rows in zip(parts, weight.split(H * D), strict=True):
        assert part.shape == (B, H, L, D)
        assert (part - torch.einsum("blc,hdc->bhld", x, rows.view(H, D, C))).abs().max() <= TOLERANCE
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 1


def test_scores_are_scaled_products() -> None:
    q, k = some(B, H, L, D), some(B, H, S, D)
    products = torch.einsum("bhld,bhsd->bhls", q, k)
    assert (attention_scores(q, k) - products / 2).abs().max() <= TOLERANCE
    assert (attention_scores(q, k, scale=0.3) - products * 0.3).abs().max() <= TOLERANCE


def test_a_mask_hides_or_is_added() -> None:
    scores, seen = some(B, H, L, S), causal_mask(L, S)
    hidden = masked_scores(scores, seen)
    assert torch.equal(hidden, scores.masked_fill(~seen, -math.inf))
    assert torch.equal(masked_scores(scores, torch.full((H, 1, S), 2.0)), scores + 2.0)


def test_weights_are_shares_and_none_where_nothing_is_seen() -> None:
    scores = torch.tensor([[0.0, math.log(3)], [-math.inf, -math.inf]], requires_grad=True)
    weights = attention_weights(scores)
    assert torch.allclose(weights, torch.tensor([[0.25, 0.75], [0.0, 0.0]]))
    assert torch.isfinite(torch.autograd.grad(weights.square().sum(), scores)[0]).all()
    assert torch.equal(attention_weights(scores[:1], may_be_dead=False), weights[:1])


def test_the_output_mixes_values_by_weight() -> None:
    weights, v = some(B, H, L, S), some(B, H, S, D + 1)
    mixed = torch.einsum("bhls,bhse->bhle", weights, v)
    assert (attention_output(weights, v) - mixed).abs().max() <= TOLERANCE


@pytest.mark.parametrize("rotary", [None, "complex", "half_split"])
@pytest.mark.parametrize("mask", [None, "additive", "bool"])
def test_all_steps_are_multi_head_attention(mask, rotary) -> None:
    turn = None if rotary is None else RotaryEmbedding(D, form=rotary)
    m = MultiHeadAttention(C, H, backend="naive", causal=mask is not None, rotary=turn).double()
    given = {None: None, "additive": mask_by_full_triu(L, dtype=torch.float64), "bool": causal_mask(L)}[mask]
    x = some(B, L, C)
    out = attention_pipeline(x, m.qkv.weight, m.out.weight, num_heads=H, mask=given, rotary=turn)
    assert (out - m(x)).abs().max() <= TOLERANCE


def test_autocast_takes_its_own_dtypes_from_step_to_step() -> None:
    x, qkv_weight, out_weight = (t.float() for t in (some(B, L, C), some(3 * H * D, C), some(C, H * D)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = attention_pipeline(x, qkv_weight, out_weight, num_heads=H, mask=causal_mask(L))
    m = MultiHeadAttention(C, H, backend="naive")
    m.load_state_dict({"qkv.weight": qkv_weight, "out.weight": out_weight})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(narrow, m(x))


SCORES = torch.zeros(B, H, L, S)


@pytest.mark.parametrize(
    ("step", "met"),
    [
        (
            lambda: qkv_projection(torch.zeros(B, L, C), torch.zeros(35, C), num_heads=H),
            r"weight \[35, 12\].*num_heads=3",
        ),
        (lambda: qkv_projection(torch.zeros(B, L, 9), torch.zeros(36, C), num_heads=H), r"x \[2, 5, 9\]"),
        (
            lambda: qkv_projection(torch.zeros(B, L, C), torch.zeros(36, C).double(), num_heads=H),
            "weight .* torch.float64",
        ),
        (lambda: qkv_projection(torch.zeros(B, L, C), torch.zeros(36, C), num_heads=0), "num_heads=0"),
        (lambda: attention_scores(torch.zeros(B, H, L, D), torch.zeros(B, 1, S, D)), r"k \[2, 1, 7, 4\]"),
        (lambda: attention_scores(torch.zeros(B, H, L, 0), torch.zeros(B, H, S, 0)), r"q \[2, 3, 5, 0\]"),
        (lambda: masked_scores(SCORES, torch.ones(L, L).bool()), r"attn_mask \[5, 5\]"),
        (lambda: masked_scores(SCORES[0], torch.ones(L, S).bool()), r"scores \[3, 5, 7\]"),
        (lambda: attention_weights(SCORES.int()), "torch.int32"),
        (lambda: attention_output(SCORES, torch.zeros(B, H, L, D)), r"v \[2, 3, 5, 4\]"),
        (
            lambda: attention_pipeline(torch.zeros(B, L, C), torch.zeros(36, C), torch.zeros(C, 9), num_heads=H),
            r"out_weight \[12, 9\].* wanted \[C, 12\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(step, met) -> None:
    with pytest.raises(ShapeError, match=met):
        step()
