"""The kernels beyond what the guards hold: masks together with causality, gradients, dropout, and refused shapes."""

import math

import pytest
import torch

from attention import ShapeError, attention_reference, naive_attention, variants

KERNELS = variants("attention")
every_kernel = pytest.mark.parametrize("attend", [k.build for k in KERNELS], ids=[k.name for k in KERNELS])


def qkv(L: int, S: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(7)
    return tuple(torch.randn(2, 3, n, 8, dtype=dtype, requires_grad=True) for n in (L, S, S))


def some_mask(form: str, L: int, S: int) -> torch.Tensor:
    torch.manual_seed(8)
    seen = torch.rand(L, S) > 0.4
    bias = torch.randn(2, 1, L, S)
    return {
        "bool 2-D": seen,
        "bool 4-D": seen.expand(2, 1, L, S),
        "bool 3-D": seen.expand(3, L, S),
        "float 4-D": bias.masked_fill(~seen, -math.inf),
        "float64 4-D": bias.double(),
        "one row for all": torch.rand(2, 1, 1, S) > 0.4,
    }[form]


@every_kernel
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("L", "S"), [(6, 6), (4, 9), (1, 5), (9, 4)])
@pytest.mark.parametrize("form", ["bool 2-D", "bool 4-D", "bool 3-D", "float 4-D", "float64 4-D", "one row for all"])
def test_a_mask_and_causality_hold_together(attend, form, L, S, is_causal) -> None:
    q, k, v = qkv(L, S)
    mask = some_mask(form, L, S)
    reference = attention_reference(q, k, v, attn_mask=mask, is_causal=is_causal)
    plain = naive_attention(q, k, v, attn_mask=mask, is_causal=is_causal)
    allowed = 2 * (plain.double() - reference).abs().max() + torch.finfo(torch.float32).eps
    assert (attend(q, k, v, attn_mask=mask, is_causal=is_causal).double() - reference).abs().max() <= allowed


@every_kernel
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("L", "S"), [(6, 6), (4, 9), (9, 4)])
def test_gradients_are_those_of_the_oracle(attend, L, S, is_causal) -> None:
    inputs = qkv(L, S)
    torch.manual_seed(9)
    along = torch.randn(2, 3, L, 8)
    exact = torch.autograd.grad((attention_reference(*inputs, is_causal=is_causal) * along).sum(), inputs)
    plain = torch.autograd.grad((naive_attention(*inputs, is_causal=is_causal) * along).sum(), inputs)
    found = torch.autograd.grad((attend(*inputs, is_causal=is_causal) * along).sum(), inputs)
    for name, mine, theirs, true in zip("qkv", found, plain, exact, strict=True):
        allowed = 3 * (theirs - true).abs().max() + torch.finfo(torch.float32).eps * max(1.0, true.abs().max())
        assert (mine - true).abs().max() <= allowed, name


@every_kernel
def test_gradients_pass_gradcheck_in_float64(attend) -> None:
    inputs = [t.detach()[:1, :1].requires_grad_() for t in qkv(3, 5, torch.float64)]
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, is_causal=True), inputs)


@every_kernel
def test_values_may_be_wider_than_keys(attend) -> None:
    q, k, _ = qkv(5, 5)
    v = torch.randn(2, 3, 5, 13)
    assert torch.allclose(attend(q, k, v), attention_reference(q, k, v).float(), atol=1e-6)


@every_kernel
def test_no_keys_at_all_give_zeros(attend) -> None:
    q, k, v = qkv(4, 0)
    assert torch.equal(attend(q, k, v), torch.zeros(2, 3, 4, 8))


@every_kernel
def test_dropout_drops_its_share_of_weights_and_keeps_the_mean(attend) -> None:
    torch.manual_seed(0)
    zero = torch.zeros(1, 1, 400, 8)
    weights = attend(zero, zero, torch.eye(400)[None, None], dropout_p=0.25) * 400
    assert (weights == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
    assert weights[weights != 0].mean().item() == pytest.approx(1 / 0.75, abs=1e-5)


@every_kernel
def test_inputs_and_masks_are_left_as_they_were(attend) -> None:
    inputs = [*(t.detach() for t in qkv(4, 6)), torch.rand(4, 6) > 0.5]
    before = [t.clone() for t in inputs]
    q, k, v, mask = inputs
    attend(q, k, v, attn_mask=mask, is_causal=True)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


@every_kernel
@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({"q": torch.zeros(2, 3, 8)}, "[2, 3, 8]"),
        ({"k": torch.zeros(2, 3, 6, 9)}, "[2, 3, 6, 9]"),
        ({"k": torch.zeros(2, 1, 6, 8)}, "[2, 1, 6, 8]"),
        ({"v": torch.zeros(2, 3, 5, 8)}, "[2, 3, 5, 8]"),
        ({"attn_mask": torch.ones(4, 5, dtype=torch.bool)}, "[4, 5]"),
        ({"attn_mask": torch.ones(1, 2, 3, 4, 6, dtype=torch.bool)}, "[1, 2, 3, 4, 6]"),
    ],
)
def test_shapes_that_do_not_fit_are_named(attend, change, met) -> None:
    q, k, v = qkv(4, 6)
    arguments = {"q": q, "k": k, "v": v} | change
    with pytest.raises(ShapeError) as error:
        attend(arguments.pop("q"), arguments.pop("k"), arguments.pop("v"), **arguments)
    assert met in str(error.value)
