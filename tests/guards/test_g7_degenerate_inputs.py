"""G7: rows that may see nothing give zeros and finite gradients; lengths of one, empty batches and odd heads work."""

import math

import pytest
import torch

GUARD = "G7"


def assert_dead_rows_are_harmless(result: torch.Tensor, dead: slice | int, inputs: list[torch.Tensor]) -> None:
    assert (result[:, :, dead] == 0).all()
    assert torch.isfinite(result).all()
    for gradient in torch.autograd.grad(result.square().sum(), inputs):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("form", ["bool", "float"])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
def test_a_row_that_may_see_no_key_gives_zeros(kernel, is_causal, form, device, draw, build):
    inputs = [t.requires_grad_() for t in draw(*[(2, 3, 5, 8)] * 3)]
    mask = torch.ones(5, 5, dtype=torch.bool, device=device)
    mask[2] = False
    given = mask if form == "bool" else torch.zeros(5, 5, device=device).masked_fill(~mask, -math.inf)
    result = build("kernel", kernel)(*inputs, attn_mask=given, is_causal=is_causal)
    assert_dead_rows_are_harmless(result, 2, inputs)


@pytest.mark.parametrize("L", [7, 140])
def test_queries_before_the_first_key_give_zeros(kernel, L, draw, build):
    inputs = [t.requires_grad_() for t in draw((2, 3, L, 8), (2, 3, 4, 8), (2, 3, 4, 8))]
    assert_dead_rows_are_harmless(build("kernel", kernel)(*inputs, is_causal=True), slice(0, L - 4), inputs)


@pytest.mark.parametrize(("L", "S"), [(1, 1), (1, 6), (6, 1)])
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
def test_lengths_of_one_and_three_heads(kernel, is_causal, L, S, draw, build, within, oracle, floor):
    qkv = draw((2, 3, L, 8), (2, 3, S, 8), (2, 3, S, 8))
    reference = oracle(*(t.cpu().double() for t in qkv), is_causal=is_causal)
    within(build("kernel", kernel)(*qkv, is_causal=is_causal), reference, floor(*qkv, is_causal=is_causal))


@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
def test_an_empty_batch_gives_an_empty_result(kernel, is_causal, draw, build):
    assert build("kernel", kernel)(*draw(*[(0, 3, 4, 8)] * 3), is_causal=is_causal).shape == (0, 3, 4, 8)


@pytest.mark.parametrize("L", [3, 11])
def test_an_empty_batch_of_a_local_kernel(local, L, draw, sparse):
    attend, _ = sparse("local", local, L, 4)
    assert attend(*draw((0, 6, L, 8), (0, 3, L, 8), (0, 3, L, 8))).shape == (0, 6, L, 8)


@pytest.mark.parametrize("L", [3, 11])
def test_an_empty_batch_of_a_strided_kernel(strided, L, draw, sparse):
    attend, _ = sparse("strided", strided, L, 4)
    assert attend(*draw((0, 6, L, 8), (0, 3, L, 8), (0, 3, L, 8))).shape == (0, 6, L, 8)


def assert_one_token_and_no_batch_are_taken(layer: torch.nn.Module, width: int, device: str) -> None:
    one = layer(torch.ones(2, 1, width, device=device))
    one.sum().backward()
    assert torch.isfinite(one).all()
    assert layer(torch.ones(0, 5, width, device=device)).shape == (0, 5, width)


def test_a_head_takes_one_token_and_no_batch(head, device, build):
    assert_one_token_and_no_batch_are_taken(build("head", head)(12, 12).to(device), 12, device)


def test_a_projection_takes_one_token_and_no_batch(projection, device, build):
    assert_one_token_and_no_batch_are_taken(
        build("projection", projection)(18, 6, num_kv_heads=3).to(device), 18, device
    )


@pytest.mark.parametrize("kept", [0, 5])
def test_what_a_cache_has_forgotten_never_reaches_a_result(kv_cache, kept, device, draw, build):
    """Slots beyond the held positions are full of NaN: they were held once, and taken back."""
    k, v, q = draw((2, 3, 21, 8), (2, 3, 21, 8), (2, 6, 2, 8))
    clean, used = (build("kv_cache", kv_cache)(2, 3, 40, 8, device=device) for _ in range(2))
    for cache in (clean, used):
        cache.append(k[:, :, :kept], v[:, :, :kept])
    junk = torch.full((2, 3, 40 - kept, 8), math.nan, device=device)
    used.append(junk, junk)
    used.truncate(kept)
    for cache in (clean, used):
        cache.append(k[:, :, kept:], v[:, :, kept:])
    assert torch.isfinite(clean.attend(q)).all()
    assert torch.equal(used.attend(q), clean.attend(q))
