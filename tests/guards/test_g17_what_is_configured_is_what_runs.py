"""G17: the cache that a model is given is written to and attended through in every block, and so is the kernel.

Seed 003 measured a fast path for weeks that nothing ever called.
"""

from functools import partial

import pytest
import torch

GUARD = "G17"
COVERS = r"(kv_cache|generation)\..*"
BATCH, HEADS, KV_HEADS, WIDTH, LAYERS = 2, 4, 2, 16, 3


class Spy:
    """A cache that counts what is asked of it, and can be made to answer something else."""

    def __init__(self, inner, factor=1.0):
        self.inner, self.factor = inner, factor
        self.appended, self.attended = [], []

    @property
    def seq_len(self):
        return self.inner.seq_len

    def append(self, k, v):
        self.appended.append(k.shape[2])
        self.inner.append(k, v)

    def attend(self, q, **options):
        self.attended.append(q.shape[2])
        return self.inner.attend(q, **options) * self.factor


@pytest.fixture
def make(member, device):
    heads, lm = member("MultiHeadAttention"), member("TransformerLM")
    torch.manual_seed(0)
    attention = partial(heads, num_heads=HEADS, num_kv_heads=KV_HEADS)
    return lambda: lm(11, WIDTH, LAYERS, max_length=16, attention=attention).requires_grad_(False).to(device)


def test_every_block_writes_to_its_cache_and_attends_through_it(kv_cache, make, build, member, device):
    model, prefill, decode = make(), member("prefill"), member("decode")
    tokens = torch.randint(11, (BATCH, 5)).to(device)

    def told(*factors):
        built = build("kv_cache", kv_cache)
        spies = [Spy(built(BATCH, KV_HEADS, 16, WIDTH // HEADS, device=device), factor) for factor in factors]
        prefill(model, tokens, spies)
        return decode(model, tokens[:, 0], spies), spies

    logits, spies = told(*[1.0] * LAYERS)
    assert [(spy.appended, spy.attended) for spy in spies] == [([5, 1], [5, 1])] * LAYERS
    for changed in range(LAYERS):
        others, _ = told(*(2.0 if place == changed else 1.0 for place in range(LAYERS)))
        assert not torch.allclose(others, logits), f"block {changed} did not listen"


@pytest.mark.parametrize(("projection", "products"), [("separate", 4), ("fused", 2)])
def test_a_fused_projection_is_one_product(projection, products, build, device, log):
    layer = build("projection", projection)(WIDTH, HEADS).requires_grad_(False).to(device)
    with log() as seen:
        layer(torch.randn(BATCH, 9, WIDTH, device=device))
    assert sum(name in ("mm", "addmm", "linear") for name in seen.names) == products


@pytest.mark.parametrize(
    ("backend", "runs", "runs_not"),
    [
        ("naive", ("_softmax", "masked_fill"), ("scaled_dot_product", "baddbmm")),
        ("masked", ("_softmax", "baddbmm"), ("scaled_dot_product",)),
        ("sdpa", ("scaled_dot_product",), ("_softmax", "baddbmm")),
        ("grouped", ("scaled_dot_product",), ("_softmax", "baddbmm")),
    ],
)
def test_the_kernel_of_the_name_is_the_kernel_that_runs(backend, runs, runs_not, member, device, log):
    layer = member("MultiHeadAttention")(WIDTH, HEADS, backend=backend).requires_grad_(False).to(device)
    with log() as seen:
        layer(torch.randn(BATCH, 9, WIDTH, device=device))
    said = " ".join(seen.names)
    assert all(name in said for name in runs), said
    assert not any(name in said for name in runs_not), said


def test_chunks_are_as_many_calls_as_they_say(member, device, log):
    layer = member("MultiHeadAttention")(WIDTH, HEADS, backend="chunked").requires_grad_(False).to(device)
    with log() as seen:
        layer(torch.randn(1, 150, WIDTH, device=device))
    assert sum("scaled_dot_product" in name for name in seen.names) == 3  # 64, 64 and 22 queries
