"""G8: a hot path reads nothing back to the host, and brings nothing from it.

On the meta device no tensor has values, so whatever reads one raises; and every tensor that an operator takes or gives
must be there, too. So a transfer is seen without an accelerator. On CUDA the driver is asked as well.
"""

from contextlib import contextmanager
from functools import partial

import pytest
import torch

GUARD = "G8"
COVERS = r"(kv_cache|generation|decoder)\..*"
#: Operators that hand a value to the host, or a shape that depends on one.
READING = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "_unique2"}


@contextmanager
def watched(device):
    """CUDA raises at what would wait for it."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def stays(device, log):
    """Hold a body to its device; `make` builds it, with its inputs and weights, on a device."""

    def hold(make):
        body = make("meta")
        with log() as seen:
            body()
        assert seen.devices <= {"meta"}
        body = make(device)
        body()  # what is kept for later calls is made now
        with log() as seen, watched(device):
            body()
        assert not READING & set(seen.names)

    return hold


def forward_and_backward(form, *inputs):
    result = form(*inputs)
    return torch.autograd.grad(result, inputs, torch.ones_like(result))


def leaves(*shapes, device):
    return [torch.randn(shape, device=device, requires_grad=True) for shape in shapes]


def test_a_kernel(kernel, build, stays):
    attend = build("kernel", kernel)

    def make(device):
        square = leaves(*[(2, 3, 70, 8)] * 3, device=device)
        wide = leaves((2, 3, 5, 8), (2, 3, 9, 8), (2, 3, 9, 8), device=device)
        mask = torch.ones(5, 9, dtype=torch.bool, device=device)

        def body():
            forward_and_backward(partial(attend, is_causal=True), *square)
            forward_and_backward(partial(attend, is_causal=True, attn_mask=mask), *wide)

        return body

    stays(make)


@pytest.mark.parametrize("L", [1, 5])
def test_shared_key_heads(sharing, L, build, stays):
    attend = build("sharing", sharing)

    def make(device):
        q, k, v = leaves((2, 6, L, 8), (2, 2, 9, 8), (2, 2, 9, 8), device=device)
        return partial(forward_and_backward, partial(attend, is_causal=True), q, k, v)

    stays(make)


def test_a_local_kernel(local, sparse, stays):
    attend, _ = sparse("local", local, 21, 4)
    stays(lambda device: partial(forward_and_backward, attend, *leaves(*[(2, 3, 21, 8)] * 3, device=device)))


def test_a_strided_kernel(strided, sparse, stays):
    attend, _ = sparse("strided", strided, 21, 4)
    stays(lambda device: partial(forward_and_backward, attend, *leaves(*[(2, 3, 21, 8)] * 3, device=device)))


def test_a_head(head, build, stays):
    make = build("head", head)
    stays(lambda device: partial(forward_and_backward, make(16, 8).to(device), *leaves((2, 9, 16), device=device)))


def test_a_projection(projection, build, stays):
    make = partial(build("projection", projection), 24, 6, num_kv_heads=2)
    stays(lambda device: partial(forward_and_backward, make().to(device), *leaves((2, 9, 24), device=device)))


def test_a_rotary_embedding(rotary, build, stays):
    make = build("rotary", rotary)

    def on(device):
        turn = make(8, max_length=32).to(device)
        x, *_ = leaves((2, 3, 9, 8), device=device)
        each, every = torch.arange(9, device=device), torch.arange(18, device=device).view(2, 9)
        return lambda: [forward_and_backward(partial(turn, positions=at), x) for at in (4, each, every)]

    stays(on)


# The element loop fills its mask on the host: that is the form it is kept for.
@pytest.mark.parametrize("mask", ["full_triu", "tril_fill", "bool_tril", "cached"])
def test_a_mask(mask, build, stays):
    make = build("mask", mask)
    stays(lambda device: lambda: make(9, device=device))


def test_a_cache(kv_cache, build, stays):
    make = build("kv_cache", kv_cache)

    def on(device):
        prompt, step = (torch.randn(2, 2, n, 8, device=device) for n in (5, 1))
        q, q_step = (torch.randn(2, 6, n, 8, device=device) for n in (5, 1))

        def body():
            cache = make(2, 2, 16, 8, device=device)
            cache.append(prompt, prompt)
            cache.attend(q)
            cache.append(step, step)
            cache.attend(q_step)
            cache.truncate(3)
            cache.append(step, step)

        return body

    stays(on)


def test_a_training_step(model, build, member, stays):
    step = member("train_step")

    def make(device):
        network = build("model", model)(11, 16, 2, max_length=9).to(device)
        tokens = torch.ones(2, 9, dtype=torch.int64, device=device)
        # AdamW would keep its count of steps on the host.
        return partial(step, network, torch.optim.SGD(network.parameters(), lr=0.1), tokens, tokens)

    stays(make)


def test_generation(kv_cache, build, member, stays):
    heads, rotary, generate = member("MultiHeadAttention"), member("RotaryEmbedding"), member("generate")
    cache = build("kv_cache", kv_cache)

    def make(device):
        attention = lambda width: heads(width, 6, num_kv_heads=2, rotary=rotary(width // 6, max_length=16))  # noqa: E731
        network = member("TransformerLM")(11, 24, 2, max_length=16, attention=attention).to(device)
        tokens = torch.ones(2, 5, dtype=torch.int64, device=device)
        return partial(generate, network, tokens, 4, partial(cache, 2, 2, 16, 4, device=device))

    stays(make)


def test_cross_attention(member, stays):
    layer = member("MultiHeadAttention")

    def make(device):
        made = layer(24, 6, kv_width=10, fused_qkv=False).to(device)
        x, context = leaves((2, 1, 24), (2, 7, 10), device=device)

        def body():
            forward_and_backward(made, x, context)
            held = made.encode(context)
            made(x, cache=held)

        return body

    stays(make)


@pytest.mark.parametrize("step_loop", [False, True], ids=["in-one", "by-step"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_decoder(cell, step_loop, member, stays):
    make = member("AttentionDecoder")

    def on(device):
        decoder = make(12, 12, 12, cell=cell, step_loop=step_loop).to(device)
        return partial(forward_and_backward, decoder, *leaves((2, 5, 12), (2, 7, 12), (2, 12), device=device))

    stays(on)
