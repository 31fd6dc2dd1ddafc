"""G7: rows that may see nothing give zeros and finite gradients; lengths of one, empty batches and odd heads work."""

import math

import pytest
import torch

GUARD = "G7"
KERNELS = ("naive", "masked", "sdpa")
MODULES = ("plain", "stored_scale", "cached", "fused", "sdpa")


def qkv(*shape: int, L: int, S: int, device: str) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(*shape, n, 8, device=device, requires_grad=True) for n in (L, S, S)]


def assert_dead_rows_are_harmless(result: torch.Tensor, dead: slice | int, inputs: list[torch.Tensor]) -> None:
    assert (result[:, :, dead] == 0).all()
    assert torch.isfinite(result).all()
    for gradient in torch.autograd.grad(result.square().sum(), inputs):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("form", ["bool", "float"])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_row_that_may_see_no_key_gives_zeros(kernel, is_causal, form, device, build):
    attend = build("kernel", kernel)
    inputs = qkv(2, 3, L=5, S=5, device=device)
    mask = torch.ones(5, 5, dtype=torch.bool, device=device)
    mask[2] = False
    given = mask if form == "bool" else torch.zeros(5, 5, device=device).masked_fill(~mask, -math.inf)
    assert_dead_rows_are_harmless(attend(*inputs, attn_mask=given, is_causal=is_causal), 2, inputs)


@pytest.mark.parametrize("kernel", KERNELS)
def test_queries_before_the_first_key_give_zeros(kernel, device, build):
    attend = build("kernel", kernel)
    inputs = qkv(2, 3, L=7, S=4, device=device)
    assert_dead_rows_are_harmless(attend(*inputs, is_causal=True), slice(0, 3), inputs)


@pytest.mark.parametrize(("L", "S"), [(1, 1), (1, 6), (6, 1)])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_lengths_of_one_and_three_heads(kernel, is_causal, L, S, device, build, within, oracle, floor):
    attend = build("kernel", kernel)
    q, k, v = (t.detach() for t in qkv(2, 3, L=L, S=S, device=device))
    reference = oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=is_causal)
    within(attend(q, k, v, is_causal=is_causal), reference, floor(q, k, v, is_causal=is_causal))


@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_empty_batch_gives_an_empty_result(kernel, is_causal, device, build):
    attend = build("kernel", kernel)
    assert attend(*qkv(0, 3, L=4, S=4, device=device), is_causal=is_causal).shape == (0, 3, 4, 8)


@pytest.mark.parametrize("head", MODULES)
def test_a_head_takes_one_token_and_no_batch(head, device, build):
    layer = build("head", head)(12, 12).to(device)
    one = layer(torch.ones(2, 1, 12, device=device))
    one.sum().backward()
    assert torch.isfinite(one).all()
    assert layer(torch.ones(0, 5, 12, device=device)).shape == (0, 5, 12)
