"""G2: every gradient is as close to float64 as plain torch in its dtype, within a factor of three."""

from functools import partial

import pytest
import torch

GUARD = "G2"
#: L, S: square, over a chunk of 64 and of 128, queries fewer and more than keys, one query.
LENGTHS = ((33, 33), (140, 140), (13, 37), (37, 13), (1, 9))
#: Length and window or stride: whole blocks, a rest, less than one block.
SPANS = ((32, 8), (29, 8), (5, 8))


def gradients(form, inputs, along):
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    result = form(*leaves)
    return torch.autograd.grad(result, leaves, along.to(result))


@pytest.fixture
def judge(within, allowed):
    """Hold the gradients of a form to those of the plain one in float64; in its own dtype that says what is allowed."""

    def judged(form, plain, inputs):
        along = torch.randn(plain(*inputs).shape).to(inputs[0].dtype)  # rounded once, and the same for all three
        exact = gradients(plain, [t.cpu().double() for t in inputs], along)
        rounded = gradients(plain, inputs, along)
        for mine, theirs, true in zip(gradients(form, inputs, along), rounded, exact, strict=True):
            assert mine.shape == true.shape
            within(mine, true, allowed(theirs, true, times=3.0))

    return judged


@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
def test_the_gradients_of_a_kernel(kernel, is_causal, L, S, dtype, draw, build, oracle, judge):
    # A largest error says what is usual only of many numbers: of one head's nine keys it is anybody's guess.
    inputs = draw((4, 6, L, 16), (4, 6, S, 16), (4, 6, S, 16), dtype=dtype)
    judge(partial(build("kernel", kernel), is_causal=is_causal), partial(oracle, is_causal=is_causal), inputs)


def test_the_gradients_beside_a_mask_and_of_wider_values(kernel, draw, build, oracle, judge):
    *inputs, bias = draw((2, 3, 11, 8), (2, 3, 17, 8), (2, 3, 17, 12), (2, 1, 11, 17))
    seen = {"attn_mask": bias < 0.5, "is_causal": True}
    judge(partial(build("kernel", kernel), **seen), partial(oracle, **seen), inputs)


@pytest.mark.parametrize("L", [1, 13])
def test_the_gradients_of_shared_key_heads(sharing, L, dtype, draw, build, oracle, judge):
    inputs = draw((2, 6, L, 16), (2, 2, 29, 16), (2, 2, 29, 16), dtype=dtype)
    judge(partial(build("sharing", sharing), is_causal=True), partial(oracle, is_causal=True), inputs)


@pytest.mark.parametrize(("L", "span"), SPANS)
def test_the_gradients_of_a_local_kernel(local, L, span, dtype, draw, sparse, oracle, judge):
    attend, visible = sparse("local", local, L, span)
    inputs = draw((2, 6, L, 16), (2, 3, L, 16), (2, 3, L, 12), dtype=dtype)
    judge(attend, partial(oracle, attn_mask=visible), inputs)


@pytest.mark.parametrize(("L", "span"), SPANS)
def test_the_gradients_of_a_strided_kernel(strided, L, span, dtype, draw, sparse, oracle, judge):
    attend, visible = sparse("strided", strided, L, span)
    inputs = draw((2, 6, L, 16), (2, 3, L, 16), (2, 3, L, 12), dtype=dtype)
    judge(attend, partial(oracle, attn_mask=visible), inputs)


def module_and_formula(layer, heads, kv_heads, oracle):
    """A causal layer as a function of x and its weights, and what it should compute of them."""
    names = list(layer.state_dict())

    def form(x, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))

    def plain(x, *weights):
        *projections, out = weights
        width = out.shape[1] // heads
        qkv = x.matmul(torch.cat(projections).T).unflatten(-1, (-1, width)).transpose(1, 2)
        result = oracle(*qkv.split((heads, kv_heads, kv_heads), dim=1), is_causal=True)
        return result.transpose(1, 2).flatten(2).matmul(out.T)

    return form, plain


def test_the_gradients_of_a_head_and_its_weights(head, dtype, device, draw, build, oracle, judge):
    torch.manual_seed(1)
    layer = build("head", head)(24, 16).to(device, getattr(torch, dtype))
    if list(layer.state_dict()) != [f"{name}.weight" for name in ("query", "key", "value", "out")]:
        pytest.skip("not applicable: this commit's head has other parameters")
    x = draw((2, 19, 24), dtype=dtype)
    judge(*module_and_formula(layer, 1, 1, oracle), x + list(layer.state_dict().values()))


def test_the_gradients_of_a_projection_and_its_weights(projection, dtype, device, draw, build, oracle, judge):
    torch.manual_seed(1)
    layer = build("projection", projection)(48, 6, num_kv_heads=2).to(device, getattr(torch, dtype))
    x = draw((2, 19, 48), dtype=dtype)
    judge(*module_and_formula(layer, 6, 2, oracle), x + list(layer.state_dict().values()))


@pytest.fixture
def gradcheck(device, draw):
    def check(form, *shapes):
        if device == "mps":
            pytest.skip("not applicable: MPS has no float64")
        assert torch.autograd.gradcheck(form, [t.requires_grad_() for t in draw(*shapes, dtype="float64")])

    return check


def test_a_kernel_passes_gradcheck(kernel, build, gradcheck):
    gradcheck(partial(build("kernel", kernel), is_causal=True), (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4))


def test_a_local_kernel_passes_gradcheck(local, sparse, gradcheck):
    gradcheck(sparse("local", local, 6, 2)[0], (1, 2, 6, 4), (1, 1, 6, 4), (1, 1, 6, 4))


def test_a_strided_kernel_passes_gradcheck(strided, sparse, gradcheck):
    gradcheck(sparse("strided", strided, 6, 4)[0], (1, 2, 6, 4), (1, 1, 6, 4), (1, 1, 6, 4))
