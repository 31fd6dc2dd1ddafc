"""Every kernel against the oracle: masks together with causality, gradients, dropout, empty axes, refused input."""

import math

import pytest
import torch
from torch import Tensor

from attention import ShapeError, attention_reference, sdpa_attention, variants
from attention.functional import sdpa_backend
from benchmarks.observe import operators

KERNELS = variants("attention")
every_kernel = pytest.mark.parametrize("attend", [k.build for k in KERNELS], ids=[k.name for k in KERNELS])
causal_or_not = pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
#: Queries and keys: self, cross, one step, more queries than keys (the first see nothing).
LENGTHS = ((6, 6), (4, 9), (1, 5), (9, 4))
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13


def qkv(L: int, S: int, *, Dv: int = 8, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(7)
    q, k, v = (torch.randn(2, 3, n, width, dtype=torch.float64) for n, width in ((L, 8), (S, 8), (S, Dv)))
    return q.to(dtype).requires_grad_(), k.to(dtype).requires_grad_(), v.to(dtype).requires_grad_()


#: Each differs between its batches, heads, queries and keys, as far as it has them.
MASKS = {
    "bool [L, S]": lambda L, S: torch.rand(L, S) > 0.4,
    "bool [H, L, S]": lambda L, S: torch.rand(3, L, S) > 0.4,
    "bool [B, 1, 1, S]": lambda L, S: torch.rand(2, 1, 1, S) > 0.4,
    "bool [L, 1]": lambda L, S: torch.rand(L, 1) > 0.4,
    "float [B, H, L, S]": lambda L, S: torch.randn(2, 3, L, S, dtype=torch.float64).masked_fill(
        torch.rand(2, 3, L, S) < 0.4, -math.inf
    ),
    "float32 [1, L, S]": lambda L, S: torch.randn(1, L, S),
}


def assert_equal(result: Tensor, exact: Tensor) -> None:
    assert result.shape == exact.shape
    assert torch.isfinite(result).all()
    assert (result - exact).abs().max() <= TOLERANCE


@every_kernel
@causal_or_not
@pytest.mark.parametrize(("L", "S"), [(6, 6), (1, 5), (9, 4)])
@pytest.mark.parametrize("form", MASKS)
def test_a_mask_and_causality_hold_together_forward_and_backward(attend, form, L, S, is_causal) -> None:
    inputs = qkv(L, S)
    mask = MASKS[form](L, S)
    results = [f(*inputs, attn_mask=mask, is_causal=is_causal) for f in (attend, attention_reference)]
    assert_equal(*results)
    along = torch.randn(2, 3, L, 8, dtype=torch.float64)
    for mine, exact in zip(*(torch.autograd.grad((out * along).sum(), inputs) for out in results), strict=True):
        assert_equal(mine, exact)


@every_kernel
@causal_or_not
@pytest.mark.parametrize(("L", "S"), [*LENGTHS, (70, 150)])
@pytest.mark.parametrize("Dv", [8, 13])
def test_without_a_mask_values_may_have_another_width(attend, Dv, L, S, is_causal) -> None:
    inputs = qkv(L, S, Dv=Dv)
    results = [f(*inputs, is_causal=is_causal, scale=0.3) for f in (attend, attention_reference)]
    assert_equal(*results)
    for mine, exact in zip(*(torch.autograd.grad(out.square().sum(), inputs) for out in results), strict=True):
        assert_equal(mine, exact)


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@causal_or_not
def test_its_error_is_at_most_twice_that_of_plain_torch(attend, is_causal, dtype) -> None:
    q, k, v = (t.detach() for t in qkv(80, 80, dtype=dtype))
    exact = attention_reference(q, k, v, is_causal=is_causal)
    scores = q @ k.mT * 8**-0.5
    hidden = torch.ones(80, 80).triu(1).bool() if is_causal else torch.zeros(80, 80).bool()
    plain = scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v
    allowed = 2 * (plain.double() - exact).abs().max() + torch.finfo(dtype).eps  # and one rounding
    assert (attend(q, k, v, is_causal=is_causal).double() - exact).abs().max() <= allowed


@every_kernel
def test_a_bias_learns(attend) -> None:
    inputs = qkv(4, 6)
    bias = torch.randn(3, 4, 6, dtype=torch.float64, requires_grad=True)
    along = torch.randn(2, 3, 4, 8, dtype=torch.float64)
    results = [f(*inputs, attn_mask=bias) for f in (attend, attention_reference)]
    assert_equal(*(torch.autograd.grad((out * along).sum(), bias)[0] for out in results))


@every_kernel
@causal_or_not
@pytest.mark.parametrize("form", ["bool", "float"])
def test_a_row_that_sees_no_key_gives_zeros_and_finite_gradients(attend, form, is_causal) -> None:
    inputs = qkv(5, 5)
    seen = torch.ones(5, 5, dtype=torch.bool)
    seen[2] = False
    mask = seen if form == "bool" else torch.zeros(5, 5).masked_fill(~seen, -math.inf)
    out = attend(*inputs, attn_mask=mask, is_causal=is_causal)
    assert (out[:, :, 2] == 0).all()
    assert (out[:, :, [0, 1, 3, 4]] != 0).all()
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(out.square().sum(), inputs))


@every_kernel
@causal_or_not
@pytest.mark.parametrize(("B", "L", "S"), [(2, 4, 0), (2, 1, 0), (2, 0, 4), (2, 0, 0), (0, 4, 4)])
def test_an_empty_axis_gives_zeros_or_nothing(attend, B, L, S, is_causal) -> None:
    q, k, v = (torch.randn(B, 3, n, 8) for n in (L, S, S))
    assert torch.equal(attend(q, k, v, is_causal=is_causal), torch.zeros(B, 3, L, 8))
    assert torch.equal(attend(q, k, v[..., :5], is_causal=is_causal), torch.zeros(B, 3, L, 5))


@every_kernel
@causal_or_not
def test_dropout_drops_what_the_seed_says(attend, is_causal) -> None:
    q, k, v = qkv(6, 6)
    torch.manual_seed(3)
    factors = torch.nn.functional.dropout(torch.ones(2, 3, 6, 6, dtype=torch.float64), 0.25)
    torch.manual_seed(3)
    dropped = attend(q, k, v, is_causal=is_causal, dropout_p=0.25)
    assert_equal(dropped, attention_reference(q, k, v, is_causal=is_causal, dropout_mask=factors))


@every_kernel
def test_dropout_keeps_the_mean(attend) -> None:
    torch.manual_seed(0)
    zero = torch.zeros(1, 1, 400, 8)
    weights = attend(zero, zero, torch.eye(400)[None, None], dropout_p=0.25) * 400
    # Of 160,000 weights the dropped share has a standard deviation of 0.001.
    assert (weights == 0).double().mean().item() == pytest.approx(0.25, abs=0.005)
    assert weights[weights != 0].mean().item() == pytest.approx(1 / 0.75, abs=1e-5)
    assert (attend(zero, zero, torch.eye(400)[None, None], dropout_p=1.0) == 0).all()


@every_kernel
def test_inputs_and_masks_are_left_as_they_were(attend) -> None:
    inputs = [*(t.detach() for t in qkv(4, 6)), torch.rand(4, 6) > 0.5]
    before = [t.clone() for t in inputs]
    q, k, v, mask = inputs
    attend(q, k, v, attn_mask=mask, is_causal=True)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


Q, K = torch.zeros(2, 3, 4, 8), torch.zeros(2, 3, 6, 8)


@every_kernel
@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({"q": torch.zeros(2, 3, 8)}, "q [2, 3, 8]"),
        ({"q": torch.zeros(1, 3, 4, 8)}, "q [1, 3, 4, 8]"),
        ({"k": torch.zeros(2, 3, 6, 9)}, "k [2, 3, 6, 9]"),
        ({"k": torch.zeros(2, 2, 6, 8), "v": torch.zeros(2, 2, 6, 8)}, "k [2, 2, 6, 8]"),
        ({"k": torch.zeros(2, 0, 6, 8), "v": torch.zeros(2, 0, 6, 8)}, "k [2, 0, 6, 8]"),
        ({"v": torch.zeros(2, 1, 6, 8)}, "v [2, 1, 6, 8]"),
        ({"v": torch.zeros(2, 3, 5, 8)}, "v [2, 3, 5, 8]"),
        ({"v": torch.zeros(2, 3, 6, 0)}, "v [2, 3, 6, 0]"),
        ({"q": Q[..., :0], "k": K[..., :0]}, "q [2, 3, 4, 0]"),
        ({"k": K.double()}, "k torch.float64"),
        ({"v": K.bfloat16()}, "v torch.bfloat16"),
        ({"q": Q.int(), "k": K.int(), "v": K.int()}, "q torch.int32"),
        ({"v": K.to("meta")}, "v torch.float32 on meta"),
        ({"attn_mask": torch.ones(6, dtype=torch.bool)}, "attn_mask [6]"),
        ({"attn_mask": torch.ones(4, 5, dtype=torch.bool)}, "attn_mask [4, 5]"),
        ({"attn_mask": torch.ones(2, 4, 6, dtype=torch.bool)}, "attn_mask [2, 4, 6]"),
        ({"attn_mask": torch.ones(1, 2, 3, 4, 6, dtype=torch.bool)}, "attn_mask [1, 2, 3, 4, 6]"),
        ({"attn_mask": torch.ones(4, 6, dtype=torch.int64)}, "attn_mask torch.int64"),
        ({"attn_mask": torch.ones(4, 6, dtype=torch.bool, device="meta")}, "attn_mask torch.bool on meta"),
        ({"dropout_p": 1.5}, "dropout_p=1.5"),
    ],
)
def test_what_cannot_be_attended_is_refused_with_what_was_met(attend, change, met) -> None:
    arguments = {"q": Q, "k": K, "v": K} | change
    with pytest.raises(ShapeError) as error:
        attend(arguments.pop("q"), arguments.pop("k"), arguments.pop("v"), **arguments)
    assert met in str(error.value)


TRAPS = {
    "nothing": ({}, "flash"),
    "a mask of two axes": ({"attn_mask": torch.ones(5, 5).bool()}, "flash"),
    "a mask of three axes": ({"attn_mask": torch.ones(4, 5, 5).bool()}, "math"),
    "a mask that learns": ({"attn_mask": torch.zeros(5, 5, requires_grad=True)}, "math"),
    "dropout": ({"dropout_p": 0.1}, "math"),
    "other values' width": ({"v": torch.zeros(2, 4, 5, 9)}, "math"),
    "rows that are not contiguous": ({"k": torch.zeros(2, 4, 8, 5).mT}, "math"),
    "shared heads": ({"k": torch.zeros(2, 2, 5, 8), "v": torch.zeros(2, 2, 5, 8), "enable_gqa": True}, "flash"),
    "five axes": ({name: torch.zeros(1, 2, 4, 5, 8) for name in "qkv"}, "math"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_the_backend_is_known_before_it_runs(trap) -> None:
    change, backend = TRAPS[trap]
    arguments = {name: torch.zeros(2, 4, 5, 8) for name in "qkv"} | change
    q, k, v = (arguments.pop(name) for name in "qkv")
    assert sdpa_backend(q, k, v, **arguments) == backend
    run = operators(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, **arguments))
    assert run.backend == backend


@pytest.mark.parametrize("form", MASKS)
@causal_or_not
def test_sdpa_attention_hands_masks_on_in_a_form_that_is_fused(form, is_causal) -> None:
    q, k, v = (t.detach() for t in qkv(6, 9))
    mask = MASKS[form](6, 9)
    assert operators(lambda: sdpa_attention(q, k, v, attn_mask=mask, is_causal=is_causal)).backend == "flash"
